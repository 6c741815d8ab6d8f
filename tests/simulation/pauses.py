"""The group that keeps the pauses, `<group>.paused`: the least that stands for `bridge.kafka.client.pauses`.

What is said and what follows from it are the real `bridge.delivery.pauses`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge.delivery import operate
from bridge.delivery.pauses import Aim, Book, Page, read_page
from bridge.flow import TopicPartition
from tests.simulation.log import TOPIC

if TYPE_CHECKING:
    from tests.simulation.member import Member
    from tests.simulation.world import World

EVERY = 4.0
AGAIN = 0.5


class PauseOracle:
    """What people said and Kafka acknowledged, kept by other means than the book: the truth about pauses."""

    def __init__(self) -> None:
        self._topic: float | None = None
        self._of: dict[int, float | None] = {}

    def said(self, partition: int | None, now: float, *, paused: bool) -> None:
        """Kafka has it."""
        if partition is None:
            # The last word on the topic is the last on each of its partitions.
            self._topic = (now if self._topic is None else self._topic) if paused else None
            self._of = {number: (since or now) if paused else None for number, since in self._of.items()}
        else:
            before = self.since(partition)
            self._of[partition] = (now if before is None else before) if paused else None

    def since(self, partition: int) -> float | None:
        """Since when a partition is paused, in seconds of the run; None while it is not."""
        return self._of.get(partition, self._topic)


class Pauses:
    """One member's view. What it reads is told to its delivery thread before any partition begins by it."""

    def __init__(self, world: World, member: Member) -> None:
        self._world = world
        self._member = member
        self.book = Book()
        self.read_at = float("-inf")
        self.to_hand_over: list[tuple[Book, float]] = []
        """For the delivery thread: books, and when each was read."""
        self._due = world.now
        self._heard = self.book

    def known(self, since: Mapping[int, float]) -> bool:
        """Whether it was read after each of these moments; asks where it was not."""
        if all(self.read_at >= moment for moment in since.values()):
            return True
        self._due = min(self._due, self._world.now)
        self.turn()
        return all(self.read_at >= moment for moment in since.values())

    def turn(self) -> None:
        """Read when it is due, and repair what Kafka lacks."""
        world = self._world
        if world.now < self._due:
            return
        self._due = world.now + AGAIN
        if world.kafka.away or world.faults.hit("pauses: no answer", world.scenario.strength.read):
            return
        before, pages = self.book, self._pages()
        self._keep(self.book.with_pages(pages))
        self._write(self.book.lacking(pages))
        if before != self.book and world.faults.hit("pauses: a late repetition", 0.4):
            self._write({name: page for name, page in before.to_keep(pages).items() if self._just_ended(name, page)})
        self._due = world.now + EVERY

    def _just_ended(self, name: TopicPartition, page: Page) -> bool:
        """Whether a page is of the pause that somebody ended just now: who writes it again had read it a moment before."""
        ended = self._world.pause_oracle.since(name[1]) is None
        return ended and page.serial + 1 == read_page(self._world.kafka.paused.get(name[1])).serial

    def _pages(self) -> dict[TopicPartition, Page]:
        kept = self._world.kafka.paused
        return {(TOPIC, number): read_page(kept.get(number)) for number in range(len(self._world.kafka.logs))}

    def _write(self, pages: Mapping[TopicPartition, Page]) -> None:
        for (_, number), page in pages.items():
            self._world.kafka.paused[number] = page.text()

    def _keep(self, book: Book) -> None:
        self.book, self.read_at = book, self._world.now
        self.to_hand_over.append((book, self.read_at))
        self._member.wake_at = 0.0

    def say(self, partition: int | None, *, paused: bool) -> bool:
        """Somebody says it to this member; whether Kafka has it."""
        world = self._world
        if world.kafka.away:
            return False
        aims: list[Aim] = [(TOPIC, partition)]
        book = self.book.with_pages(self._pages()).saying(aims, self._member.now_ms, "because", paused=paused)
        aimed_at = range(len(world.kafka.logs)) if partition is None else (partition,)
        self._write({(TOPIC, number): book.page((TOPIC, number)) for number in aimed_at})
        world.pause_oracle.said(partition, world.now, paused=paused)
        self._keep(book)
        return True

    def take_in(self) -> float:
        """The delivery thread's: take in what was read; returns when the newest of it was."""
        at = float("-inf")
        for book, read_at in self.to_hand_over:
            operate.keep_to_pauses(self._member.delivery, book)
            at = read_at
        self.to_hand_over.clear()
        return at
