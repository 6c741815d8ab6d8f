"""What Kafka was asked and has not answered: after ten seconds it is a trouble that people are told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import KafkaError

from bridge.flow import TopicPartition
from bridge.kafka.errors import VAGUE, Trouble, plain

PATIENCE_SECONDS: Final = 10.0
_MOST: Final = 5
"""So many are named; of the others it is said how many there are."""


class _Question(NamedTuple):
    since: float
    error: KafkaError | None


class Questions:
    """The open questions. `now` and `since` are monotonic seconds."""

    def __init__(self) -> None:
        self._open: dict[str, _Question] = {}

    def unanswered(self, question: str, error: KafkaError | None, since: float) -> None:
        """A question is open since then; `error` is what the last attempt met, None where nothing came at all."""
        self._open[question] = _Question(since, error)

    def answered(self, question: str) -> None:
        """It is answered, or nobody asks any more."""
        self._open.pop(question, None)

    def trouble(self, now: float, hint: str) -> Trouble | None:
        """What to tell: the questions that are open for ten seconds. `hint`: what else is known to be wrong."""
        late = {question: each for question, each in self._open.items() if now >= each.since + PATIENCE_SECONDS}
        if not late:
            return None
        errors = {plain(each.error): None for each in late.values() if each.error is not None}
        clear = [plain(each.error) for each in late.values() if each.error and each.error.code() not in VAGUE]
        why = clear[0] if clear else hint or next(iter(errors), "no answer came")
        return Trouble("unanswered", f"Kafka has not told for over 10 s: {listed(sorted(late))} ({why})")


def listed(names: list[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(names[:_MOST]) + more


def places(names: Mapping[TopicPartition, object] | list[TopicPartition]) -> str:
    """Partitions for people: `orders[0], orders[3] and 4 more`."""
    return listed([f"{topic}[{number}]" for topic, number in sorted(names)])
