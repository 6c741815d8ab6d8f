"""The book of pauses: what people said of partitions and topics, and what follows from it. Pure.

It is kept in Kafka, one commit a partition in a group of its own (`kafka.pauses`). Each commit says what was said last
of its partition, and beside it what was said last of the whole topic: so a topic's pause holds for partitions that are
added later, and resuming one partition does not end it for the others.

Everything said has a serial number, one above all that was known of its topic when it was said: clocks decide nothing.
The higher serial counts; where two people spoke at once, what Kafka took last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from bridge.flow import TopicPartition

Aim = tuple[str, int | None]
"""What somebody speaks of: a partition of a topic, or with None the topic as a whole."""

_SAID: Final = re.compile(r"(?:(?P<serial>\d{1,15}),(?P<word>[pr]),(?P<since>\d{1,15}))?", re.ASCII)
_FORM: Final = "p1;"

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Said:
    """One word of a person. `since` is in milliseconds since 1970, by the clock of the process that was told."""

    serial: int
    paused: bool
    since: int
    reason: str = field(default="", compare=False)
    """Known only to the process that was told: it is not written into Kafka."""

    def text(self) -> str:
        """As it is committed."""
        return f"{self.serial},{'p' if self.paused else 'r'},{self.since}"


class Page(NamedTuple):
    """What the commit of one partition says: of the partition itself, and of its topic."""

    own: Said | None
    topic: Said | None

    def text(self) -> str:
        """The commit's metadata. Later versions write more behind it, which this one reads over."""
        return f"{_FORM}{self.own.text() if self.own else ''};{self.topic.text() if self.topic else ''}"

    @property
    def serial(self) -> int:
        """The highest serial on it; the commit's offset, for whoever looks at the group with other tools."""
        return max((said.serial for said in self if said is not None), default=0)


BLANK: Final = Page(None, None)


def read_page(metadata: str | None) -> Page:
    """A commit's metadata, read; blank where it is not ours."""
    fields = (metadata or "").removeprefix(_FORM).split(";") if (metadata or "").startswith(_FORM) else []
    found = [_SAID.fullmatch(text) for text in fields[:2]]
    if len(found) < 2 or None in found:
        return BLANK
    return Page(*(_said(match) for match in found))


def _said(match: re.Match[str] | None) -> Said | None:
    if match is None or match["serial"] is None:
        return None
    return Said(int(match["serial"]), match["word"] == "p", int(match["since"]))


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that was said last, by partition and by topic."""

    partitions: Mapping[TopicPartition, Said] = field(default_factory=dict)
    topics: Mapping[str, Said] = field(default_factory=dict)

    def paused(self, name: TopicPartition) -> Said | None:
        """The pause that a partition is in, or None. Of its own word and its topic's the later one counts."""
        found = [said for said in (self.partitions.get(name), self.topics.get(name[0])) if said is not None]
        last = max(found, key=lambda said: (said.serial, said.paused), default=None)
        return last if last is not None and last.paused else None

    def whole(self, name: TopicPartition) -> bool:
        """Whether the pause that a partition is in is its topic's."""
        return self.paused(name) is not None and self.paused(name) is self.topics.get(name[0])

    def page(self, name: TopicPartition) -> Page:
        """What the commit of a partition has to say."""
        return Page(self.partitions.get(name), self.topics.get(name[0]))

    def with_pages(self, pages: Mapping[TopicPartition, Page]) -> Book:
        """The book with what Kafka says. What Kafka has not, or not any more, stays: nothing but a word lifts a pause."""
        partitions, topics = dict(self.partitions), dict(self.topics)
        for name, page in pages.items():
            _keep_later(partitions, name, page.own)
        for name, page in sorted(pages.items(), key=lambda entry: entry[1].serial):
            _keep_later(topics, name[0], page.topic)
        return Book(partitions, topics)

    def lacking(self, pages: Mapping[TopicPartition, Page]) -> dict[TopicPartition, Page]:
        """The pages that Kafka should have and has not: never written, lost, or written over with something older."""
        return {
            name: mine
            for name, page in pages.items()
            if (mine := self.page(name)) != page and (page != BLANK or self._matters(name))
        }

    def _matters(self, name: TopicPartition) -> bool:
        return any(said is not None and said.paused for said in self.page(name))

    def to_keep(self, names: Iterable[TopicPartition]) -> dict[TopicPartition, Page]:
        """The pages of these partitions that have to be written again now and then, so that Kafka does not forget them."""
        return {name: self.page(name) for name in names if self._matters(name)}

    def saying(self, aims: Sequence[Aim], now_ms: int, reason: str, *, paused: bool) -> Book:
        """The book after somebody paused or resumed something."""
        partitions, topics = dict(self.partitions), dict(self.topics)
        for topic, partition in aims:
            said = Said(self._next(topic), paused, now_ms, reason)
            if partition is None:
                topics[topic] = said
            else:
                partitions[topic, partition] = said
        return Book(partitions, topics)

    def _next(self, topic: str) -> int:
        own = [said for name, said in self.partitions.items() if name[0] == topic]
        whole = [said for name, said in self.topics.items() if name == topic]
        return 1 + max((said.serial for said in own + whole), default=0)


def _keep_later(known: dict[Key, Said], key: Key, said: Said | None) -> None:
    """What Kafka says counts unless something later is known; the same word keeps its reason."""
    mine = known.get(key)
    if said is not None and (mine is None or (said != mine and said.serial >= mine.serial)):
        known[key] = said


def covers(aim: Aim, name: TopicPartition) -> bool:
    """Whether a partition is spoken of."""
    return aim[0] == name[0] and aim[1] in (None, name[1])


def aim_text(aim: Aim) -> str:
    """As a person writes it."""
    return aim[0] if aim[1] is None else f"{aim[0]}:{aim[1]}"
