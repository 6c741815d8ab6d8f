"""Every event that the log may name, with what it says: names are stable, since people search and alert on them."""

from __future__ import annotations

from types import MappingProxyType

EVENTS = MappingProxyType(
    {
        "started": "The process runs; with version, settings file, group, topics and rules hash.",
        "stopping": "A signal arrived; with the steps to come and the time they may take.",
        "stopped": "Everything is drained, committed and closed; with what was finished.",
        "assigned": "Partitions were assigned; with topic, partition and where reading begins.",
        "revoked": "Partitions were taken away after a drain; with how long it took and what was released.",
        "lost": "Partitions were lost without a chance to commit.",
        "kafka_trouble": "The Kafka side does not work; with what to do.",
        "kafka_well": "It works again.",
        "commit_failed": "A commit was refused; it is made again unless the assignment is gone.",
        "batch_refused": "The API refused a whole call; with batch, topic, partition, offset range, code and verdict.",
        "batch_retried": "A call is sent again; with batch, attempt, reason and when.",
        "batch_split": "A refused call is halved to find the culprit.",
        "answer_unknown": "An answer of status 2xx could not be read; with its shape.",
        "circuit_opened": "Too many calls failed in a row: only probes go out.",
        "circuit_closed": "A probe was accepted.",
        "dead_letter": "A record went to the dead-letter topic; with rule, class, code, topic, partition and offset.",
        "dead_letter_failed": "Kafka did not take a dead letter; the partition is held until it does.",
        "hold": "Something is held; with reason, scope and what lifts it.",
        "hold_lifted": "It goes on; with why.",
        "rewind": "Somebody set the group back: nothing is sent again before it is accepted.",
        "records_lost": "Retention deleted records before they were read; with how many.",
        "rules_loaded": "New rules are in force; with their hash.",
        "rules_refused": "New rules are broken: the former ones go on; with the findings.",
        "secret_changed": "A secret's file changed and is used from now on.",
        "secret_unreadable": "A secret's file cannot be read; the known one stays in use.",
        "stalled": "Nothing was finished for long though there is lag; with what is waited for and all stacks.",
        "stall_over": "Records are finished again.",
        "admin_listening": "The admin server listens; with its address.",
        "admin_action": "An operator acted; with the action, its target, the reason and what came of it.",
        "admin_refused": "An action was asked for without the right token.",
        "library": "A line of a library that is used (aiohttp, asyncio, librdkafka).",
        "payload": "A record or body as it is; only with `log_payloads`, redacted by the path list.",
        "left_out": "Lines of a kind were too many; with the kind and how many were left out.",
        "unexpected": "A bug: an exception that nobody expects; with its trace.",
    }
)
