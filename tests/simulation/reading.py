"""Reading of one member: where a partition begins, what is fetched, seeks that are refused, lost or forgotten.

The decisions are the real ones: `bridge.offsets.begin` resolves, `bridge.kafka.client.refetch` sees to it that a seek arrives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, TopicPartition

from bridge.flow import RECORD_OVERHEAD, Assigned, EndReached, Lost, Records, SendLimitCommitted, Sought
from bridge.kafka.client.refetch import Seeks
from bridge.offsets.begin import Group, Known, Resolved, begins, group_of, own_metadata, resolve, since_when
from bridge.offsets.commits import Began, Origin
from tests.simulation.faults import Violation
from tests.simulation.group import HERE, is_ours
from tests.simulation.log import NEVER, TOPIC, Log
from tests.simulation.records import Rec, Track

if TYPE_CHECKING:
    from tests.simulation.consumer import Consumer

MOST = (1, 3, 10, 30)
"""Records that one fetch brings."""
RETRY = 0.3
RECENT = 24 * 3600.0
FIRST_CONTACT = 2.0
"""So long after the first start an end that is told is that of then."""
BEYOND_END = 5.0
"""How long an end below the committed offset is doubted."""


class Reading:
    """A partition that is read."""

    __slots__ = (
        "back",
        "before_seek",
        "end_told",
        "epoch",
        "furthest",
        "held",
        "newest",
        "paused",
        "position",
        "sequence",
        "track",
        "unchecked",
        "unreadable",
    )

    def __init__(self, track: Track, position: int, epoch: int, *, held: bool) -> None:
        self.epoch = epoch
        """The leader epoch of `newest`; -1 if unknown."""
        self.track = track
        self.position = position
        """Where the client fetches next."""
        self.furthest = position
        """The furthest end that was reached, or where reading began."""
        self.before_seek = position
        self.back: int | None = None
        """Where it is to be read again from, and nothing has come from there yet."""
        self.newest = position - 1
        """The highest offset read, gone past, or spoken of by the commit that reading began with."""
        self.held = held
        self.paused = False
        self.sequence = 0
        """The state of the truth at the last `Progress` that the committer was told of."""
        self.end_told = -1
        self.unreadable = False
        """The client gives an error for what comes next."""
        self.unchecked = False
        """It is to be read again, and waits for the leader to tell whether the log is still the one that was read."""

    @property
    def reached(self) -> int:
        """Behind all that was read, and all that was stood behind without reading it: gaps and markers."""
        return max(self.newest + 1, self.furthest, self.position)

    def overlooks(self, end: int) -> bool:
        """Whether a log that is cut off there goes unnoticed: it read beyond that, and goes on before it unasked."""
        goes_on = self.position if self.back is None else min(self.position, self.back)
        asks = self.back is not None and self.epoch >= 0 and (self.paused or self.unchecked)
        return goes_on <= end < self.reached and not asks


class Reader:
    """The partitions that a member has, with and without a start. It is its own client for `Seeks`."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.world = consumer.world
        self.readings: dict[int, Reading] = {}
        self.new: dict[int, float] = {}
        """Partitions without a start yet, and since when."""
        self.seeks = Seeks()
        self._retry_at = 0.0
        self.earlier: dict[int, int] = {}
        """What this process committed, by partition."""
        self.committed_at = float("-inf")
        self.first: tuple[Began, float] | None = None
        """What was decided where the group was new to the topic, and when."""

    def forget(self, number: int) -> None:
        """The partition is not read any more."""
        self.readings.pop(number, None)
        self.seeks.forget((TOPIC, number))

    # where it begins

    def begin_new(self) -> None:
        """Ask Kafka where the new partitions begin."""
        world = self.world
        if not self.new or world.now < self._retry_at:
            return
        if not self.consumer.pauses.known(self.new):
            return
        self._retry_at = world.now + RETRY
        if world.kafka.away or world.faults.hit("kafka: no answer about a start", world.scenario.strength.read):
            return
        logs = world.kafka.logs
        commits = {number: log.committed for number, log in enumerate(logs) if log.committed is not None}
        found = group_of(commits, self._origin())
        group = replace(found, has_commits=found.has_commits or bool(self.earlier))
        if not group.has_commits and self.first is None:
            self._decide()
        late = self.first is not None and world.now > self.first[1] + FIRST_CONTACT
        for number in sorted(self.new):
            if world.now < logs[number].led_from:
                continue
            seen = replace(group, began=self.first[0]) if late and self.first and not group.has_commits else group
            resolved = self._resolve(number, seen, lost_all=bool(self.earlier) and not commits)
            if not resolved.doubtful or world.now >= self.new[number] + BEYOND_END:
                came = self.new.pop(number)
                began = group.began if group.has_commits or self.first is None else self.first[0]
                self._begin(number, resolved._replace(began=began), first_contact=not group.has_commits and not late)
                self.readings[number].track.assigned_at = came

    def _decide(self) -> None:
        """The group is new to the topic, as far as this member can tell."""
        kafka = self.world.kafka
        began = begins(self.world.scenario.start_from, self.consumer.now_ms, len(kafka.logs))
        self.first = began, self.world.now
        if kafka.first_ends is None:
            kafka.first_ends = [log.end for log in kafka.logs]

    def _since(self, number: int, group: Group) -> int | None:
        """The first offset of a time, as the partition's leader tells it."""
        at_ms = since_when((TOPIC, number), group.began)
        if at_ms is None:
            return None
        log = self.world.kafka.logs[number]
        recs = self.world.truth.between(number, log.low, log.end)
        return next((rec.offset for rec in recs if rec.record.timestamp()[1] >= at_ms), None)

    def _resolve(self, number: int, group: Group, *, lost_all: bool) -> Resolved:
        world = self.world
        log = world.kafka.logs[number]
        end = log.end
        fresh = world.now < self.new[number] + BEYOND_END / 2
        if fresh and log.committed is not None and end > log.low and world.faults.hit("kafka: end told too low", 0.03):
            end = log.low + world.rng.below(end - log.low)
        recent = world.now - self.committed_at < RECENT
        known = Known(
            (TOPIC, number),
            log.committed,
            log.low,
            end,
            self._since(number, group),
            mark=self.consumer.shadow.ask(number),
            before=self.earlier.get(number, 0 if lost_all and recent else None),
            fresh=recent,
            epoch_end=self._epoch_end(log),
            origin=self._origin(),
        )
        return resolve(known, group, world.scenario.start_from, world.scenario.on_gap)

    def _origin(self) -> Origin:
        return HERE if self.world.scenario.topic_ids else replace(HERE, topic=0)

    def _epoch_end(self, log: Log) -> int | None:
        committed = log.committed
        if committed is None or committed.epoch < 0 or own_metadata(committed, self._origin()) is None:
            return None
        return log.end_of(committed.epoch)

    def _begin(self, number: int, resolved: Resolved, *, first_contact: bool) -> None:
        world, consumer = self.world, self.consumer
        log, start = world.kafka.logs[number], resolved.start
        self._check_lost(number, resolved.lost)
        if resolved.remade:
            consumer.shadow.forget(number)
        if start.hold == "rewind" and log.is_cut:
            # Nobody can tell what of the log before the cut is still as it was, where the topic may be another one.
            world.truth.reset(number, start.offset)
        if log.quiet:
            world.truth.send_limit[number] = max(world.truth.send_limit[number], start.send_limit)
        if log.committed is None and world.scenario.start_from == "latest" and resolved.began is not None:
            self._check_first(number, start.offset, resolved.began, first_contact=first_contact)
        base = set() if start.hold == "rewind" else world.kafka.known_finished(number)
        track = Track(number, next(world.epochs), start.offset, base, world.truth.incarnation[number])
        if log.committed is None and log.mark is not None and start.offset > log.mark:
            # Behind the mark nobody can tell what was delivered.
            log.set_back = False
            world.truth.consent(number)
        track.rewound = log.set_back
        reading = self.readings[number] = Reading(track, start.offset, start.leader_epoch, held=start.hold is not None)
        reading.paused = consumer.pauses.book.paused((TOPIC, number)) is not None
        reading.newest = max(reading.newest, start.delivered, start.send_limit)
        name = (TOPIC, number)
        consumer.committer.located(TOPIC, self._origin())
        runs, fresh, began = resolved.runs, resolved.fresh, resolved.began
        consumer.committer.assigned(name, track.epoch, start, runs=runs, fresh=fresh, began=began)
        world.tracks[track.epoch] = track
        consumer.intake.append(Assigned(*name, track.epoch, start, reading.paused))
        if start.send_limit >= 0:
            consumer.intake.append(SendLimitCommitted(*name, track.epoch, start.send_limit))

    def _check_first(self, number: int, offset: int, began: Began, *, first_contact: bool) -> None:
        """What is from before the group's first start is not read, and of what came since only what was not known of."""
        kafka, truth = self.world.kafka, self.world.truth
        for rec in truth.between(number, 0, offset - 1):
            if first_contact or rec.record.timestamp()[1] < began.at_ms:
                rec.gone = True
        ends = kafka.first_ends or []
        if (
            number < min(len(ends), began.partitions)
            and truth.incarnation[number] == 0
            and kafka.logs[number].mark is None
        ):
            history = [
                rec
                for rec in truth.between(number, offset, ends[number] - 1)
                if rec.record.timestamp()[1] < began.at_ms and not rec.gone and not rec.replayed
            ]
            if history:
                message = f"first start: {history[0]} is from before it, and {offset} is where {number} begins"
                raise Violation(message)

    def _check_lost(self, number: int, counted: int) -> None:
        """What Kafka deleted before it had an outcome is counted."""
        log, truth = self.world.kafka.logs[number], self.world.truth
        if log.committed is None or not is_ours(log.committed) or log.quiet:
            return
        gap = truth.between(number, min(log.committed.offset, log.cut_at), log.low - 1)
        lost = [rec for rec in gap if rec.deleted and rec.open and not rec.expires]
        if len(lost) > counted:
            message = f"lost: retention took {lost}, {counted} are counted"
            raise Violation(message)

    def restart(self, number: int) -> None:
        """The place to read from is gone (retention, truncation): commit, let go, and resolve it anew."""
        consumer = self.consumer
        consumer.commit_finally({number: None})
        self.world.kafka.flush(consumer)
        self.forget(number)
        consumer.committer.forget([(TOPIC, number)])
        consumer.intake.append(Lost(((TOPIC, number),)))
        self.new[number] = self.world.now
        self._retry_at = 0.0

    # seeks

    def give_back(self, number: int, offset: int) -> None:
        """An order to read again from an earlier offset.

        As in `Topic.cut` what no reader could notice is left out: without an epoch it finds the cut before it goes back.
        """
        reading = self.readings[number]
        cut = self.world.kafka.logs[number].cut_since(reading.track.incarnation)
        if reading.epoch < 0 and offset <= cut < NEVER and number not in (self.consumer.revoking or ()):
            self.restart(number)
            return
        self.seeks.order((TOPIC, number), offset)
        reading.back = offset

    def resume(self, number: int) -> None:
        """An order to read again: a client checks no position that was sought, so that the leader is asked before."""
        reading = self.readings[number]
        reading.paused = False
        reading.unchecked = self.seeks.is_open((TOPIC, number)) and reading.epoch >= 0

    def check_due(self) -> None:
        """Go on with what was resumed; where the log was cut off below what was read, resolve it anew."""
        for number, reading in list(self.readings.items()):
            log = self.world.kafka.logs[number]
            if not reading.unchecked or self.world.kafka.away or self.world.now < log.led_from:
                continue
            reading.unchecked = False
            if log.end_of(reading.epoch) < reading.reached:
                self.restart(number)

    def seek(self, partition: TopicPartition) -> None:
        """As a client seeks: refused, or lost without a word, or done."""
        faults, reading = self.world.faults, self.readings[partition.partition]
        if faults.hit("kafka: seek refused", 0.2):
            raise KafkaException
        reading.before_seek = reading.position
        if not faults.hit("kafka: seek lost", 5 * self.world.scenario.strength.read):
            reading.position = partition.offset
            reading.end_told = -1

    def go_past(self, number: int, first: int, to: int) -> None:
        """An order to go on behind what cannot be read."""
        reading, name = self.readings[number], (TOPIC, number)
        if not reading.unreadable or reading.position != first:
            return
        self.world.damage.passed(number, first, to)
        reading.position, reading.end_told, reading.unreadable = to, -1, False
        if to > reading.newest + 1:
            reading.newest, reading.epoch = to - 1, -1
        reading.back = to
        self.seeks.place(name, to)
        self.consumer.committer.past(name, to)
        self.consumer.intake.append(Sought(*name, reading.track.epoch, first))
        self.consumer.intake.append(EndReached(TOPIC, number, reading.track.epoch, to))

    def seek_due(self) -> None:
        """Do the seeks that were ordered, or have to be done again."""
        if self.seeks.any():
            stopped = {name for name in self.seeks.unconfirmed() if self._stopped(name[1])}
            for _ in self.seeks.do(self, stopped, self.world.now):
                pass
            for name, offset in self.seeks.doubted(stopped).items():
                self._place(name[1], offset)

    def _place(self, number: int, offset: int) -> None:
        """Let a partition go and take it again at an offset: whatever comes now is from there on."""
        reading, name = self.readings[number], (TOPIC, number)
        reading.position, reading.end_told = offset, -1
        self.seeks.placed(name)
        self.consumer.intake.append(Sought(*name, reading.track.epoch, offset))

    def _stopped(self, number: int) -> bool:
        reading = self.readings[number]
        return reading.paused or reading.held or reading.unchecked

    def pause(self, number: int) -> None:
        """A client forgets a seek when its partition is paused before a record came."""
        reading, name = self.readings[number], (TOPIC, number)
        reading.paused = True
        if self.seeks.wanted(name) is not None and self.world.faults.hit("kafka: seek forgotten", 0.5):
            reading.position = reading.before_seek
        self.seeks.paused([name])

    # what is read

    def read(self) -> None:
        """Fetch once from each partition that is read."""
        world = self.world
        rng, kafka, strength = world.rng, world.kafka, world.scenario.strength
        if kafka.away:
            return
        for number, reading in list(self.readings.items()):
            log = kafka.logs[number]
            if self._stopped(number) or world.now < log.led_from:
                continue
            cut = reading.epoch >= 0 and log.end_of(reading.epoch) < reading.position
            if reading.position == log.end == reading.end_told and not cut:
                continue
            chance = rng.random()
            if chance < 0.3:
                continue
            fetched = None if cut else kafka.fetch(number, reading.position, MOST[int(chance * 10) & 3])
            if fetched is None:
                self.restart(number)
                continue
            recs = kafka.readable(number, reading.position, fetched)
            reading.unreadable = recs is None
            if recs is None:
                continue
            if recs:
                reading.position = recs[-1].offset + 1
                self._hand_over(number, reading, recs)
                if strength.read and world.faults.hit("kafka: delivered twice", strength.read):
                    self._hand_over(number, reading, recs)
            else:
                self._end(number, reading, log.end)

    def _hand_over(self, number: int, reading: Reading, recs: list[Rec]) -> None:
        consumer = self.consumer
        if self.seeks.any() and not self._arrived(number, reading, recs[0].offset):
            return
        self.world.truth.fetched(recs)
        newest, epochs = recs[-1].offset, self.world.scenario.epochs
        epoch = self.world.kafka.logs[number].epoch_at(newest) if epochs else -1
        if newest >= reading.newest:
            reading.newest, reading.epoch = newest, max(reading.epoch, epoch)
        consumer.room.taken_bytes += sum(len(rec.record) + RECORD_OVERHEAD for rec in recs)
        consumer.room.taken_records += len(recs)
        consumer.committer.read((TOPIC, number), newest, epoch)
        consumer.intake.append(Records(TOPIC, number, reading.track.epoch, [rec.record for rec in recs]))

    def _end(self, number: int, reading: Reading, end: int) -> None:
        reading.end_told = reading.position = end
        reading.furthest = max(reading.furthest, end)
        if not self.seeks.any() or self._arrived(number, reading, None):
            self.consumer.committer.end((TOPIC, number), end)
            self.consumer.intake.append(EndReached(TOPIC, number, reading.track.epoch, end))

    def _arrived(self, number: int, reading: Reading, offset: int | None) -> bool:
        """Whether what came of a partition may be taken in; says so where it is the end of a seek."""
        name = (TOPIC, number)
        wanted = self.seeks.wanted(name)
        if not self.seeks.expected(name, offset):
            return False
        self.readings[number].back = None
        if wanted is not None:
            self.consumer.intake.append(Sought(*name, reading.track.epoch, wanted))
        return True
