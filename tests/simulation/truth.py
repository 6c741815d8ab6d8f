"""What really happened, and the invariants over it: kept beside the core, from what crosses its edges alone."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bridge.delivery.policy import Policy
from bridge.flow import PlainRecord
from tests.simulation.faults import Violation

DAY_MS = 86_400_000
SURELY_KNOWN_MS = 22 * 3_600_000
"""A dead letter of class `dedupe_expired` before this age (window, margin and wrong clocks off) is a wrong one."""

Place = tuple[int, int]
"""(offset, item) of an event."""


class Rec:
    """One produced record: what has to become of it and what did."""

    __slots__ = (
        "dead",
        "deleted",
        "events",
        "expires",
        "failed",
        "gone",
        "handed_ms",
        "keys",
        "lane",
        "notified",
        "offset",
        "open",
        "partition",
        "record",
        "replayed",
        "skipped",
        "words",
    )

    def __init__(self, record: PlainRecord, lane: bytes | None) -> None:
        self.record = record
        self.offset = record.offset()
        self.partition = record.partition()
        self.lane = lane
        self.words = (record.value() or b"").decode().split()
        self.open = 0
        """Bits of the items that still need an outcome: neither applied nor dead-lettered."""
        self.events = 0
        """Bits of the items that are events under every version of the rules."""
        self.expires: dict[int, int] | None = None
        for item, word in enumerate(self.words):
            if word[0] in "etdh":
                self.open |= 1 << item
            if word[0] in "et":
                self.events |= 1 << item
            if word[0] == "t":
                self.expires = self.expires or {}
                self.expires[item] = record.timestamp()[1] + int(word[1:])
        self.dead: dict[int, str] = {}
        self.notified: dict[int, int] = {}
        self.failed: dict[int, int] = {}
        self.keys: dict[int, str] = {}
        self.handed_ms: int | None = None
        self.gone = False
        """Not to be read any more."""
        self.deleted = False
        """By retention, not by compaction."""
        self.skipped = False
        self.replayed = False
        """Somebody let it go out again."""

    def lost(self, now_ms: int) -> bool:
        """Whether it has no outcome although something was claimed."""
        left = self.open
        if not left or self.gone:
            return False
        for item, at in (self.expires or {}).items():
            if at < now_ms:
                left &= ~(1 << item)
        return bool(left)

    def __repr__(self) -> str:
        return f"{self.partition}:{self.offset} {self.words} open={self.open:b} dead={self.dead}"


class Known(NamedTuple):
    """One event's bytes, read once."""

    rec: Rec
    item: int
    key: str


class Track:
    """One assignment of one partition to one member, as seen from outside."""

    __slots__ = ("base", "epoch", "open", "partition", "pending", "rewound", "sent", "settled", "start")

    def __init__(self, partition: int, epoch: int, start: int, base: set[int]) -> None:
        self.partition = partition
        self.epoch = epoch
        self.start = start
        self.rewound = False
        """Held because somebody set the group back, and not accepted yet."""
        self.base = base
        """Offsets that were finished by the commit this assignment began with: never to be sent again."""
        self.settled: dict[int, int] = {}
        """Offset → sequence number of when it got its outcome in this assignment."""
        self.open: dict[int, int] = {}
        """Offset → bits of the items without an outcome in this assignment."""
        self.pending: dict[bytes, dict[Place, Rec]] = {}
        """Per lane, in order: events that were handed over and have no answer yet."""
        self.sent: dict[Place, bytes] = {}

    def done_by(self, sequence: int) -> set[int]:
        return self.base | {offset for offset, at in self.settled.items() if at <= sequence}


class Truth:
    """The oracle. Every method is told of one thing that crossed an edge, and raises `Violation`."""

    def __init__(self, policy: Policy, partitions: int) -> None:
        self.policy = policy
        self.logs: list[list[Rec]] = [[] for _ in range(partitions)]
        self.offsets: list[list[int]] = [[] for _ in range(partitions)]
        self.by_offset: list[dict[int, Rec]] = [{} for _ in range(partitions)]
        self.now_ms = 0
        self.sequence = 0
        self.committed = [0] * partitions
        self.checked = [0] * partitions
        self.runs: list[tuple[int, str]] = [(-1, "")] * partitions
        self.bound = [-1] * partitions
        self.memory: dict[str, int] = {}
        self.twice_allowed = policy.on_dedupe_expired == "send"
        self._bytes: dict[bytes, Known] = {}
        self._bodies: dict[tuple[str, int], bytes] = {}

    def produced(self, rec: Rec) -> None:
        self.logs[rec.partition].append(rec)
        self.offsets[rec.partition].append(rec.offset)
        self.by_offset[rec.partition][rec.offset] = rec

    def between(self, partition: int, first: int, last: int) -> Sequence[Rec]:
        """Records with first ≤ offset ≤ last."""
        offsets = self.offsets[partition]
        return self.logs[partition][bisect_left(offsets, first) : bisect_left(offsets, last + 1)]

    def consent(self, partition: int) -> None:
        """A person lets everything of the partition go out, though it may notify again."""
        for rec in self.logs[partition]:
            rec.replayed = True

    def reset(self, partition: int, offset: int) -> None:
        """Somebody set the committed offset back."""
        self.committed[partition] = self.checked[partition] = offset
        self.runs[partition] = (-1, "")
        self.bound[partition] = -1

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
            mask = sum(1 << item for item, word in enumerate(rec.words) if word[0] in "etdh")
            if not mask:
                self._settle(track, rec.offset)
                continue
            track.open[rec.offset] = mask
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
        event = json.loads(b"{" + text + b"}")
        key, item = event["$idempotency_key"], event["i"]
        rec = self.by_offset[event["p"]][event["o"]]
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
            if rec.offset > self.bound[rec.partition]:
                message = f"bound: {rec} is sent, the commit covers only {self.bound[rec.partition]}"
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

    def out_of_order_queue(self, track: Track, rec: Rec, item: int) -> None:
        """The event was answered or dead-lettered: the next of its lane may go."""
        if rec.lane is not None:
            waits = track.pending.get(rec.lane)
            if waits is not None:
                waits.pop((rec.offset, item), None)

    def told(self, track: Track, rec: Rec, item: int) -> None:
        """The member has learned the outcome of an event: accepted, or its dead letter acknowledged."""
        self.out_of_order_queue(track, rec, item)
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
        if times > 1 and not rec.replayed and not self.twice_allowed:
            message = f"twice: {rec} item {item} notifies again"
            raise Violation(message)

    def dead_lettered(self, rec: Rec, item: int, cause: str, now_ms: int) -> None:
        """A dead letter is in its topic (I5: only what had to be).

        A note holds one time for all, that of the oldest unfinished, and hands it on to the next owner's note: a
        record may count as handed over since any one before it was.
        """
        handed = [other.handed_ms or now_ms for other in self.between(rec.partition, 0, rec.offset)]
        since = min(handed)
        word = rec.words[item]
        right = {
            "mapping": word == "d",
            "invalid": word.startswith("ex"),
            "stuck": rec.failed.get(item, 0) >= self.policy.stuck_attempts,
            "dedupe_expired": now_ms - since > SURELY_KNOWN_MS,
            "skipped_by_operator": rec.skipped,
        }
        if not right.get(cause, False):
            message = f"I5 {rec} item {item} is dead-lettered as {cause}"
            raise Violation(message)
        rec.dead[item] = cause
        rec.open &= ~(1 << item)

    # what Kafka keeps

    def commit(self, partition: int, offset: int, metadata: str, now_ms: int, end: int) -> None:
        """Kafka takes a commit: nothing below it, and nothing its note calls finished, may be without an outcome."""
        if offset < self.committed[partition]:
            message = f"I3 {partition}: {offset} committed after {self.committed[partition]}"
            raise Violation(message)
        if offset > end:
            message = f"I2 {partition}: {offset} committed beyond the end {end}"
            raise Violation(message)
        self._none_lost(partition, self.checked[partition], offset - 1, now_ms, "is below the commit")
        self.committed[partition] = self.checked[partition] = offset
        _, _, bound, delivered, runs = metadata.split(";") if metadata else ("", "", "-1", "-1", "")
        if (offset, runs) != self.runs[partition]:
            self.runs[partition] = (offset, runs)
            for first, last in finished_runs(offset, runs, int(delivered)):
                self._none_lost(partition, first, last, now_ms, "is called finished")
        self.bound[partition] = int(bound)

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
                    if word.startswith("ex") and item not in rec.dead and not rec.gone:
                        message = f"I5 {rec} item {item} had to be dead-lettered"
                        raise Violation(message)


def finished_runs(offset: int, runs: str, delivered: int) -> list[tuple[int, int]]:
    """The ranges that a note calls finished; written anew here, so that a fault of the real decoder shows."""
    ranges = []
    lengths = [int(length, 36) for length in runs.split(",")] if runs else []
    for index, length in enumerate(lengths):
        if index % 2 and length:
            ranges.append((offset, min(offset + length - 1, delivered)))
        offset += length
    return ranges
