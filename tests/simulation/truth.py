"""What really happened, and the invariants over it: kept beside the core, from what crosses its edges alone."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from bridge.jsontext import loads
from bridge.offsets.commits import MAX_BYTES, Commit
from tests.simulation.faults import Violation
from tests.simulation.records import REFUSED, Known, Place, Produced, Rec, Track
from tests.simulation.scenario import Scenario

DAY_MS = 86_400_000
SURELY_KNOWN_MS = 22 * 3_600_000
"""A dead letter of class `dedupe_expired` before this age (window, margin and wrong clocks off) is a wrong one."""


class Truth:
    """The oracle. Every method is told of one thing that crossed an edge, and raises `Violation`."""

    def __init__(self, scenario: Scenario) -> None:
        self.policy = scenario.policy
        self.wrong_clocks = scenario.wrong_clocks
        self.takes_notes = scenario.note_limit > 1_000
        self.recs: list[Rec] = []
        """Every record ever produced, by its serial number."""
        self.logs: list[list[Rec]] = []
        self.offsets: list[list[int]] = []
        self.now_ms = 0
        self.sequence = 0
        self.committed: list[int] = []
        self.checked: list[int] = []
        self.runs: list[tuple[int, str]] = []
        self.send_limit: list[int] = []
        self.spoken: list[int] = []
        """The highest offset of each log as it is now that a note ever called delivered or handed over, or that was gone past."""
        self.incarnation: list[int] = []
        """How often each log was cut or made anew."""
        self.memory: dict[str, int] = {}
        self.forgotten: list[int] = []
        """By partition up to which offset shortened metadata may have left out that records are finished."""
        self.twice_allowed = self.policy.on_dedupe_expired == "send" or scenario.wrong_clocks
        self._bytes: dict[bytes, Known] = {}
        self._bodies: dict[tuple[str, int], bytes] = {}
        for _ in range(scenario.partitions):
            self.add_partition()

    def add_partition(self) -> None:
        """The topic has one partition more."""
        self.logs.append([])
        self.offsets.append([])
        self.committed.append(0)
        self.checked.append(0)
        self.runs.append((-1, ""))
        self.send_limit.append(-1)
        self.spoken.append(-1)
        self.forgotten.append(-1)
        self.incarnation.append(0)

    def produced(self, record: Produced, lane: bytes | None) -> Rec:
        """A record is in its topic."""
        rec = Rec(record, lane, len(self.recs))
        self.recs.append(rec)
        self.logs[rec.partition].append(rec)
        self.offsets[rec.partition].append(rec.offset)
        return rec

    def cut(self, partition: int, end: int) -> None:
        """Kafka forgot what it had acknowledged: the records from an offset on are gone, their offsets begin again."""
        place = bisect_left(self.offsets[partition], end)
        self.incarnation[partition] += 1
        for rec in self.logs[partition][place:]:
            rec.gone = True
        del self.logs[partition][place:], self.offsets[partition][place:]
        self.committed[partition] = min(self.committed[partition], end)
        self.checked[partition] = min(self.checked[partition], end)
        self.runs[partition] = (-1, "")
        self.send_limit[partition] = min(self.send_limit[partition], end - 1)
        self.spoken[partition] = min(self.spoken[partition], end - 1)

    def between(self, partition: int, first: int, last: int) -> Sequence[Rec]:
        """Records with first ≤ offset ≤ last."""
        offsets = self.offsets[partition]
        return self.logs[partition][bisect_left(offsets, first) : bisect_left(offsets, last + 1)]

    def gone_past(self, partition: int, first: int, to: int) -> None:
        """A person let a partition go on behind what nobody can read: it is not asked for again."""
        for rec in self.between(partition, first, to - 1):
            rec.gone = True
        self.spoken[partition] = max(self.spoken[partition], to - 1)

    def consent(self, partition: int) -> None:
        """A person lets everything of the partition go out, though it may notify again."""
        for rec in self.recs:
            if rec.partition == partition:
                rec.replayed = True

    def reset(self, partition: int, offset: int) -> None:
        """Somebody set the committed offset back."""
        self.committed[partition] = self.checked[partition] = offset
        self.runs[partition] = (-1, "")
        self.send_limit[partition] = self.spoken[partition] = -1

    # what a member reads and sends

    def fetched(self, recs: Iterable[Rec]) -> None:
        """Records were read: from now on a commit may call them handed over."""
        for rec in recs:
            if rec.handed_ms is None:
                rec.handed_ms = self.now_ms

    def handed(self, track: Track, recs: Iterable[Rec]) -> None:
        """Records were handed to the delivery thread."""
        for rec in recs:
            if rec.offset in track.base or rec.offset in track.open or rec.offset in track.settled:
                continue
            if not rec.needs:
                self._settle(track, rec.offset)
                continue
            track.open[rec.offset] = rec.needs
            if rec.lane is not None and rec.events:
                waits = track.pending.setdefault(rec.lane, {})
                for item in range(len(rec.words)):
                    if rec.events >> item & 1:
                        waits[rec.offset, item] = rec

    def _settle(self, track: Track, offset: int) -> None:
        self.sequence += 1
        track.settled[offset] = self.sequence

    def read(self, body: bytes) -> list[Known]:
        """The events of a call; the same key always has the same bytes (I4)."""
        known = self._bytes
        events: list[Known] = []
        for text in body[2:-2].split(b"},{"):
            event = known.get(text)
            events.append(event if event is not None else self._new(text))
        return events

    def _new(self, text: bytes) -> Known:
        event = loads(b"{" + text + b"}")
        key, item = event["$idempotency_key"], event["i"]
        rec = self.recs[event["n"]]
        if rec.keys.setdefault(item, key) != key:
            message = f"I4 another key for the same event: {key} after {rec.keys[item]}"
            raise Violation(message)
        if self._bodies.setdefault((key, event["v"]), text) != text:
            message = f"I4 other bytes under the same rules for {rec} item {item}"
            raise Violation(message)
        known = self._bytes[text] = Known(rec, item, key)
        return known

    def started(self, track: Track | None, events: Sequence[Known], now_ms: int, texts: Sequence[bytes]) -> None:
        """A member sends the events of one partition in a call."""
        for event, text in zip(events, texts, strict=True):
            rec, item = event.rec, event.item
            if track is None:
                message = f"fence: {rec} sent without an assignment"
                raise Violation(message)
            if track.rewound:
                message = f"rewind: {rec} is sent before anybody accepted the rewind"
                raise Violation(message)
            if rec.offset in track.base:
                message = f"I7 {rec} was finished by the commit that epoch {track.epoch} began with, and is sent again"
                raise Violation(message)
            if not track.open.get(rec.offset, 0) >> item & 1:
                message = f"I7 {rec} item {item} has its outcome in epoch {track.epoch} and is sent again"
                raise Violation(message)
            covered = rec.offset <= self.send_limit[rec.partition]
            if not covered and not rec.gone and track.incarnation == self.incarnation[rec.partition]:
                message = f"send limit: {rec} is sent, the commit covers only {self.send_limit[rec.partition]}"
                raise Violation(message)
            if rec.expires is not None and rec.expires.get(item, now_ms) < now_ms:
                message = f"max_age: {rec} item {item} is sent though nobody wants it any more"
                raise Violation(message)
            place = (rec.offset, item)
            if track.sent.setdefault(place, text) != text:
                message = f"I4 {rec} item {item} was handed over before with other bytes"
                raise Violation(message)
        if track is not None:
            self._check_order(track, events, now_ms)

    def _check_order(self, track: Track, events: Sequence[Known], now_ms: int) -> None:
        last: dict[bytes, Place] = {}
        for rec, item, _ in events:
            if rec.lane is not None:
                place = (rec.offset, item)
                if place < last.get(rec.lane, (-1, -1)):
                    message = f"I6 lane {rec.lane!r}: {place} behind {last[rec.lane]} in one call"
                    raise Violation(message)
                last[rec.lane] = place
        if not last:
            return
        mine = {(rec.offset, item) for rec, item, _ in events}
        for lane, newest in last.items():
            if self.policy.strict_order and len({rec.offset for rec, _, _ in events if rec.lane == lane}) > 1:
                message = f"I6 strict order: several records of lane {lane!r} in one call"
                raise Violation(message)
            for place, rec in track.pending.get(lane, {}).items():
                if place >= newest:
                    break
                if (
                    place not in mine
                    and not (rec.expires and rec.expires.get(place[1], now_ms) < now_ms)
                    and not rec.gone
                ):
                    message = f"I6 lane {lane!r} of {track.partition}: {newest} is sent before {place} {rec}"
                    raise Violation(message)

    def leave_lane(self, track: Track, rec: Rec, item: int) -> None:
        """The event was answered or dead-lettered: the next of its lane may go."""
        if rec.lane is not None:
            waits = track.pending.get(rec.lane)
            if waits is not None:
                waits.pop((rec.offset, item), None)

    def learned(self, track: Track, rec: Rec, item: int) -> None:
        """The member has learned the outcome of an event: accepted, or its dead letter acknowledged."""
        self.leave_lane(track, rec, item)
        left = track.open.get(rec.offset)
        if left is None:
            return
        left &= ~(1 << item)
        if left:
            track.open[rec.offset] = left
        else:
            del track.open[rec.offset]
            self._settle(track, rec.offset)

    # what SuprSend and the dead-letter topic take

    def applied(self, event: Known, now_ms: int) -> None:
        """SuprSend processes an event: once, and not again as long as it remembers the key."""
        rec, item, key = event
        rec.open &= ~(1 << item)
        known_since = self.memory.get(key)
        if known_since is not None and now_ms - known_since < DAY_MS:
            return
        self.memory[key] = now_ms
        times = rec.notified[item] = rec.notified.get(item, 0) + 1
        forgotten = rec.offset <= self.forgotten[rec.partition]
        if times > 1 and not (rec.replayed or forgotten or self.twice_allowed):
            message = f"twice: {rec} item {item} notifies again"
            raise Violation(message)

    def _due(self, rec: Rec, item: int, cause: str, now_ms: int, *, day_behind: bool) -> bool:
        """Whether an event may be dead-lettered for that cause, by a process whose clock was once a day behind or not."""
        word = rec.words[item]
        if cause == "mapping":
            return word == "d"
        if cause in ("invalid", "too_large"):
            return word == REFUSED
        if cause == "stuck":
            seconds = (now_ms - rec.failing_ms.get(item, now_ms)) / 1000
            return rec.failed.get(item, 0) >= self.policy.stuck_attempts and seconds >= self.policy.stuck_seconds
        if cause == "dedupe_expired":
            # A short note has one time for many records: that of the oldest.
            return self.wrong_clocks or not self.takes_notes or now_ms - (rec.handed_ms or now_ms) > SURELY_KNOWN_MS
        if cause == "storm":
            return self._stormy(rec, day_behind=day_behind)
        return cause == "skipped_by_operator" and rec.skipped

    def _stormy(self, rec: Rec, *, day_behind: bool) -> bool:
        """Whether as many events as are let through were there for its one recipient in the time before it.

        What is a day ahead of the process's clock counts by that clock: where it is behind, a catch-up comes all at once.
        """
        limits = self.policy.storm
        if limits is None or limits.action != "dead_letter":
            return False
        if day_behind:
            return True
        at = rec.record.timestamp()[1]
        near = [each for each in self.recs if at - limits.per_ms <= each.record.timestamp()[1] <= at]
        return sum(len(each.words) for each in near) > limits.events

    def dead_lettered(self, rec: Rec, item: int, cause: str, now_ms: int, *, day_behind: bool = False) -> None:
        """A dead letter is in its topic (I5: only what had to be)."""
        if not self._due(rec, item, cause, now_ms, day_behind=day_behind):
            message = f"I5 {rec} item {item} is dead-lettered as {cause}"
            raise Violation(message)
        rec.dead[item] = cause
        rec.open &= ~(1 << item)

    # what Kafka keeps

    def commit(self, commit: Commit, now_ms: int, end: int, back_to: int) -> None:
        """Kafka takes a commit: nothing below it, and nothing its note calls finished, may be without an outcome.

        It never goes back, save to `back_to` or behind it, where the log leaves the leader epoch of the commit before it,
        and only over offsets that were reached, and that no note ever spoke of: the log may have been cut off there.
        """
        partition, offset, metadata = commit.partition, commit.offset, commit.metadata
        if offset < self.committed[partition] and not max(back_to, self.spoken[partition] + 1) <= offset:
            message = f"I3 {partition}: {offset} committed after {self.committed[partition]}"
            raise Violation(message)
        if offset > end:
            message = f"I2 {partition}: {offset} committed beyond the end {end}"
            raise Violation(message)
        self._none_lost(partition, self.checked[partition], offset - 1, now_ms, "is below the commit")
        self.committed[partition] = self.checked[partition] = offset
        if not metadata:
            self._without_note(commit)
            return
        _, _, send_limit, delivered, runs = metadata.split(";")
        if (offset, runs) != self.runs[partition]:
            self.runs[partition] = (offset, runs)
            for first, last in finished_runs(offset, runs, int(delivered)):
                self._none_lost(partition, first, last, now_ms, "is called finished")
        if commit.room < MAX_BYTES and int(send_limit) < int(delivered):
            # What a hold took back from the send limit stands in the runs alone, and these may not have fitted.
            self.forgotten[partition] = max(self.forgotten[partition], int(delivered))
        self.send_limit[partition] = int(send_limit)
        self.spoken[partition] = max(self.spoken[partition], int(send_limit), int(delivered))

    def covered(self, partition: int, send_limit: int) -> None:
        """Kafka has a commit that lets records up to an offset go out, whatever else it says."""
        self.send_limit[partition] = max(self.send_limit[partition], send_limit)
        self.spoken[partition] = max(self.spoken[partition], send_limit)

    def _without_note(self, commit: Commit) -> None:
        """Only where Kafka takes none: how long ago a record was first sent is forgotten by a restart then."""
        if self.takes_notes or commit.room:
            message = f"note: {commit.partition}: {commit.offset} is committed without what is finished above it"
            raise Violation(message)
        self.twice_allowed = True
        self.runs[commit.partition] = (-1, "")
        self.send_limit[commit.partition] = 1 << 62

    def _none_lost(self, partition: int, first: int, last: int, now_ms: int, how: str) -> None:
        for rec in self.between(partition, first, last):
            if rec.lost(now_ms):
                message = f"I1 I2 {rec} {how} and has no outcome"
                raise Violation(message)

    def final(self, ends: Sequence[int], now_ms: int) -> None:
        """After the last fault: everything has its outcome, everything is committed."""
        for partition, end in enumerate(ends):
            if self.committed[partition] != end:
                message = f"I8 {partition}: committed {self.committed[partition]} of {end}"
                raise Violation(message)
            self._none_lost(partition, 0, end, now_ms, "is committed")
            for rec in self.logs[partition]:
                for item, word in enumerate(rec.words):
                    if word == REFUSED and item not in rec.dead and not rec.gone:
                        message = f"I5 {rec} item {item} had to be dead-lettered"
                        raise Violation(message)


def finished_runs(offset: int, runs: str, delivered: int) -> list[tuple[int, int]]:
    """The ranges that a note calls finished; written anew here, so that a fault of the real decoder shows."""
    ranges = []
    lengths = [int(length, 36) for length in runs.split(",")] if runs else []
    for index, length in enumerate(lengths):
        if not index % 2 and lengths[index : index + 2] == [0, 0]:
            break
        if index % 2 and length:
            ranges.append((offset, min(offset + length - 1, delivered)))
        offset += length
    return ranges
