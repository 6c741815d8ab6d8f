"""Every event that the log may name: what it says, from which level on it is told, and its facts. Names are stable."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class LogEvent(NamedTuple):
    """One kind of line. `level` is the usual one; `facts` are all that a line may have beside time, level and event.

    `…` among them stands for the arguments of an operator's action.
    """

    level: str
    says: str
    facts: tuple[str, ...] = ()


def _event(level: str, says: str, facts: str = "") -> LogEvent:
    return LogEvent(level, says, tuple(facts.split()))


PLACE = "topic partition offset"

EVENTS: Mapping[str, LogEvent] = MappingProxyType(
    {
        "started": _event("info", "The process runs.", "version group topics rules_hash dry_run"),
        "setting_moved": _event(
            "warning", "A setting is read where it stood in the version before: its place now.", "message"
        ),
        "admin_listening": _event("info", "The admin server listens.", "host port"),
        "stopping": _event(
            "info", "A signal arrived, or a dry run saw enough: what is with the API is finished.", "drain_seconds"
        ),
        "stopped": _event(
            "info", "The end; `clean` is false where the drain or the leave did not come to its end.", "clean fatal why"
        ),
        "assigned": _event(
            "info",
            "Partitions of a topic were assigned; `offsets` are where reading begins, in the order of `partitions`.",
            "topic partitions offsets count",
        ),
        "revoked": _event(
            "info",
            "Partitions were taken away after a drain: how long the longest took, the next offsets to be read, and how "
            "many records were let go of unfinished.",
            "topic partitions offsets count seconds released",
        ),
        "lost": _event(
            "warning",
            "Partitions are gone without a chance to commit (another member has them, or their place in the log is "
            "gone); what was unfinished is read again.",
            "topic partitions offsets count released",
        ),
        "kafka_trouble": _event("warning", "Kafka does not work for this process; with what to do.", "kind message"),
        "kafka_well": _event("info", "It works again."),
        "commit_failed": _event(
            "warning",
            "A commit was refused; `result` says what becomes of it, as in `bridge_commits_total`.",
            f"{PLACE} result message",
        ),
        "dead_letters_plain": _event(
            "warning",
            "The brokers take no idempotent producer: dead letters are written without, and one may be there twice.",
            "message",
        ),
        "batch_refused": _event(
            "warning",
            "The API refused a whole call for good; its events become dead letters.",
            "batch events spans verdict code message",
        ),
        "batch_retried": _event(
            "warning",
            "A call is sent again, the same bytes, after `in_seconds`.",
            "batch events spans attempt reason code message in_seconds",
        ),
        "record_failing": _event(
            "warning",
            "One record fails again and again, without a word against it. `accepted_beside` counts the attempts beside "
            "which others were accepted: with enough of them it is given up as `stuck`; without, it stays, since it may "
            "be an outage. Once a minute at most.",
            f"{PLACE} rule attempts accepted_beside seconds code message",
        ),
        "batch_split": _event(
            "warning", "A refused call is halved to find the culprit.", "batch events spans code message"
        ),
        "answer_unknown": _event(
            "warning", "An answer of status 2xx could not be read; with its shape.", "batch events spans code message"
        ),
        "circuit_opened": _event(
            "warning", "Too many calls failed in a row: only probes go out.", "failures code message"
        ),
        "circuit_closed": _event("info", "A probe was answered: calls go out again."),
        "dead_letter": _event(
            "warning",
            "A record, or one of its events, is in the dead-letter topic.",
            f"rule cause code message {PLACE}",
        ),
        "dead_letter_failed": _event(
            "error",
            "Kafka did not take a dead letter; the partition is held, and it is tried again.",
            f"{PLACE} failures message",
        ),
        "hold": _event(
            "error",
            "Something is held; with what lifts it. A warning where an operator paused it.",
            f"reason scope detail lifted_by rule {PLACE}",
        ),
        "hold_lifted": _event("info", "It goes on, or the partition went to another process.", "reason scope seconds"),
        "rewind": _event(
            "error",
            "Somebody set the group back: nothing is sent again before it is accepted; a warning where the settings "
            "accept it already.",
            f"{PLACE} detail accepted",
        ),
        "metadata_shortened": _event(
            "warning",
            "The brokers refuse commit metadata of that many bytes: it is made shorter from here on. Once in a process.",
            "size message",
        ),
        "metadata_refused": _event(
            "error",
            "The brokers take no commit metadata at all; the line says what is not promised without it. Once in a process.",
            "size message",
        ),
        "metadata_foreign": _event(
            "warning",
            "The metadata of a commit was written for another commit, topic or cluster: what it says does not count here.",
            "topic partition offset message",
        ),
        "records_lost": _event(
            "error",
            "Kafka deleted records before they were read, or nobody can read them; with how many, and the range.",
            "topic partition count message",
        ),
        "records_not_read": _event(
            "warning",
            "Partitions of a topic begin behind records that the group has never read, as far as Kafka knows; with how many "
            "at most.",
            "topic count message",
        ),
        "transaction_open": _event(
            "warning",
            "The position stands at the last stable offset: a producer's transaction is open there, for a minute by now. "
            "Every ten minutes while it lasts.",
            f"{PLACE} seconds message",
        ),
        "transaction_over": _event(
            "info", "That transaction has ended, or the partition is gone or paused.", f"{PLACE} seconds"
        ),
        "partition_unreadable": _event(
            "error",
            "Nothing can be read of a partition though there is more: the words of Kafka's client, and what to do. It is "
            "tried again by itself.",
            f"{PLACE} message advice",
        ),
        "partition_readable": _event("info", "It can be read again, or was gone past.", PLACE),
        "rules_loaded": _event("info", "The rules were loaded again; with their hash.", "hash"),
        "rules_refused": _event("error", "New rules are broken: the former ones go on.", "findings"),
        "secret_changed": _event("info", "A secret's file has another text, used from now on.", "setting file"),
        "secret_unreadable": _event(
            "error", "A secret's file cannot be used; the known text stays in use.", "setting file message"
        ),
        "stalled": _event(
            "error",
            "Nothing was finished for long though there is lag; with what is waited for and the stacks of all threads "
            "and tasks.",
            "why seconds lag waiting_for stacks",
        ),
        "stall_over": _event("warning", "Records are finished again."),
        "admin_action": _event(
            "info",
            "An operator acted: the action, its arguments and reason, and what came of it.",
            "action … reason remote done refused",
        ),
        "admin_refused": _event("info", "An action was asked for without the right token.", "action remote status"),
        "library": _event(
            "warning", "A line of a library that is used (librdkafka, aiohttp, asyncio).", "name message exception"
        ),
        "payload": _event(
            "info",
            "What a record held or an event is, only with `logs.log_payloads`, less what `logs.redact` names. `what` is "
            "`record` (it became a dead letter), `event` (it was refused) or `sent` (at level debug, each that goes out).",
            f"what rule name {PLACE} size payload",
        ),
        "left_out": _event(
            "warning",
            "Lines of a kind were too many; how many were not written, and in which time.",
            "kind count seconds",
        ),
        "unexpected": _event("error", "A bug: an exception that nobody expects; with where it was.", "where exception"),
    }
)
