"""Refreshes what is known of the partitions about once a second. Kafka thread only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name
from bridge.kafka.client.assignment import Assignment
from bridge.kafka.client.broker_health import BrokerHealth
from bridge.kafka.client.counters import KafkaCounters, PartitionFacts
from bridge.kafka.client.resolve_start import end_offsets
from bridge.kafka.errors import SILENT_SECONDS
from bridge.offsets.commits import Committer

_EVERY: Final = 1.0
_ENDS_EVERY: Final = 3.0
_ENDS_SECONDS: Final = 0.2


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

    def refresh(self, consumer: Consumer, now: float) -> None:
        """Refresh what is due; cheap when nothing is."""
        if now < self._at:
            return
        self._at = now + _EVERY
        if now >= self._ends_at:
            self._ends_at = now + _ENDS_EVERY
            quiet = self._quiet(consumer, now)
            self._ask_ends(consumer, quiet)
            for name in quiet:
                end = self._ends.get(name)
                if end is not None and end > self._assignment.states[name].position:
                    self._assignment.silent(name, end)
        committed, told = self._committer.committed(), self._told()
        lost = self._health.links.cut_off(self._assignment.states, now)
        self._cut_off = {name for names in lost.values() for name in names}
        self._counters.refused_progress = self._committer.refused_progress
        self._counters.partitions = {
            name: PartitionFacts(
                state.epoch,
                state.position,
                committed.get(name),
                self._end(consumer, name),
                self._assignment.stopped(state),
                state.started,
                self._assignment.no_room(state),
                told.get(name),
            )
            for name, state in self._assignment.states.items()
        }

    def _told(self) -> Mapping[Name, str]:
        """Why partitions cannot be read; those that the brokers forbid are told as a trouble, not here."""
        told = self._assignment.unreadable.told()
        return {name: f"{each.advice} ({each.message})" for name, each in told.items() if each.kind == "unreadable"}

    def _quiet(self, consumer: Consumer, now: float) -> set[Name]:
        """Partitions that are read and brought nothing for long, though their end seems to lie further on.

        Only their stable end proves it: the known end may lie behind an open transaction.
        """
        found: set[Name] = set()
        for state in self._assignment.states.values():
            if self._assignment.stopped(state):
                state.heard = now
            elif now - state.heard > SILENT_SECONDS and (self._end(consumer, state.name) or 0) > state.position:
                found.add(state.name)
        return found

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

    def _end(self, consumer: Consumer, name: Name) -> int | None:
        if name in self._cut_off or not self._health.reachable():
            return None
        if name in self._ends:
            return self._ends[name]
        _, high = consumer.get_watermark_offsets(TopicPartition(*name), cached=True)
        return high if high >= 0 else None
