"""Every metric that the bridge exports, in one table: the reference page, the dashboard and the alerts are tested
against it, and `bridge.observe.collector` renders nothing else.

To add a metric, add a row; its last field takes it from the scrape. What a room counts is there as that room counts it:
a new counter is a field of `bridge/delivery/finish.py` or `bridge/kafka/client/counters.py` and needs nothing between.
"""

from __future__ import annotations

from bridge.flow import Outcome
from bridge.observe import labels
from bridge.observe.labels import PARTITION, RULE, TOPIC
from bridge.observe.reading import (
    Metric,
    counter,
    events,
    gauge,
    histogram,
    holds,
    lag_seconds,
    last_poll,
    lost,
    one,
    partitions,
    pause_seconds,
    rewound,
    rule_errors,
    topic_words,
    topics,
    topics_counted,
    transaction_seconds,
    trouble,
    words,
)
from bridge.observe.status import missing

RECORDS = (
    counter(
        "bridge_records_consumed_total",
        "Records read from Kafka that had no outcome yet, those read again included.",
        (TOPIC,),
        topics_counted(lambda t: t.consumed),
    ),
    counter(
        "bridge_records_finished_total",
        "Records that ended, each in exactly one outcome; released ones are read again.",
        (TOPIC, labels.OUTCOME),
        topic_words(labels.OUTCOME, lambda t: t.finished),
    ),
    gauge(
        "bridge_records_inflight",
        "Records read and without an outcome. Consumed less finished less this is 0 in every scrape.",
        (TOPIC,),
        topics(lambda t: t.inflight),
    ),
    gauge(
        "bridge_records_inflight_bytes",
        "Bytes of the records without an outcome.",
        (TOPIC,),
        topics(lambda t: t.inflight_bytes),
    ),
    counter(
        "bridge_released_records_total",
        "Records handed back on a revoke or by a hold; the outcome `released` over all topics.",
        (),
        one(lambda s: s.snapshot.finished().get(Outcome.RELEASED, 0)),
    ),
    counter(
        "bridge_records_lost_total",
        "Records that retention deleted before they were read, or that cannot be read and were passed over.",
        (TOPIC,),
        lost,
    ),
    histogram(
        "bridge_record_delivery_latency_seconds",
        "From a record's timestamp to the answer that accepted an event of it. Of each answer the first and the last of "
        "its records stand for half of its events each.",
        lambda s: s.delivery.latency,
    ),
    histogram(
        "bridge_record_processing_seconds",
        "From the beginning of an event's batch, about when the oldest of its records was read, to the answer that accepted "
        "the event.",
        lambda s: s.delivery.processing,
    ),
    counter(
        "bridge_late_results_total",
        "Results of events and records whose partition was not this process's any more: its next owner sees to them.",
        (),
        one(lambda s: s.snapshot.delivery.late_results),
    ),
    gauge(
        "bridge_finished_above_watermark",
        "Records finished above the first unfinished one of their partition.",
        (TOPIC,),
        topics(lambda t: t.finished_above_watermark),
    ),
    counter(
        "bridge_order_breaks_total",
        "Times that an earlier record of a lane was refused for now and a later one of the same call accepted.",
        (),
        one(lambda s: s.snapshot.delivery.order_breaks),
    ),
)

RULES = (
    counter(
        "bridge_rule_matches_total",
        "Records that became events or errors by the rule, each once whenever it is mapped: again after a reload, or when it "
        "is read again.",
        (RULE,),
        lambda scrape: (((rule.name,), rule.matches) for rule in scrape.snapshot.rule_views()),
    ),
    counter(
        "bridge_rule_errors_total",
        "Mapping errors, one per rule and item, whenever the record is mapped; one that halts is a hold instead.",
        (RULE, labels.MAPPING_ERROR),
        rule_errors,
    ),
    counter(
        "bridge_events_total",
        "Events that ended, each once, by what came of them. All but `accepted` and `expired` have a dead letter that Kafka "
        "acknowledged.",
        (RULE, labels.EVENT, labels.RESULT),
        events,
    ),
    counter(
        "bridge_config_reloads_total",
        "Reloads of the rules.",
        (labels.RELOAD,),
        words(labels.RELOAD, lambda s: s.mapping.reloads),
    ),
    gauge(
        "bridge_config_last_reload_successful",
        "1 while the newest rules are the loaded ones, 0 while a broken file keeps the old ones.",
        (),
        one(lambda s: float(s.snapshot.mapping.error is None)),
    ),
    gauge(
        "bridge_rules_info",
        "1, with the hash of the rules that are loaded.",
        (labels.HASH,),
        lambda scrape: [((scrape.snapshot.mapping.hash,), 1)],
    ),
    gauge(
        "bridge_rules_loaded_timestamp_seconds",
        "When the rules were loaded.",
        (),
        one(lambda s: s.snapshot.mapping.loaded_at),
    ),
)

API = (
    counter(
        "bridge_http_requests_total",
        "HTTP attempts, every one, by status code or by what went wrong before one came.",
        (labels.CODE,),
        words(labels.CODE, lambda s: s.delivery.requests),
    ),
    histogram(
        "bridge_http_request_duration_seconds",
        "Duration of an HTTP attempt.",
        lambda s: s.delivery.call_seconds,
    ),
    histogram(
        "bridge_http_request_records",
        "Events in one call.",
        lambda s: s.delivery.call_records,
    ),
    counter(
        "bridge_http_request_body_bytes_total",
        "Bytes of the bodies sent.",
        (),
        one(lambda s: s.snapshot.delivery.body_bytes),
    ),
    gauge(
        "bridge_http_requests_inflight",
        "Calls that wait for an answer.",
        (),
        one(lambda s: s.snapshot.calls.inflight),
    ),
    gauge(
        "bridge_http_requests_limit",
        "How many calls may wait for an answer; it adapts.",
        (),
        one(lambda s: s.snapshot.calls.limit),
    ),
    counter(
        "bridge_retries_total",
        "Attempts after which the same events were to be sent again, by the verdict; `transient` where each event has its "
        "own. A call that was split for what is in it is none.",
        (labels.RETRY,),
        words(labels.RETRY, lambda s: s.delivery.retries),
    ),
    counter(
        "bridge_wait_seconds_total",
        "Seconds in which something was to be sent and nothing could be, by why; calls in flight are no wait.",
        (labels.WAIT,),
        words(labels.WAIT, lambda s: s.delivery.waited),
    ),
    gauge(
        "bridge_circuit_open",
        "1 while failing calls have stopped all but probes.",
        (),
        one(lambda s: float(s.snapshot.calls.circuit_open)),
    ),
    counter(
        "bridge_unknown_answers_total",
        "Answers of status 2xx whose results could not be read.",
        (),
        one(lambda s: s.snapshot.delivery.unknown_answers),
    ),
)

DEAD_LETTERS = (
    counter(
        "bridge_dlq_records_total",
        "Dead letters that Kafka acknowledged; a record of several events may make several.",
        (TOPIC, labels.DEAD_LETTER),
        topic_words(labels.DEAD_LETTER, lambda t: t.dead_letters),
    ),
    counter(
        "bridge_dlq_produce_failures_total",
        "Dead letters that Kafka did not take; they are tried again and hold their partition.",
        (),
        one(lambda s: s.snapshot.delivery.dead_letter_failures),
    ),
    counter(
        "bridge_dlq_references_total",
        "Dead letters that were too large for the topic and went without the record: they name its topic, partition and offset.",
        (),
        one(lambda s: s.snapshot.consumer.references),
    ),
    counter(
        "bridge_dedupe_expired_total",
        "Events dead-lettered because they were too old to be sent again without the risk of a repeat.",
        (),
        one(lambda s: s.snapshot.delivery.events_ended("dedupe_expired")),
    ),
    counter(
        "bridge_stuck_records_total",
        "Events dead-lettered because they kept failing while others succeeded.",
        (),
        one(lambda s: s.snapshot.delivery.events_ended("stuck")),
    ),
)

KAFKA = (
    gauge(
        "bridge_consumer_lag_records",
        "Records between the watermark and the end of the log, true while paused, with those of an open transaction; absent "
        "while unknown: the partition's leader is out of reach, or Kafka has not told where to begin.",
        (TOPIC, PARTITION),
        partitions(lambda p, _: p.lag),
    ),
    gauge(
        "bridge_consumer_lag_seconds",
        "Age of the oldest record without an outcome, 0 without lag; absent while unknown.",
        (TOPIC, PARTITION),
        partitions(lag_seconds),
    ),
    gauge(
        "bridge_committed_offset",
        "Offset of the last acknowledged commit.",
        (TOPIC, PARTITION),
        partitions(lambda p, _: p.committed),
    ),
    counter(
        "bridge_commits_total",
        "Answers to commits, one for each partition that was committed.",
        (labels.COMMIT,),
        words(labels.COMMIT, lambda s: s.consumer.commits),
    ),
    gauge(
        "bridge_commit_metadata_bytes",
        "Largest metadata of an assigned partition's last commit; 4,096 would be refused, at 3,000 reading stops.",
        (),
        one(lambda s: s.snapshot.consumer.metadata_bytes),
    ),
    gauge(
        "bridge_commit_metadata_room_bytes",
        "Bytes of metadata that the brokers are known to take; less than 4,000 where they refused some, 0 where they take none.",
        (),
        one(lambda s: s.snapshot.consumer.metadata_room),
    ),
    counter(
        "bridge_foreign_metadata_total",
        "Commits found with metadata that was written for another commit, topic or cluster: it did not count.",
        (),
        one(lambda s: s.snapshot.consumer.foreign_metadata),
    ),
    gauge(
        "bridge_partitions_assigned",
        "Partitions that this process reads.",
        (),
        one(lambda s: len(s.snapshot.partitions)),
    ),
    gauge(
        "bridge_partitions_unbegun",
        "Partitions of this process that are not read yet: Kafka has not told where they begin. Their lag is unknown.",
        (),
        one(lambda s: len(s.snapshot.kafka.state.unbegun)),
    ),
    gauge(
        "bridge_partitions_paused",
        "Partitions from which nothing is read at present.",
        (),
        one(lambda s: sum(p.paused is not None for p in s.snapshot.partitions)),
    ),
    gauge(
        "bridge_operator_paused_partitions",
        "Partitions of this process that an operator has paused; it stays ready.",
        (),
        one(lambda s: sum(hold.wanted for hold in s.snapshot.holds)),
    ),
    gauge(
        "bridge_operator_pause_seconds",
        "Age of an operator's pause, of each partition of this process that is in one.",
        (TOPIC, PARTITION),
        pause_seconds,
    ),
    gauge(
        "bridge_partitions_unreadable",
        "Partitions of which nothing can be read though there is more: most likely damaged batches.",
        (),
        one(lambda s: sum(p.unreadable is not None for p in s.snapshot.partitions)),
    ),
    gauge(
        "bridge_open_transaction_seconds",
        "For how long the position has stood where a producer's transaction is open, of each partition where that has "
        "lasted for a minute.",
        (TOPIC, PARTITION),
        partitions(transaction_seconds),
    ),
    gauge(
        "bridge_rewound_partitions",
        "Partitions held because somebody set the group back.",
        (),
        one(rewound),
    ),
    counter(
        "bridge_rebalances_total",
        "Changes of the assignment.",
        (labels.REBALANCE,),
        words(labels.REBALANCE, lambda s: s.consumer.rebalances),
    ),
    histogram(
        "bridge_rebalance_drain_seconds",
        "Time to finish what was with the API when partitions were revoked.",
        lambda s: s.consumer.drain_buckets,
    ),
    counter(
        "bridge_overdue_drains_total",
        "Revokes behind which a drain had no answer in time: what was with the API is the next owner's.",
        (),
        one(lambda s: s.snapshot.consumer.overdue_drains),
    ),
    counter(
        "bridge_consumer_rebuilds_total",
        "Times that a new consumer was made after an error.",
        (),
        one(lambda s: s.snapshot.consumer.rebuilds),
    ),
    counter(
        "bridge_dropped_records_total",
        "Records that came for a partition that is not this process's any more, or not yet; they are read again.",
        (),
        one(lambda s: s.snapshot.consumer.dropped_records),
    ),
    counter(
        "bridge_room_pauses_total",
        "Times that reading, of a topic or of all, was paused because what is in work left no room.",
        (),
        one(lambda s: s.snapshot.consumer.pauses),
    ),
    counter(
        "bridge_callback_errors_total",
        "Exceptions inside callbacks of Kafka's client; 0 unless there is a bug.",
        (),
        one(lambda s: s.snapshot.consumer.callback_errors),
    ),
    counter(
        "bridge_refused_progress_total",
        "Times that a commit would have gone back or beyond what was read, and was not made; 0 unless there is a bug.",
        (),
        one(lambda s: s.snapshot.consumer.refused_progress),
    ),
    gauge(
        "bridge_kafka_joined",
        "1 while the process is a member of its group.",
        (),
        one(lambda s: float(s.snapshot.kafka.state.joined)),
    ),
    gauge(
        "bridge_kafka_trouble",
        "1 for what is wrong on the Kafka side at present.",
        (labels.KAFKA_TROUBLE,),
        words(labels.KAFKA_TROUBLE, trouble),
    ),
    gauge(
        "bridge_last_poll_timestamp_seconds",
        "When the Kafka thread last polled; 0 before the first poll.",
        (),
        one(last_poll),
    ),
)

PROCESS = (
    gauge(
        "bridge_ready",
        "1 when `/readyz` says so: joined the group, and no hold but an operator's pause.",
        (),
        one(lambda s: float(not missing(s.snapshot))),
    ),
    gauge(
        "bridge_holds",
        "Holds at present.",
        (labels.HOLD,),
        words(labels.HOLD, holds),
    ),
    gauge(
        "bridge_snapshot_timestamp_seconds",
        "When the delivery thread last published the numbers that this page shows.",
        (),
        one(lambda s: s.snapshot.taken_at),
    ),
    counter(
        "bridge_stalls_total",
        "Times that nothing was finished for long though there was lag and no hold.",
        (),
        one(lambda s: s.stalls),
    ),
    counter(
        "bridge_log_lines_left_out_total",
        "Log lines not written: too many of their kind, or the output did not keep up.",
        (labels.LEFT_OUT,),
        lambda scrape: (((word,), n) for word, n in labels.LEFT_OUT.counts(scrape.logs_left_out)),
    ),
    gauge(
        "bridge_build_info",
        "1, with the version of the bridge and of Python.",
        (labels.VERSION, labels.PYTHON),
        lambda scrape: [((scrape.version, scrape.python), 1)],
    ),
)

SECTIONS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("Records", RECORDS),
    ("Rules and events", RULES),
    ("SuprSend's API", API),
    ("Dead letters", DEAD_LETTERS),
    ("Kafka", KAFKA),
    ("The process", PROCESS),
)
METRICS: tuple[Metric, ...] = tuple(metric for _, rows in SECTIONS for metric in rows)

PROCESS_METRICS = (
    ("process_cpu_seconds_total", "counter", "CPU time in seconds."),
    ("process_resident_memory_bytes", "gauge", "Resident memory in bytes."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory in bytes."),
    ("process_start_time_seconds", "gauge", "When the process started."),
    ("process_open_fds", "gauge", "Open file descriptors."),
    ("process_max_fds", "gauge", "Most file descriptors allowed."),
)
"""What `prometheus_client` itself exports of the process (on Linux)."""
