"""Makes `deploy/prometheus/alerts_test.yaml`: promtool's unit tests of the alerts, from one table of situations.

Each situation is a working bridge with some series changed. What is asserted is the exact set of alerts that fire, so
that the right one fires and no other.

Called by `make docs` and `tests/deploy/test_dashboard_and_alerts.py`.
"""

from __future__ import annotations

from typing import NamedTuple

STEPS = 160
"""Samples of each series, 15 seconds apart: 40 minutes. The trouble begins at step 40; alerts are looked at at 30 m."""
BEGIN = 40


def grows(per_step: float, start: float = 0) -> str:
    return f"{start:g}{per_step:+g}x{STEPS}"


def stays(value: float) -> str:
    return f"{value:g}x{STEPS}"


def from_then(before: str, after: str) -> str:
    """A series that changes when the trouble begins; both parts in promtool's notation, without the count."""
    return f"{before}x{BEGIN - 1} {after}x{STEPS - BEGIN}"


GONE = f"_x{STEPS}"
STOPS = from_then("0+150", f"{150 * (BEGIN - 1)}+0")
FROZEN = from_then("0+15", f"{15 * (BEGIN - 1)}+0")
RAISED = from_then("0+0", "1+0")

HOLDS = ("setup", "rewind", "brake", "dead_letter_topic", "operator")
PAUSED = 'bridge_operator_pause_seconds{topic="t",partition="0"}'
OPEN = 'bridge_open_transaction_seconds{topic="t",partition="0"}'
TROUBLES = ("unreachable", "unanswered", "authentication", "commit", "dead_letter_topic", "unreadable")

HEALTHY: dict[str, str] = {
    "up": stays(1),
    'bridge_records_consumed_total{topic="t"}': grows(150, 10),
    'bridge_records_finished_total{topic="t",outcome="delivered"}': grows(150),
    'bridge_records_finished_total{topic="t",outcome="dead_lettered"}': stays(0),
    'bridge_records_finished_total{topic="t",outcome="released"}': stays(0),
    'bridge_records_inflight{topic="t"}': stays(10),
    'bridge_records_lost_total{topic="t"}': stays(0),
    'bridge_consumer_lag_records{topic="t",partition="0"}': stays(10),
    'bridge_consumer_lag_seconds{topic="t",partition="0"}': stays(1),
    'bridge_http_requests_total{code="207"}': grows(15),
    'bridge_http_requests_total{code="401"}': stays(0),
    'bridge_http_requests_total{code="429"}': stays(0),
    'bridge_http_requests_total{code="503"}': stays(0),
    "bridge_circuit_open": stays(0),
    "bridge_partitions_unbegun": stays(0),
    **{f'bridge_holds{{reason="{reason}"}}': stays(0) for reason in HOLDS},
    **{f'bridge_kafka_trouble{{kind="{kind}"}}': stays(0) for kind in TROUBLES},
    "bridge_partitions_unreadable": stays(0),
    'bridge_commits_total{result="ok"}': grows(150),
    'bridge_commits_total{result="retried"}': stays(0),
    'bridge_rebalances_total{event="revoked"}': stays(0),
    "bridge_dlq_produce_failures_total": stays(0),
    "bridge_config_last_reload_successful": stays(1),
    "bridge_last_poll_timestamp_seconds": grows(15),
    "bridge_snapshot_timestamp_seconds": grows(15),
}
NOTHING_DONE = {
    'bridge_records_consumed_total{topic="t"}': from_then("10+150", f"{150 * (BEGIN - 1) + 10}+0"),
    'bridge_records_finished_total{topic="t",outcome="delivered"}': STOPS,
    'bridge_http_requests_total{code="207"}': from_then("0+15", f"{15 * (BEGIN - 1)}+0"),
    'bridge_consumer_lag_records{topic="t",partition="0"}': from_then("10+0", "10+150"),
    'bridge_consumer_lag_seconds{topic="t",partition="0"}': from_then("1+0", "1+15"),
    'bridge_commits_total{result="ok"}': STOPS,
}
LAG_UNKNOWN = {
    'bridge_consumer_lag_records{topic="t",partition="0"}': from_then("10+0", "_"),
    'bridge_consumer_lag_seconds{topic="t",partition="0"}': from_then("1+0", "_"),
}
STANDS = {**NOTHING_DONE, 'bridge_consumer_lag_seconds{topic="t",partition="0"}': from_then("1+0", "_")}
"""The age of what cannot be read is unknown."""


class Case(NamedTuple):
    """One situation: what differs from a working bridge, and which alerts fire then."""

    name: str
    changes: dict[str, str]
    fires: tuple[str, ...] = ()


def dead_letters(per_step: float) -> dict[str, str]:
    return {
        'bridge_records_finished_total{topic="t",outcome="dead_lettered"}': grows(per_step),
        'bridge_records_finished_total{topic="t",outcome="delivered"}': grows(150 - per_step),
    }


def held(reason: str) -> dict[str, str]:
    return {f'bridge_holds{{reason="{reason}"}}': RAISED}


CASES = (
    Case("a working bridge", {}),
    Case("the target is down", {**dict.fromkeys(HEALTHY, GONE), "up": stays(0)}, ("BridgeDown",)),
    Case("the target is unknown", dict.fromkeys(HEALTHY, GONE), ("BridgeDown",)),
    Case(
        "the poll thread is blocked",
        {**NOTHING_DONE, "bridge_last_poll_timestamp_seconds": FROZEN},
        ("BridgePollStuck",),
    ),
    Case("the last poll is 20 seconds old", {"bridge_last_poll_timestamp_seconds": grows(15, -20)}),
    Case(
        "the brokers are gone",
        {**NOTHING_DONE, 'bridge_kafka_trouble{kind="unreachable"}': RAISED},
        ("BridgeKafkaUnreachable",),
    ),
    Case("partitions are not read yet", {"bridge_partitions_unbegun": RAISED}, ("BridgePartitionsUnbegun",)),
    Case(
        "partitions are not read yet, and it is known why",
        {"bridge_partitions_unbegun": RAISED, 'bridge_kafka_trouble{kind="unanswered"}': RAISED},
        ("BridgeKafkaUnreachable",),
    ),
    Case(
        "a batch cannot be read, and the other partitions go on",
        {
            "bridge_partitions_unreadable": RAISED,
            'bridge_kafka_trouble{kind="unreadable"}': RAISED,
            'bridge_consumer_lag_records{topic="t",partition="0"}': from_then("10+0", "10+150"),
        },
        ("BridgePartitionUnreadable",),
    ),
    Case("a producer's transaction stays open", {**STANDS, OPEN: from_then("_", "60+15")}, ("BridgeTransactionOpen",)),
    Case("a producer's transaction is open for four minutes", {**STANDS, OPEN: from_then("_", "240+0")}),
    Case(
        "a producer's transaction is open for four minutes, and another partition has trouble",
        {
            **STANDS,
            OPEN: from_then("_", "240+0"),
            'bridge_consumer_lag_records{topic="t",partition="1"}': from_then("10+0", "10+150"),
        },
        ("BridgeStalled",),
    ),
    Case("the lag is unknown, and records go on", LAG_UNKNOWN),
    Case("the process holds no partition any more", {**NOTHING_DONE, **LAG_UNKNOWN}),
    Case(
        "the lag of one partition is unknown, and another has trouble",
        {
            **NOTHING_DONE,
            **LAG_UNKNOWN,
            'bridge_consumer_lag_records{topic="t",partition="1"}': from_then("10+0", "10+150"),
        },
        ("BridgeStalled",),
    ),
    Case(
        "the credentials are revoked",
        {**NOTHING_DONE, **held("setup"), 'bridge_http_requests_total{code="401"}': from_then("0+0", "0+0.5")},
        ("BridgeCredentialsRejected",),
    ),
    Case("the address is wrong", {**NOTHING_DONE, **held("setup")}, ("BridgeHeld",)),
    Case(
        "the API is down",
        {
            **NOTHING_DONE,
            "bridge_circuit_open": RAISED,
            'bridge_http_requests_total{code="503"}': from_then("0+0", "0+1"),
        },
        ("BridgeApiFailing",),
    ),
    Case("a third of the calls fail", {'bridge_http_requests_total{code="503"}': grows(7)}),
    Case(
        "a third of the calls are throttled", {'bridge_http_requests_total{code="429"}': grows(7)}, ("BridgeThrottled",)
    ),
    Case("a tenth of the calls are throttled", {'bridge_http_requests_total{code="429"}': grows(1.5)}),
    Case(
        "the dead-letter topic is not there, before anything is to be written",
        {'bridge_kafka_trouble{kind="dead_letter_topic"}': RAISED},
        ("BridgeDeadLetterTopicUnwritable",),
    ),
    Case(
        "the dead-letter topic is gone, and Kafka says so, too",
        {
            **NOTHING_DONE,
            **held("dead_letter_topic"),
            "bridge_dlq_produce_failures_total": from_then("0+0", "0+1"),
            'bridge_kafka_trouble{kind="dead_letter_topic"}': RAISED,
        },
        ("BridgeDeadLetterTopicUnwritable",),
    ),
    Case(
        "the dead-letter topic is gone",
        {**NOTHING_DONE, **held("dead_letter_topic"), "bridge_dlq_produce_failures_total": from_then("0+0", "0+1")},
        ("BridgeDeadLetterTopicUnwritable",),
    ),
    Case("a poison deploy, braked", {**held("brake"), **dead_letters(75)}, ("BridgeHeld",)),
    Case("somebody rewound the group", {**NOTHING_DONE, **held("rewind")}, ("BridgeHeld",)),
    Case("an operator paused it", {**NOTHING_DONE, **held("operator"), PAUSED: from_then("_", "0+15")}),
    Case(
        "an operator paused it yesterday",
        {**NOTHING_DONE, **held("operator"), PAUSED: grows(15, 80_000)},
        ("BridgePausedLong",),
    ),
    Case(
        "an operator paused one partition, and another has trouble",
        {
            **NOTHING_DONE,
            **held("operator"),
            PAUSED: from_then("_", "0+15"),
            'bridge_consumer_lag_records{topic="t",partition="1"}': from_then("10+0", "10+150"),
            'bridge_consumer_lag_seconds{topic="t",partition="1"}': from_then("1+0", "1+15"),
        },
        ("BridgeStalled", "BridgeLagHigh"),
    ),
    Case(
        "commits are refused",
        {'bridge_commits_total{result="ok"}': STOPS, 'bridge_commits_total{result="retried"}': from_then("0+0", "0+1")},
        ("BridgeCommitsFailing",),
    ),
    Case("a commit is refused now and then", {'bridge_commits_total{result="retried"}': grows(0.1)}),
    Case("members come and go", {'bridge_rebalances_total{event="revoked"}': grows(1)}, ("BridgeRebalanceStorm",)),
    Case("a roll-out", {'bridge_rebalances_total{event="revoked"}': from_then("0+0", "3+0")}),
    Case(
        "the newest rules are broken",
        {"bridge_config_last_reload_successful": from_then("1+0", "0+0")},
        ("BridgeReloadFailed",),
    ),
    Case(
        "retention was faster",
        {'bridge_records_lost_total{topic="t"}': from_then("0+0", "500+0")},
        ("BridgeRecordsLost",),
    ),
    Case(
        "a record was forgotten",
        {'bridge_records_consumed_total{topic="t"}': from_then("10+150", f"{150 * BEGIN + 11}+150")},
        ("BridgeRecordsUnaccounted",),
    ),
    Case("a tenth ends as dead letters", dead_letters(15), ("BridgeDeadLetters",)),
    Case("one in a hundred ends as a dead letter", dead_letters(1.5)),
    Case("nothing is finished, nobody knows why", NOTHING_DONE, ("BridgeStalled", "BridgeLagHigh")),
    Case(
        "nothing to do",
        {
            **NOTHING_DONE,
            'bridge_consumer_lag_records{topic="t",partition="0"}': stays(0),
            'bridge_consumer_lag_seconds{topic="t",partition="0"}': stays(0),
        },
    ),
    Case("the delivery thread hangs", {"bridge_snapshot_timestamp_seconds": FROZEN}, ("BridgeStalled",)),
    Case(
        "more arrives than is delivered",
        {'bridge_consumer_lag_seconds{topic="t",partition="0"}': grows(5, 100)},
        ("BridgeLagHigh",),
    ),
    Case("a backlog is worked off", {'bridge_consumer_lag_seconds{topic="t",partition="0"}': grows(-5, 3_000)}),
)


def series(name: str, values: str) -> str:
    metric, _, labels = name.rstrip("}").partition("{")
    every = ",".join(filter(None, ['job="bridge"', 'instance="a"', labels]))
    return f"      - {{series: '{metric}{{{every}}}', values: '{values}'}}\n"


def alert_tests() -> str:
    """The whole file."""
    text = (
        "# Generated from scripts/generate/alert_tests.py; `make docs` writes it again. `promtool test rules` runs it.\n"
        "rule_files: [../../helm/files/alerts.yaml]\nevaluation_interval: 15s\ntests:\n"
    )
    for case in CASES:
        text += f"  - name: {case.name}\n    interval: 15s\n    input_series:\n"
        text += "".join(series(name, values) for name, values in {**HEALTHY, **case.changes}.items())
        text += '    promql_expr_test:\n      - expr: count by (alertname) (ALERTS{alertstate="firing"})\n'
        text += "        eval_time: 30m\n        exp_samples:"
        text += (
            "".join(f"\n          - {{labels: '{{alertname=\"{name}\"}}', value: 1}}" for name in case.fires) or " []"
        )
        text += "\n"
    return text
