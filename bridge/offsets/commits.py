"""What to commit and when: the watermark of every partition, with the metadata that travels beside it. Pure.

The Kafka thread tells what was read and what the delivery thread finished, asks `due` and reports what became of each
commit. A partition is committed 100 ms after its last commit or behind 5,000 offsets, and at once when records were read
that no acknowledged commit covers: only what is covered (`send_limit`) may be handed to the API. So a record that comes
alone is two writes, and of many each partition is written ten times a second, whatever the others do. One request carries
all that is due. Several may be on their way, at most one for a partition, and each partition goes on by its own answer, or
without one after a while: what becomes of one never waits for another. Nothing here looks at partitions that did not move.

*A commit's metadata* says what is finished above the watermark, so that the next owner skips it.

Text: `b1;AT_MS;BOUND;DELIVERED;RUNS`. RUNS are the lengths, in base 36, of alternating runs of offsets from the
committed offset up to DELIVERED: unfinished, finished, unfinished, … An offset that does not exist (a marker, a
compacted record) belongs to either kind without harm. Kafka refuses metadata over 4,096 bytes (measured).

Offsets up to BOUND may have been handed to the API since AT_MS. Where not all of them since then, `0,0` ends the runs
and steps follow, `0,OFFSETS,0,SECONDS` each: so many offsets on (from the committed one at first) the time is so many
seconds later, up to the next step. A bridge of before the steps takes them for empty runs, and AT_MS for all.

Behind the steps are facts, `0,N,0,0` each: what the commit is about, so that metadata which was carried elsewhere is
not believed there. N is `(16 + kind) << 64 | value`; kinds that are unknown are read past. A bridge of before the facts
takes them for steps beyond BOUND and drops them. Where RUNS did not fit they are closed by all of the rest as
unfinished: nothing behind them is taken for finished offsets by any reader.

Whose a commit is (`claim_of`): whatever carries a group's offsets to another place (MirrorMaker, a cloned group, a tool that
copies a commit) carries the metadata with them, and what that calls finished are other records there. What is unknown on
either side claims nothing: earlier versions did not say where they wrote, and brokers may not tell a topic's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import pairwise
from typing import Final, NamedTuple

from bridge.flow import CommitSendLimit, Progress, SendLimitCommitted, Start, TopicPartition

Steps = tuple[tuple[int, int], ...]
"""(last offset, milliseconds since 1970), both ascending: offsets up to there, and above those of the step before, may
have been handed over since then. A time that is too early is the safe error."""

MOST_STEPS = 96
OLD_MS = 24 * 60 * 60 * 1_000
"""Steps that are older are one: SuprSend has forgotten all of their keys."""
_SECOND_MS = 1_000


class HandedSince:
    """Kept beside the commits of one assignment. Used by the Kafka thread alone.

    Exact while there are few steps; the longer the watermark stands still, the more of them become one.
    """

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[tuple[int, int]] = ()) -> None:
        self._steps = list(steps)

    def told(self, offset: int, send_limit: int, now_ms: int) -> Steps:
        """The steps that a commit at `offset` says, which lets everything up to `send_limit` be handed over from now on."""
        # Where the clock was set back, nothing was handed over in what is the future now.
        steps = [(last, min(since, now_ms)) for last, since in self._steps if last >= offset]
        if send_limit > (steps[-1][0] if steps else offset - 1):
            steps.append((send_limit, now_ms))
        old = [step for step in steps if step[1] <= now_ms - OLD_MS]
        if old:
            steps[: len(old)] = [(old[-1][0], old[0][1])]
        while len(steps) > MOST_STEPS:
            # The two that begin closest together become one.
            _, at = min((later - since, at) for at, ((_, since), (_, later)) in enumerate(pairwise(steps)))
            steps[at : at + 2] = [(steps[at + 1][0], steps[at][1])]
        self._steps = steps
        return tuple(steps)

    def take_back(self, handed: int) -> None:
        """Nothing above `handed` was handed over after all."""
        steps = self._steps
        while steps and steps[-1][0] > handed:
            since = steps.pop()[1]
            if not steps or steps[-1][0] < handed:
                steps.append((handed, since))


def halved(steps: Steps) -> Steps:
    """Half as many steps: each takes in the one behind it."""
    pairs = [(steps[min(at + 1, len(steps) - 1)][0], steps[at][1]) for at in range(0, len(steps), 2)]
    return tuple(pairs)


def since_of(steps: Steps, offset: int) -> int | None:
    """When an offset may first have been handed over, in milliseconds; None for one that lies above all steps."""
    return next((since for last, since in steps if offset <= last), None)


VERSION = "b1"
MAX_BYTES = 4_000
_FIELDS_BYTES = 72
_CLOSING_BYTES = 16
"""The pair that closes runs that were cut; it has its room in that of the fields."""
_FACTS_BYTES = 96
RUNS_BYTES = MAX_BYTES - _FIELDS_BYTES - _FACTS_BYTES
"""Room for RUNS beside the fields before it and the facts behind it. The steps take what is left of it."""

_END_OF_RUNS = "0,0"

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_FIRST_KIND: Final = 16
_KIND_BITS: Final = 64
_OFFSET, _CLUSTER, _TOPIC, _BEGAN = range(1, 5)
"""Kinds of facts."""
_PARTITIONS_BITS: Final = 20
_DIGEST_BYTES: Final = 6


def digest_of(identity: str | None) -> int:
    """48 bits of a cluster's or a topic's id; 0 where it is unknown."""
    if not identity:
        return 0
    return int.from_bytes(blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest(), "big") or 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Digests of the cluster and the topic that a commit was made in; 0 is unknown and claims nothing."""

    cluster: int = 0
    topic: int = 0


UNKNOWN: Final = Origin()


class Began(NamedTuple):
    """When the group first began on the topic (milliseconds since 1970), and how many partitions it had then."""

    at_ms: int
    partitions: int


@dataclass(frozen=True, slots=True)
class CommitMetadata:
    """What the metadata of a commit says. `unfinished` are ranges (first, last) between the committed offset and `delivered`.

    `send_limit` is the newest offset that may have been handed to the API, the oldest since `at_ms`; -1 if none. `runs` is
    the code of `unfinished`; `steps` say since when each may have been handed over. `offset` is the commit that the metadata
    was written for, None where it does not say; with another than that all of the others mean nothing (`fits`).
    """

    send_limit: int
    at_ms: int
    delivered: int
    unfinished: tuple[tuple[int, int], ...]
    runs: str
    steps: Steps
    offset: int | None
    fits: bool
    """Whether it was written for the commit that it was found beside, or does not say."""
    origin: Origin
    began: Began | None


def runs_of(watermark: int, unfinished: Iterable[int], delivered: int, behind: Iterable[tuple[int, int]] = ()) -> str:
    """Code the offsets without an outcome, ascending from the watermark, that lie below `delivered`.

    `behind` are further ones as ranges (first, last), all of them above `unfinished`.

    Where the text would grow over `RUNS_BYTES` it ends early, with everything behind taken for unfinished: the next
    owner then sends some finished records again (with the same key) instead of losing one.
    """
    if delivered < watermark:
        return ""
    lengths: list[int] = []
    start = expected = watermark
    for offset in unfinished:
        if offset > delivered:
            break
        if offset != expected:
            lengths += (expected - start, offset - expected)
            start = offset
        expected = offset + 1
    for first, last in behind:
        if first > delivered:
            break
        if last < expected:
            continue
        if first > expected:
            lengths += (expected - start, first - expected)
            start = first
        expected = min(last, delivered) + 1
    lengths += (expected - start, delivered + 1 - expected)
    return _bounded(lengths, RUNS_BYTES)


def _bounded(lengths: list[int], room: int) -> str:
    """As many runs as there is room for; the rest is one unfinished run, which has room in any case."""
    parts: list[str] = []
    left = sum(lengths)
    size = 0
    for unfinished, finished in zip(lengths[::2], lengths[1::2], strict=True):
        part = f"{_base36(unfinished)},{_base36(finished)}"
        size += len(part) + 1
        if size > room:
            parts.append(f"{_base36(left)},0")
            break
        parts.append(part)
        left -= unfinished + finished
    return ",".join(parts)


def _base36(number: int) -> str:
    if number < 0:
        message = f"a run of {number} offsets: the offsets were not ascending from the watermark"
        raise ValueError(message)
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text


def text_of(
    *,
    at_ms: int,
    send_limit: int,
    delivered: int,
    runs: str,
    committed: int,
    steps: Steps = (),
    origin: Origin = UNKNOWN,
    began: Began | None = None,
    room: int = MAX_BYTES,
) -> str:
    """The metadata of one commit at offset `committed`. With `steps`, `at_ms` is the first's.

    At most `room` bytes as long as the fields and the facts, about 160, leave something of it.
    """
    head = f"{VERSION};{at_ms};{send_limit};{delivered};"
    facts = _facts_text(committed, origin, began)
    left = room - len(head) - len(_END_OF_RUNS) - len(facts) - 1
    runs = _closed(runs, committed, delivered, left)
    told = _steps_text(steps, committed, left - len(runs))
    return f"{head}{runs}{',' if runs else ''}{_END_OF_RUNS}{told}{facts}"


def _closed(runs: str, committed: int, delivered: int, room: int) -> str:
    """Runs that fit and reach `delivered`: what follows them would be taken for finished offsets otherwise."""
    lengths = [int(length, 36) for length in runs.split(",")] if runs else []
    missing = delivered + 1 - committed - sum(lengths)
    if missing > 0:
        lengths += (missing, 0)
    elif len(runs) <= room:
        return runs
    return _bounded(lengths, room - _CLOSING_BYTES)


def _steps_text(steps: Steps, committed: int, room: int) -> str:
    """As many steps as there is room for; nothing where one time is that of all."""
    while len(steps) > 1:
        text = "".join(_steps_parts(steps, committed))
        if len(text) <= room:
            return text
        steps = halved(steps)
    return ""


def _steps_parts(steps: Steps, committed: int) -> Iterable[str]:
    at, since = committed, steps[0][1]
    for (last, _), (_, later) in pairwise(steps):
        seconds = (later - since) // _SECOND_MS
        yield f",0,{_base36(last - at)},0,{_base36(seconds)}"
        at, since = last, since + seconds * _SECOND_MS


def _facts_text(committed: int, origin: Origin, began: Began | None) -> str:
    facts = {_OFFSET: committed}
    facts |= {kind: digest for kind, digest in ((_CLUSTER, origin.cluster), (_TOPIC, origin.topic)) if digest}
    if began is not None:
        partitions = min(began.partitions, (1 << _PARTITIONS_BITS) - 1)
        facts[_BEGAN] = began.at_ms << _PARTITIONS_BITS | partitions
    return "".join(f",0,{_base36((_FIRST_KIND + kind) << _KIND_BITS | value)},0,0" for kind, value in facts.items())


def decode(text: str | None, committed: int) -> CommitMetadata | None:
    """Read the metadata of a commit at offset `committed`; None where it is not ours or not whole.

    One that was written for another commit is read, too, and does not fit.
    """
    fields = (text or "").split(";")
    if len(fields) != 5 or fields[0] != VERSION:
        return None
    try:
        at_ms, send_limit, delivered = (int(field) for field in fields[1:4])
        lengths = [int(length, 36) for length in fields[4].split(",")] if fields[4] else []
    except ValueError:
        return None
    if len(lengths) % 2 or any(length < 0 for length in lengths):
        return None
    end = next((at for at in range(0, len(lengths), 2) if lengths[at] == lengths[at + 1] == 0), len(lengths))
    runs = ",".join(fields[4].split(",")[:end])
    unfinished, at = _ranges(committed, lengths[:end])
    if at <= delivered:
        unfinished.append((at, delivered))
    moves, facts = _behind(lengths[end + 2 :])
    offset, origin, began = _told(facts)
    return CommitMetadata(
        send_limit=send_limit,
        at_ms=at_ms,
        delivered=delivered,
        unfinished=tuple(unfinished),
        runs=runs,
        steps=_steps(moves, committed, send_limit, at_ms),
        offset=offset,
        fits=offset is None or offset == committed,
        origin=origin,
        began=began,
    )


_Moves = list[tuple[int, int]]
"""Offsets and seconds: how far each step goes, and how much later the next one begins."""


def _behind(lengths: list[int]) -> tuple[_Moves, Mapping[int, int]]:
    """The steps behind the runs, and the facts by their kind; neither where they are damaged."""
    if len(lengths) % 4 or any(lengths[::2]):
        return [], {}
    quads = list(zip(lengths[1::4], lengths[3::4], strict=True))
    moves = [(offsets, seconds) for offsets, seconds in quads if not offsets >> _KIND_BITS]
    told = (offsets for offsets, _ in quads if offsets >> _KIND_BITS)
    return moves, {(each >> _KIND_BITS) - _FIRST_KIND: each & ((1 << _KIND_BITS) - 1) for each in told}


def _told(facts: Mapping[int, int]) -> tuple[int | None, Origin, Began | None]:
    began = facts.get(_BEGAN)
    return (
        facts.get(_OFFSET),
        Origin(facts.get(_CLUSTER, 0), facts.get(_TOPIC, 0)),
        None if began is None else Began(began >> _PARTITIONS_BITS, began & ((1 << _PARTITIONS_BITS) - 1)),
    )


def _steps(moves: _Moves, committed: int, send_limit: int, at_ms: int) -> Steps:
    """When each offset may first have been handed over; one time for all where nothing is said."""
    steps: list[tuple[int, int]] = []
    at, since = committed, at_ms
    for offsets, seconds in moves:
        at += offsets
        steps.append((at, since))
        since += seconds * _SECOND_MS
    return (*((last, when) for last, when in steps if last < send_limit), (send_limit, since))


def _ranges(start: int, lengths: list[int]) -> tuple[list[tuple[int, int]], int]:
    unfinished = []
    at = start
    for index in range(0, len(lengths), 2):
        if lengths[index]:
            unfinished.append((at, at + lengths[index] - 1))
        at += lengths[index] + lengths[index + 1]
    return unfinished, at


class Claim(Enum):
    """What a commit's metadata says of whose it is."""

    OURS = auto()
    NONE = auto()
    """There is no metadata: somebody else made the commit."""
    COMMIT = auto()
    """It was written for another offset."""
    TOPIC = auto()
    CLUSTER = auto()


FOREIGN = {
    Claim.COMMIT: "it was written for another offset",
    Claim.TOPIC: "it was written for another topic of that name",
    Claim.CLUSTER: "it was written in another cluster",
}
"""Why the metadata of a commit does not count, in words."""


def claim_of(metadata: CommitMetadata | None, here: Origin) -> Claim:
    """Whose the commit is. A commit that was carried from another cluster seldom has its offset there, so that is first."""
    if metadata is None:
        return Claim.NONE
    if _differ(metadata.origin.cluster, here.cluster):
        return Claim.CLUSTER
    if not metadata.fits:
        return Claim.COMMIT
    return Claim.TOPIC if _differ(metadata.origin.topic, here.topic) else Claim.OURS


def _differ(one: int, other: int) -> bool:
    return bool(one and other) and one != other


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to commit; seconds and offsets."""

    interval: float = 0.1
    """Between two commits of a partition, where nothing presses."""
    records: int = 5_000
    least: float = 0.010
    """Between two requests in any case: half of the linger that hides them."""
    answer: float = 90.0
    """After which a commit without an answer counts as failed. Kafka's client gives up earlier."""
    retry: float = 0.1
    retry_most: float = 1.0


class Commit(NamedTuple):
    """One offset to commit. `leader_epoch` is that of the newest offset that it speaks of, -1 if unknown."""

    topic: str
    partition: int
    epoch: int
    offset: int
    metadata: str
    send_limit: int
    leader_epoch: int
    room: int
    """What the metadata was allowed to take."""
    number: int
    """Of the last `CommitSendLimit` that it goes by."""

    @property
    def name(self) -> TopicPartition:
        """The topic and partition."""
        return self.topic, self.partition


State = tuple[int, int, str, int, int]
"""Offset, delivered, runs, send limit: what a commit says; and the number of the `CommitSendLimit` it goes by."""


@dataclass(slots=True)
class _Part:
    epoch: int
    offset: int
    delivered: int
    runs: str
    send_limit: int
    """The newest offset that may have been handed over: of an earlier owner, or read in this assignment."""
    limit: int
    """The highest offset that may be committed: behind the newest record read, or an end that was reached."""
    held: bool
    acknowledged: State | None
    issued: State | None
    leader_epoch: int
    """Of the offset `spoken`; -1 if unknown."""
    spoken: int
    """The newest offset that commits speak of: of an earlier owner, read, or gone past."""
    began: Began | None
    retry: float
    covered: HandedSince = field(default_factory=HandedSince)
    issued_at: float = float("-inf")
    """When its last commit was made, in monotonic seconds."""
    under_way: bool = False
    resting: bool = False
    """After a refusal, for a while."""
    newest: int = -1
    """The newest offset read."""
    cover: int | None = None
    """While it is held, or everything: the newest offset that may be called handed over."""
    number: int = 0

    @property
    def state(self) -> State:
        return self.offset, self.delivered, self.runs, self.send_limit, self.number


class Committer:
    """Used by the Kafka thread alone. `now` is monotonic seconds, `now_ms` the wall clock in milliseconds."""

    def __init__(self, pace: Pace | None = None, room: int = MAX_BYTES) -> None:
        """`room` is how many bytes of metadata the brokers are known to take."""
        self.room = room
        self._pace = pace or Pace()
        self._parts: dict[TopicPartition, _Part] = {}
        self._pressing: set[TopicPartition] = set()
        """What moved, has no commit under way, nor rests after a refusal, and does not wait for its interval."""
        self._calm: set[TopicPartition] = set()
        """The same, of what waits for it."""
        self._turns: list[tuple[float, TopicPartition]] = []
        """When each of them has waited long enough, as a heap; what is not true of it any more is passed over."""
        self._uncovered: set[TopicPartition] = set()
        self._behind: set[TopicPartition] = set()
        self._under_way: dict[TopicPartition, tuple[Commit, float]] = {}
        """Each with its time, the oldest first."""
        self._late: dict[TopicPartition, Commit] = {}
        """Under way when their partition was given up: the answer still says what Kafka has."""
        self._rests: list[tuple[float, TopicPartition]] = []
        self._origins: dict[str, Origin] = {}
        self._issued_at = float("-inf")
        self.refused_progress = 0
        """Times that a progress would have gone backwards or beyond what was read; 0 unless there is a bug."""

    def assigned(
        self, name: TopicPartition, epoch: int, start: Start, *, runs: str, fresh: bool, began: Began | None = None
    ) -> None:
        """A partition begins. `runs` is what `start` says of finished offsets, coded; `fresh`: nothing is committed.

        `began` stands in each of its commits. A partition that starts held commits nothing until `release`.
        """
        part = _Part(
            epoch=epoch,
            offset=start.offset,
            delivered=start.delivered,
            runs=runs,
            send_limit=start.send_limit,
            limit=start.offset,
            held=start.hold is not None,
            acknowledged=None,
            issued=None,
            leader_epoch=start.leader_epoch,
            spoken=max(start.delivered, start.send_limit),
            began=began,
            retry=self._pace.retry,
        )
        if start.send_limit >= 0:
            part.covered = HandedSince(start.steps or ((start.send_limit, start.send_limit_at),))
        if not fresh:
            part.acknowledged = part.issued = part.state
        self.forget((name,))
        self._parts[name] = part
        self._stands(name, part)
        self._mark(name, part)

    def located(self, topic: str, origin: Origin) -> None:
        """In which cluster and topic the commits of a topic are made, as far as is known; they say so from now on."""
        self._origins[topic] = origin

    def release(self, name: TopicPartition, epoch: int) -> None:
        """The hold that the partition started with was lifted: from here on it commits."""
        part = self._of(name, epoch)
        if part is not None and part.held:
            part.held = False
            part.acknowledged, part.issued = None, None
            self._stands(name, part)
            self._mark(name, part)

    def read(self, name: TopicPartition, newest: int, leader_epoch: int = -1) -> None:
        """Records up to the offset `newest` were read; `leader_epoch` is the newest one's, -1 if unknown.

        A commit bears no epoch older than that of anything it speaks of: its log would seem to be cut off there.
        """
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, newest + 1)
            self._stands(name, part)
            part.newest = max(part.newest, newest)
            if newest >= part.spoken:
                part.spoken, part.leader_epoch = newest, max(part.leader_epoch, leader_epoch)
            if part.cover is None:
                part.send_limit = max(part.send_limit, newest)
                self._mark(name, part)

    def cover(self, order: CommitSendLimit) -> None:
        """From now on the metadata calls offsets up to `order.last` handed over and no more, or all that was read."""
        name = (order.topic, order.partition)
        part = self._of(name, order.epoch)
        if part is None:
            return
        part.cover, part.number = order.last, order.number
        part.send_limit = max(part.send_limit, part.newest) if order.last is None else order.last
        part.covered.take_back(part.send_limit)
        self._mark(name, part)

    def end(self, name: TopicPartition, offset: int) -> None:
        """The reader stands at `offset`, behind markers and gaps: it may be committed."""
        part = self._parts.get(name)
        if part is not None:
            part.limit = max(part.limit, offset)
            self._stands(name, part)

    def past(self, name: TopicPartition, offset: int) -> None:
        """The reader stands at `offset`, behind what nobody can read: nobody knows the leader epoch of the last of it."""
        part = self._parts.get(name)
        if part is not None and offset > part.spoken + 1:
            part.spoken, part.leader_epoch = offset - 1, -1
        self.end(name, offset)

    def progress(self, progress: Progress) -> None:
        """What the delivery thread finished. Fenced by the epoch; never backwards, never beyond what was read."""
        name = (progress.topic, progress.partition)
        part = self._of(name, progress.epoch)
        if part is None:
            return
        if not part.offset <= progress.watermark <= part.limit:
            self.refused_progress += 1
            return
        part.offset, part.delivered, part.runs = progress.watermark, progress.delivered, progress.finished
        self._mark(name, part)

    def due(self, now: float, now_ms: int) -> list[Commit]:
        """The commits to make now, in one request, each of them under way until it is answered or forgotten."""
        self._give_up_waiting(now)
        self._rest_no_longer(now)
        at = self._issue_at()
        if at is None or now < at:
            return []
        self._issued_at = now
        names = set(self._pressing)
        while (turn := self._next_turn()) is not None and turn <= now:
            names.add(heappop(self._turns)[1])
        return [self._issue(name, self._parts[name], now, now_ms) for name in sorted(names)]

    def wait(self, now: float) -> float | None:
        """Seconds until `due` has something to say (0 or less: now); None while nothing is due by time alone."""
        at = self._issue_at()
        times = [] if at is None else [at]
        if self._rests:
            times.append(self._rests[0][0])
        if self._under_way:
            times.append(next(iter(self._under_way.values()))[1] + self._pace.answer)
        return min(times) - now if times else None

    def _issue_at(self) -> float | None:
        turn = self._issued_at if self._pressing else self._next_turn()
        return None if turn is None else max(turn, self._issued_at + self._pace.least)

    def _next_turn(self) -> float | None:
        """When the first partition has waited for its interval."""
        turns = self._turns
        while turns and not self._is_turn(*turns[0]):
            heappop(turns)
        return turns[0][0] if turns else None

    def _is_turn(self, at: float, name: TopicPartition) -> bool:
        return name in self._calm and at == self._parts[name].issued_at + self._pace.interval

    def _give_up_waiting(self, now: float) -> None:
        while self._under_way:
            commit, at = next(iter(self._under_way.values()))
            if now < at + self._pace.answer:
                return
            self.refused(commit, now)

    def _rest_no_longer(self, now: float) -> None:
        while self._rests and self._rests[0][0] <= now:
            name = heappop(self._rests)[1]
            part = self._parts.get(name)
            if part is not None:
                part.resting = False
                self._mark(name, part)

    def behind(self) -> bool:
        """Whether something was read, or reached, that is not committed yet."""
        return bool(self._behind)

    def urgent(self) -> bool:
        """Whether records were read that no commit covers yet: the answer to one under way is awaited for them."""
        return bool(self._uncovered)

    def outstanding(self) -> bool:
        """Whether a commit waits for its answer."""
        return bool(self._under_way)

    def under_way(self) -> tuple[Commit, ...]:
        """The commits that wait for their answers, the oldest first."""
        return tuple(commit for commit, _ in self._under_way.values())

    def asked(self, name: TopicPartition, offset: int, metadata: str | None) -> Commit | None:
        """The commit that an answer speaks of; None where it speaks of none that is under way, and so says nothing.

        It may be of an assignment that is over: `acknowledged` and `refused` change nothing of the present one then.
        """
        under_way = self._under_way.get(name)
        for commit in (under_way[0] if under_way else None, self._late.get(name)):
            if commit is not None and (commit.offset, commit.metadata) == (offset, metadata or ""):
                return commit
        return None

    def acknowledged(self, commit: Commit) -> SendLimitCommitted | None:
        """A commit is in Kafka; returns what may now be handed over, if that is more."""
        part = self._answered(commit)
        if part is None:
            return None
        before = part.acknowledged
        part.acknowledged = part.issued
        part.retry = self._pace.retry
        self._stands(commit.name, part)
        self._mark(commit.name, part)
        if before is not None and before[3] >= commit.send_limit and before[4] == commit.number:
            return None
        return SendLimitCommitted(*commit.name, part.epoch, commit.send_limit, commit.number)

    def refused(self, commit: Commit, now: float, *, soon: bool = False) -> None:
        """A commit was refused, or never answered: it is made again, later, and each time later still unless `soon`."""
        part = self._answered(commit)
        if part is None:
            return
        part.issued, part.resting = part.acknowledged, True
        heappush(self._rests, (now + part.retry, commit.name))
        if not soon:
            part.retry = min(2 * part.retry, self._pace.retry_most)
        self._mark(commit.name, part)

    def all_refused(self, now: float) -> None:
        """What became of the commits under way cannot be known any more: they are made again."""
        for commit in self.under_way():
            self.refused(commit, now)

    def too_long(self, commit: Commit) -> bool:
        """The brokers take no metadata as long as that of a commit: it is made again, with half the room for it.

        Where there is more of it than room, it is the fields and the facts alone: there is none then. True where the room became less by this.
        """
        part = self._answered(commit)
        if part is not None:
            part.issued = part.acknowledged
            self._mark(commit.name, part)
        if commit.room != self.room or not self.room:
            return False
        self.room = self.room // 2 if len(commit.metadata) <= self.room else 0
        if not self.room:
            # What was committed with metadata says more than will be told from now on.
            for name, each in self._parts.items():
                each.issued = None
                self._mark(name, each)
        return True

    def _answered(self, commit: Commit) -> _Part | None:
        """The partition that the answer is for; None where its assignment is over."""
        if self._late.get(commit.name) == commit:
            del self._late[commit.name]
        if self._under_way.get(commit.name, (None,))[0] != commit:
            return None
        del self._under_way[commit.name]
        part = self._parts[commit.name]
        part.under_way = False
        return part

    def final(self, name: TopicPartition, now: float, now_ms: int, handed: int | None) -> Commit | None:
        """The last commit before the partition is given up; None where Kafka has it already.

        `handed` is the newest offset that really was handed to the API, where the drain could tell: the metadata then
        says no more than that. It does not wait for the one under way: Kafka's client sends them in order.
        """
        part = self._parts.get(name)
        if part is None or part.held:
            return None
        if handed is not None:
            part.send_limit = handed
            part.covered.take_back(handed)
        if part.state == part.acknowledged:
            return None
        return self._issue(name, part, now, now_ms)

    def forget(self, names: Iterable[TopicPartition]) -> None:
        """The partitions are not ours any more; answers to their commits change nothing."""
        for name in names:
            self._parts.pop(name, None)
            under_way = self._under_way.pop(name, None)
            if under_way is not None:
                self._late[name] = under_way[0]
            for sets in (self._calm, self._pressing, self._uncovered, self._behind):
                sets.discard(name)

    def committed(self) -> dict[TopicPartition, int]:
        """The offsets that Kafka acknowledged, by partition."""
        return {name: part.acknowledged[0] for name, part in self._parts.items() if part.acknowledged}

    def marks(self) -> dict[TopicPartition, int]:
        """By partition the highest offset whose outcome is in an acknowledged commit.

        Where commits bear no metadata that is the one below the committed offset: a mark above it would make our own commit
        look like somebody else's who went back.
        """
        acknowledged = {name: part.acknowledged for name, part in self._parts.items()}
        return {
            name: max(state[0] - 1, state[1]) if self.room else state[0] - 1
            for name, state in acknowledged.items()
            if state is not None
        }

    def _of(self, name: TopicPartition, epoch: int) -> _Part | None:
        part = self._parts.get(name)
        return part if part is not None and part.epoch == epoch else None

    def _mark(self, name: TopicPartition, part: _Part) -> None:
        """Keep the sets true after anything that may change what is to be committed of a partition."""
        issued = part.issued
        moved = not part.held and part.state != issued
        uncovered = moved and not part.resting and (issued is None or part.send_limit > issued[3])
        ready = moved and not (part.under_way or part.resting)
        advanced = issued is None or part.offset - issued[0] >= self._pace.records
        presses = ready and (uncovered or advanced)
        calm = ready and not presses
        if calm and name not in self._calm:
            heappush(self._turns, (part.issued_at + self._pace.interval, name))
        for names, belongs in ((self._uncovered, uncovered), (self._calm, calm), (self._pressing, presses)):
            (names.add if belongs else names.discard)(name)

    def _stands(self, name: TopicPartition, part: _Part) -> None:
        behind = part.acknowledged is None or part.limit > part.acknowledged[0]
        (self._behind.add if behind else self._behind.discard)(name)

    def _issue(self, name: TopicPartition, part: _Part, now: float, now_ms: int) -> Commit:
        metadata = self._metadata(name[0], part, now_ms) if self.room else ""
        told = (part.send_limit, part.leader_epoch, self.room, part.number)
        commit = Commit(*name, part.epoch, part.offset, metadata, *told)
        part.issued, part.issued_at = part.state, now
        part.under_way = True
        self._under_way.pop(name, None)
        self._under_way[name] = commit, now
        self._mark(name, part)
        return commit

    def _metadata(self, topic: str, part: _Part, now_ms: int) -> str:
        steps = part.covered.told(part.offset, part.send_limit, now_ms)
        return text_of(
            at_ms=steps[0][1] if steps else now_ms,
            send_limit=part.send_limit,
            delivered=part.delivered,
            runs=part.runs,
            committed=part.offset,
            steps=steps,
            origin=self._origins.get(topic, UNKNOWN),
            began=part.began,
            room=self.room,
        )
