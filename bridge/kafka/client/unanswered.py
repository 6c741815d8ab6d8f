"""Which questions Kafka has not answered yet, since when, and what it said instead. Kafka thread only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError

OVERDUE_SECONDS: Final = 10.0
"""After which a question without an answer is told to people."""
_FIRST_WAIT: Final = 0.3
_MOST_WAIT: Final = 5.0
_SOON: Final = 0.05


class Question(NamedTuple):
    """`text` says what is asked, for people. `ask` blocks for a second at most, and raises KafkaException."""

    text: str
    ask: Callable[[Consumer], None]


@dataclass(slots=True)
class Asked:
    """An open question, in monotonic seconds: since when, and when it is asked again. `error` came last."""

    since: float
    again_at: float = 0.0
    wait: float = _FIRST_WAIT
    error: KafkaError | None = None


class Open:
    """The open questions. One that fails is asked again, less and less often."""

    def __init__(self) -> None:
        self._open: dict[str, Asked] = {}

    def keep(self, texts: Iterable[str], now: float) -> None:
        """These are the questions that there are; others are answered, or nobody asks them any more."""
        self._open = {text: self._open.get(text) or Asked(now) for text in texts}

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

    def overdue(self, now: float) -> Mapping[str, Asked]:
        """The questions that people are to know of."""
        return {text: found for text, found in self._open.items() if now > found.since + OVERDUE_SECONDS}

    def next_at(self) -> float:
        """When there is something to ask next."""
        return min((found.again_at for found in self._open.values()), default=0.0)
