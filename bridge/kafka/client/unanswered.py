"""What Kafka was asked and has not answered: since when, what it said instead, and what a person is told. Kafka thread only.

After ten seconds it is a trouble that people are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError

from bridge.flow import TopicPartition
from bridge.kafka.errors import VAGUE, Trouble, plain

OVERDUE_SECONDS: Final = 10.0
"""After which a question without an answer is told to people."""
_FIRST_WAIT: Final = 0.3
_MOST_WAIT: Final = 5.0
_SOON: Final = 0.05


class KafkaQuestion(NamedTuple):
    """`text` says what is asked, for people. `ask` blocks for a second at most, and raises KafkaException."""

    text: str
    ask: Callable[[Consumer], None]


@dataclass(slots=True)
class OpenQuestion:
    """An open question, in monotonic seconds: since when, and when it is asked again. `error` came last."""

    since: float
    again_at: float = 0.0
    wait: float = _FIRST_WAIT
    error: KafkaError | None = None


class OpenQuestions:
    """The open questions. One that fails is asked again, less and less often."""

    def __init__(self) -> None:
        self._open: dict[str, OpenQuestion] = {}

    def keep(self, texts: Iterable[str], now: float) -> None:
        """Keep these questions open, and drop all others: they are answered, or not asked any more."""
        self._open = {text: self._open.get(text) or OpenQuestion(now) for text in texts}

    def due(self, text: str, now: float) -> bool:
        """Whether to ask it now."""
        return now >= self._open[text].again_at

    def turn(self, text: str) -> float:
        """What was asked longest ago, or never, has its turn first."""
        return self._open[text].again_at

    def failed(self, text: str, error: KafkaError, now: float) -> None:
        """Kafka did not answer, and said this."""
        found = self._open[text]
        found.error, found.again_at = error, now + found.wait
        found.wait = min(2 * found.wait, _MOST_WAIT)

    def pending(self, text: str, error: KafkaError | None, now: float) -> None:
        """The answer is under way; the error is the last that was met meanwhile."""
        found = self._open[text]
        found.error, found.again_at = error, now + _SOON

    def is_overdue(self, text: str, now: float) -> bool:
        """Whether it has no answer for so long that people are to know."""
        return text in self.overdue(now)

    def overdue(self, now: float) -> Mapping[str, OpenQuestion]:
        """The questions that people are to know of."""
        return {text: found for text, found in self._open.items() if now > found.since + OVERDUE_SECONDS}

    def next_at(self) -> float:
        """When there is something to ask next."""
        return min((found.again_at for found in self._open.values()), default=0.0)


PATIENCE_SECONDS: Final = 10.0
_MOST: Final = 5
"""So many are named; of the others it is said how many there are."""


class _Late(NamedTuple):
    since: float
    error: KafkaError | None


class Unanswered:
    """The open questions. `now` and `since` are monotonic seconds."""

    def __init__(self) -> None:
        self._open: dict[str, _Late] = {}

    def unanswered(self, question: str, error: KafkaError | None, since: float) -> None:
        """A question is open since then; `error` is what the last attempt met, None where nothing came at all."""
        self._open[question] = _Late(since, error)

    def answered(self, question: str) -> None:
        """It is answered, or not asked any more."""
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
