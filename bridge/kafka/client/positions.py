"""Refreshes what is known of the partitions about once a second, of thousands less often. Kafka thread only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bridge.delivery.journal import Fact
from bridge.flow import TopicPartition as Name
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.broker_health import BrokerHealth
from bridge.kafka.client.counters import KafkaCounters, OpenTransaction, PartitionFacts
from bridge.kafka.client.partition_state import PartitionState
from bridge.kafka.client.resolve_start import end_offsets
from bridge.kafka.errors import OPEN_TRANSACTION, SILENT_SECONDS, TRANSACTION_SECONDS
from bridge.offsets.commits import Committer

_EVERY: Final = 1.0
_EACH: Final = 1_000
"""Partitions that are looked at in a second: of 5,000 what is shown is five seconds old."""
_ENDS_EVERY: Final = 3.0
_ENDS_SECONDS: Final = 0.2
_SAY_AGAIN_SECONDS: Final = 600.0
"""How often the log says that a transaction is still open."""


class Positions:
    """Positions, commits and ends of the assigned partitions.

    librdkafka learns a partition's end with every fetch, so it costs nothing. While a partition is paused that end stands
    still: then it is asked for, in a short call now and then. It is unknown while the leader is out of reach.
    """

    def __init__(
        self, assignment: Assignment, committer: Committer, health: BrokerHealth, counters: KafkaCounters
    ) -> None:
        self._assignment = assignment
        self._committer = committer
        self._health = health
        self._counters = counters
        self._at = 0.0
        self._ends_at = 0.0
        self._cut_off: set[Name] = set()
        self._ends: dict[Name, int | None] = {}
        self._said: dict[Name, tuple[float, float]] = {}
        """Where a transaction is open and the log has it: since when it is, and when that was said last."""

    def refresh(self, consumer: Consumer, now: float) -> None:
        """Refresh what is due; cheap when nothing is."""
        if now < self._at:
            return
        self._at = now + _EVERY * max(1.0, len(self._assignment.states) / _EACH)
        highs = _highs(consumer, self._assignment.states)
        self._hear(highs, now)
        if now >= self._ends_at:
            self._ends_at = now + _ENDS_EVERY
            quiet = self._quiet(now)
            self._ask_ends(consumer, quiet)
            for name in quiet:
                end = self._ends.get(name)
                if end is not None and end > self._assignment.states[name].position:
                    self._assignment.silent(name, end)
        committed, told = self._committer.committed(), self._told()
        lost = self._health.links.cut_off(self._assignment.states, now)
        self._cut_off = {name for names in lost.values() for name in names}
        self._counters.refused_progress = self._committer.refused_progress
        transactions = self._transactions(now)
        self._counters.partitions = {
            name: PartitionFacts(
                state.epoch,
                state.position,
                committed.get(name),
                self._end(highs, name),
                self._assignment.stopped(state),
                state.started,
                self._assignment.no_room(state),
                told.get(name),
                transactions.get(name),
            )
            for name, state in self._assignment.states.items()
        }

    def _told(self) -> Mapping[Name, str]:
        """Why partitions cannot be read; those that the brokers forbid are told as a trouble, not here."""
        told = self._assignment.unreadable.told()
        return {name: f"{each.advice} ({each.message})" for name, each in told.items() if each.kind == "unreadable"}

    def _hear(self, highs: Mapping[Name, int], now: float) -> None:
        """Nothing is missed of a partition that is not read, that has no more, or whose end is unknown."""
        for state in self._assignment.states.values():
            if self._assignment.stopped(state) or (self._end(highs, state.name) or 0) <= state.position:
                state.heard = now

    def _quiet(self, now: float) -> set[Name]:
        """Partitions that brought nothing for long, though their end seems to lie further on.

        Only their stable end proves it: the known end may lie behind an open transaction.
        """
        return {
            state.name
            for state in self._assignment.states.values()
            if now - state.heard > SILENT_SECONDS and not self._stands(state)
        }

    def _stands(self, state: PartitionState) -> bool:
        """Whether everything is read up to where a transaction is open. As of the last statistics, six seconds old at most."""
        stable = self._health.links.open_at(state.name)
        return stable is not None and stable <= state.position

    def _transactions(self, now: float) -> Mapping[Name, OpenTransaction]:
        """The partitions that stand at an open transaction; what lasts is told in the log, now and then, and its end."""
        states = [each for each in self._assignment.states.values() if each.heard < now and self._stands(each)]
        found = {each.name: OpenTransaction(each.heard, _told(now - each.heard)) for each in states}
        for state in states:
            _, said = self._said.get(state.name, (0.0, float("-inf")))
            if found[state.name].message and now >= said + _SAY_AGAIN_SECONDS:
                self._said[state.name] = state.heard, now
                place = self._stood(state.name, now - state.heard)
                self._counters.journal.note("transaction_open", "warning", **place, message=OPEN_TRANSACTION)
        for name in [name for name in self._said if name not in found or not found[name].message]:
            self._counters.journal.note("transaction_over", "info", **self._stood(name, now - self._said.pop(name)[0]))
        return found

    def _stood(self, name: Name, seconds: float) -> dict[str, Fact]:
        state = self._assignment.states.get(name)
        place = {"offset": state.position} if state is not None else {}
        return {"topic": name[0], "partition": name[1], **place, "seconds": round(seconds, 1)}

    def _ask_ends(self, consumer: Consumer, quiet: set[Name]) -> None:
        """Ask each leader by itself, so that a broker that does not answer hides only its own partitions."""
        by_leader: dict[int | None, list[Name]] = {}
        for state in self._assignment.states.values():
            if self._assignment.stopped(state) or state.name in quiet:
                by_leader.setdefault(self._health.links.leader(state.name), []).append(state.name)
        self._ends = {}
        for names in by_leader.values() if self._health.reachable() else ():
            try:
                self._ends |= end_offsets(consumer, names, _ENDS_SECONDS)
            except KafkaException as error:
                self._ends |= dict.fromkeys(names)
                self._health.asking_failed(error.args[0])

    def _end(self, highs: Mapping[Name, int], name: Name) -> int | None:
        if name in self._cut_off or not self._health.reachable():
            return None
        if name in self._ends:
            return self._ends[name]
        return highs[name] if highs[name] >= 0 else None


def _highs(consumer: Consumer, names: Iterable[Name]) -> dict[Name, int]:
    """The ends that came with the last fetches; negative where none did."""
    return {name: consumer.get_watermark_offsets(TopicPartition(*name), cached=True)[1] for name in names}


def _told(seconds: float) -> str:
    return OPEN_TRANSACTION if seconds >= TRANSACTION_SECONDS else ""
