"""The labels of our metrics and the words that each may take: every label set is bounded and known before its use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bridge.delivery.admission import Reason
from bridge.delivery.calls import AGAIN
from bridge.delivery.dead_letter_headers import CAUSES, RESULTS
from bridge.flow import Outcome, Stage, Verdict
from bridge.rules.map.faults import FAULTS

OTHER = "other"


class MetricLabel(NamedTuple):
    """A label. `words` are all its values; empty where the settings, the rules or the assignment give them."""

    name: str
    bound: str
    """For the reference page: what limits how many values there are."""
    words: tuple[str, ...] = ()
    numeric: bool = False
    """HTTP status codes beside `words` are shown as they are (at most 500 of them)."""

    def shown(self, word: str) -> str:
        """The value to show for a word: itself if it is listed, else `other`."""
        if word in self.words or (self.numeric and len(word) == 3 and word.isascii() and word.isdigit()):
            return word
        return OTHER

    def counts(self, counted: Mapping[Any, float]) -> Iterator[tuple[str, float]]:
        """Each word with its count, 0 where nothing was counted; unlisted words are added up as `other`."""
        shown: dict[str, float] = dict.fromkeys(self.words, 0)
        for word, count in counted.items():
            key = word if word in shown else self.shown(word)
            shown[key] = shown.get(key, 0) + count
        yield from shown.items()


TOPIC = MetricLabel("topic", "topics of the settings")
PARTITION = MetricLabel("partition", "partitions assigned to this process; removed on revoke")
RULE = MetricLabel("rule", "loaded rules")
EVENT = MetricLabel("event", "events that the loaded rules can make, each under its rule")
VERSION = MetricLabel("version", "one")
PYTHON = MetricLabel("python", "one")
HASH = MetricLabel("hash", "one: the rules that are loaded")


def _words(name: str, words: Iterable[str], *, numeric: bool = False) -> MetricLabel:
    listed = tuple(words)
    return MetricLabel(name, "the words listed" + (", and other HTTP status codes" if numeric else ""), listed, numeric)


OUTCOME = _words("outcome", (outcome.value for outcome in Outcome))
OF_NO_RULE = frozenset({"internal_error"})
"""Faults of the mapper itself, which names no rule: they show as dead letters alone."""
MAPPING_ERROR = _words(
    "reason",
    (
        *(code for code, fault in FAULTS.items() if fault.stage in (Stage.MAP, Stage.SIZE) and code not in OF_NO_RULE),
        OTHER,
    ),
)
RESULT = _words("result", ("accepted", "expired", *dict.fromkeys(RESULTS.values()), OTHER))
DEAD_LETTER = _words("reason", (*CAUSES, OTHER))
CODE = _words(
    "code",
    (
        *("200", "202", "207", "400", "401", "403", "404", "408", "413", "422", "429", "500", "502", "503", "504"),
        *("timeout", "connect", "dns", "tls", "proxy", "reset", "answer_too_large", "protocol", OTHER),
    ),
    numeric=True,
)
RETRY = _words(
    "reason", (*(verdict.value for verdict in Verdict if verdict in AGAIN or verdict is Verdict.OVERSIZED), OTHER)
)
WAIT = _words("reason", ("backoff", "retry_after", "breaker", "budget", "rate_limit", "hold", OTHER))
COMMIT = _words("result", ("ok", "retried", "kept", "lost", "setup", "fatal", "nothing", OTHER))
REBALANCE = _words("event", ("assigned", "revoked", "lost", OTHER))
KAFKA_TROUBLE = _words(
    "kind",
    (
        *("unreachable", "authentication", "tls", "authorization", "unknown_topic", "unsupported", "instance_id"),
        *("group", "unanswered", "cluster_id", "commit", "dead_letter_topic", "unreadable", "settings", "fatal", OTHER),
    ),
)
HOLD = _words("reason", (*(reason.value for reason in Reason), OTHER))
RELOAD = _words("result", ("ok", "failed"))
LEFT_OUT = _words("why", ("rate", "queue"))
