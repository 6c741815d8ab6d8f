"""The panels of the Grafana dashboard: rows from top to bottom in the order in which an on-call engineer asks.

Called by `scripts/generate/dashboard.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from scripts.generate.promql import WINDOW, by, picked, quantiles, rate


class Panel(NamedTuple):
    """One panel: its queries (expression, legend), and how it is drawn. Widths are of 24."""

    title: str
    queries: tuple[tuple[str, str], ...]
    text: str = ""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stack: bool = False
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)


RED_ABOVE_ZERO: tuple[tuple[float | None, str], ...] = ((None, "green"), (1, "red"))
GREEN_AT_ONE: tuple[tuple[float | None, str], ...] = ((None, "red"), (1, "green"))

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it delivering?",
        (
            Panel(
                "Ready",
                ((f"min({picked('bridge_ready')})", ""),),
                "1 when every process is ready.",
                kind="stat",
                width=3,
                steps=GREEN_AT_ONE,
            ),
            Panel(
                "Processes",
                ((f"count({picked('bridge_build_info')})", ""),),
                "Processes that are scraped.",
                kind="stat",
                width=3,
            ),
            Panel(
                "Holds",
                ((f"sum({picked('bridge_holds')})", ""),),
                "What is stopped on purpose; the row below says why.",
                kind="stat",
                width=3,
                steps=RED_ABOVE_ZERO,
            ),
            Panel(
                "Lag",
                ((f"sum({picked('bridge_consumer_lag_records')})", ""),),
                "Records without an outcome, read or not.",
                kind="stat",
                width=3,
            ),
            Panel(
                "Oldest waiting",
                ((f"max({picked('bridge_consumer_lag_seconds')})", ""),),
                "Age of the oldest record without an outcome.",
                "s",
                "stat",
                3,
                steps=((None, "green"), (60, "orange"), (300, "red")),
            ),
            Panel(
                "Circuit",
                ((f"max({picked('bridge_circuit_open')})", ""),),
                "1 while failing calls have stopped all but probes.",
                kind="stat",
                width=3,
                steps=RED_ABOVE_ZERO,
            ),
            Panel(
                "Kafka trouble",
                ((f"sum({picked('bridge_kafka_trouble')})", ""),),
                "Above 0, Kafka does not work; see the row Kafka.",
                kind="stat",
                width=3,
                steps=RED_ABOVE_ZERO,
            ),
            Panel(
                "Unaccounted",
                (
                    (
                        f"sum({picked('bridge_records_consumed_total')}) - sum({picked('bridge_records_finished_total')}) - sum({picked('bridge_records_inflight')})",
                        "",
                    ),
                ),
                "Consumed less finished less in work: always 0.",
                kind="stat",
                width=3,
                steps=((None, "red"), (0, "green"), (1, "red")),
            ),
            Panel(
                "Records finished",
                ((by("outcome", rate("bridge_records_finished_total")), "{{outcome}}"),),
                "Each record ends in exactly one outcome.",
                "cps",
                width=12,
                stack=True,
            ),
            Panel(
                "Lag by topic",
                ((by("topic", picked("bridge_consumer_lag_records")), "{{topic}}"),),
                "True while partitions are paused; absent while the brokers are gone.",
                width=12,
            ),
        ),
    ),
    (
        "How late?",
        (
            Panel(
                "From record to accepted",
                quantiles("bridge_record_delivery_latency_seconds"),
                "From the record's timestamp to the answer that accepted it.",
                "s",
            ),
            Panel(
                "From read to finished", quantiles("bridge_record_processing_seconds"), "The bridge's own share.", "s"
            ),
            Panel(
                "Oldest waiting by topic",
                ((by("topic", picked("bridge_consumer_lag_seconds"), "max"), "{{topic}}"),),
                "Age of the oldest record without an outcome.",
                "s",
            ),
        ),
    ),
    (
        "What fails, and why?",
        (
            Panel(
                "Holds by reason",
                ((by("reason", picked("bridge_holds")) + " > 0", "{{reason}}"),),
                "`suprsend-bridge status` says what lifts each.",
                stack=True,
            ),
            Panel(
                "Attempts that were not accepted",
                ((by("code", rate("bridge_http_requests_total", 'code!~"2.."')) + " > 0", "{{code}}"),),
                "By status code, or by what went wrong before one came.",
                "reqps",
                stack=True,
            ),
            Panel(
                "Dead letters by reason",
                ((by("topic, reason", rate("bridge_dlq_records_total")) + " > 0", "{{topic}} {{reason}}"),),
                "Acknowledged by Kafka.",
                "cps",
                stack=True,
            ),
            Panel(
                "Retries by reason",
                ((by("reason", rate("bridge_retries_total")), "{{reason}}"),),
                "Calls sent again.",
                "reqps",
                stack=True,
            ),
            Panel(
                "Waiting by reason",
                ((by("reason", rate("bridge_wait_seconds_total")), "{{reason}}"),),
                "Calls that wait at once, on average.",
                stack=True,
            ),
            Panel(
                "Rare and serious",
                (
                    (f"sum({picked('bridge_dlq_produce_failures_total')})", "dead letters not written"),
                    (f"sum({picked('bridge_records_lost_total')})", "records lost to retention"),
                    (f"sum({picked('bridge_unknown_answers_total')})", "unreadable answers"),
                    (f"sum({picked('bridge_dedupe_expired_total')})", "too old to repeat"),
                    (f"sum({picked('bridge_stuck_records_total')})", "stuck records"),
                    (f"sum({picked('bridge_order_breaks_total')})", "order breaks"),
                    (f"sum({picked('bridge_rewound_partitions')})", "rewound partitions"),
                    (f"sum({picked('bridge_stalls_total')})", "stalls"),
                ),
                "Counts since the processes started.",
            ),
        ),
    ),
    (
        "Rules",
        (
            Panel(
                "Matches by rule",
                ((by("rule", rate("bridge_rule_matches_total")), "{{rule}}"),),
                "Records that a rule selected.",
                "cps",
            ),
            Panel(
                "Events by result",
                ((by("result", rate("bridge_events_total")), "{{result}}"),),
                "What came of each event.",
                "cps",
                stack=True,
            ),
            Panel(
                "Mapping errors by rule",
                ((by("rule, reason", rate("bridge_rule_errors_total")) + " > 0", "{{rule}} {{reason}}"),),
                "Each ends as the rule's on_error says.",
                "cps",
                stack=True,
            ),
            Panel(
                "Accepted by event",
                ((by("event", rate("bridge_events_total", 'result="accepted"')), "{{event}}"),),
                "",
                "cps",
            ),
            Panel(
                "Last reload",
                ((f"min({picked('bridge_config_last_reload_successful')})", ""),),
                "0 while broken files keep the former rules.",
                kind="stat",
                width=4,
                steps=GREEN_AT_ONE,
            ),
            Panel(
                "Reloads",
                ((by("result", f"increase({picked('bridge_config_reloads_total')}[{WINDOW}])"), "{{result}}"),),
                "",
                width=6,
            ),
            Panel(
                "Rules loaded",
                ((by("hash", picked("bridge_rules_info")), "{{hash}}"),),
                "Processes by the rules they run; two lines mean a roll-out.",
                width=6,
                stack=True,
            ),
        ),
    ),
    (
        "Kafka",
        (
            Panel(
                "Partitions",
                (
                    (f"sum({picked('bridge_partitions_assigned')})", "assigned"),
                    (f"sum({picked('bridge_partitions_paused')})", "paused"),
                ),
                "Paused: held, or enough in work.",
            ),
            Panel(
                "Rebalances",
                ((by("event", f"increase({picked('bridge_rebalances_total')}[{WINDOW}])"), "{{event}}"),),
                "",
            ),
            Panel(
                "Drain on revoke",
                quantiles("bridge_rebalance_drain_seconds"),
                "Time to finish what was with the API.",
                "s",
            ),
            Panel("Commits", ((by("result", rate("bridge_commits_total")), "{{result}}"),), "", "cps"),
            Panel(
                "Offsets committed",
                ((by("topic", f"clamp_min(deriv({picked('bridge_committed_offset')}[{WINDOW}]), 0)"), "{{topic}}"),),
                "How fast the committed offsets move.",
                "cps",
            ),
            Panel(
                "Since the last poll",
                ((f"time() - {picked('bridge_last_poll_timestamp_seconds')}", "{{instance}}"),),
                "Under 1 s when well; restarted at 60 s.",
                "s",
            ),
            Panel(
                "Finished above the watermark",
                ((by("topic", picked("bridge_finished_above_watermark")), "{{topic}}"),),
                "Waiting for an earlier record of their partition.",
            ),
            Panel(
                "Largest commit metadata",
                ((f"max({picked('bridge_commit_metadata_bytes')})", "bytes"),),
                "At 3,000 the partition stops reading.",
                "bytes",
            ),
            Panel(
                "Trouble",
                (
                    (by("kind", picked("bridge_kafka_trouble")) + " > 0", "{{kind}}"),
                    (f"min({picked('bridge_kafka_joined')})", "joined"),
                ),
                "joined is 1 when every process is in the group.",
            ),
            Panel(
                "Lag by partition",
                (
                    (
                        f"topk(20, {by('topic, partition', picked('bridge_consumer_lag_records'))})",
                        "{{topic}}:{{partition}}",
                    ),
                ),
                "The 20 largest.",
                width=24,
            ),
        ),
    ),
    (
        "SuprSend's API",
        (
            Panel(
                "Attempts",
                ((by("code", rate("bridge_http_requests_total")) + " > 0", "{{code}}"),),
                "Every one.",
                "reqps",
                stack=True,
            ),
            Panel("Duration of an attempt", quantiles("bridge_http_request_duration_seconds"), "", "s"),
            Panel(
                "Calls in flight",
                (
                    (f"sum({picked('bridge_http_requests_inflight')})", "in flight"),
                    (f"sum({picked('bridge_http_requests_limit')})", "limit"),
                ),
                "The limit adapts.",
            ),
            Panel(
                "Events in a call",
                (
                    (
                        f"sum({rate('bridge_http_request_records_sum')}) / sum({rate('bridge_http_request_records_count')})",
                        "mean",
                    ),
                ),
                "At most 100.",
            ),
            Panel("Bytes sent", ((f"sum({rate('bridge_http_request_body_bytes_total')})", "bodies"),), "", "Bps"),
            Panel(
                "Released",
                ((f"sum({rate('bridge_released_records_total')})", "released"),),
                "Handed back on a revoke or by a hold, and read again.",
                "cps",
            ),
        ),
    ),
    (
        "The process",
        (
            Panel("CPU", ((rate("process_cpu_seconds_total"), "{{instance}}"),), "Cores.", width=6),
            Panel("Memory", ((picked("process_resident_memory_bytes"), "{{instance}}"),), "", "bytes", width=6),
            Panel(
                "Records in work",
                ((by("instance", picked("bridge_records_inflight_bytes")), "{{instance}}"),),
                "Their bytes; bounded by the settings.",
                "bytes",
                width=6,
            ),
            Panel("Open files", ((picked("process_open_fds"), "{{instance}}"),), "", width=6),
            Panel(
                "Log lines left out",
                ((by("why", rate("bridge_log_lines_left_out_total")), "{{why}}"),),
                "rate: too many of a kind; queue: the output did not keep up.",
                "cps",
                width=6,
            ),
            Panel(
                "Age of these numbers",
                ((f"time() - {picked('bridge_snapshot_timestamp_seconds')}", "{{instance}}"),),
                "Grows when the delivery thread hangs.",
                "s",
                width=6,
            ),
            Panel("Up for", ((f"time() - {picked('process_start_time_seconds')}", "{{instance}}"),), "", "s", width=6),
            Panel(
                "Rules loaded for",
                ((f"time() - {picked('bridge_rules_loaded_timestamp_seconds')}", "{{instance}}"),),
                "",
                "s",
                width=6,
            ),
        ),
    ),
)
