"""A commit's metadata: what is finished above the watermark, so that the next owner skips it. Pure.

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
from dataclasses import dataclass
from enum import Enum, auto
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

Steps = tuple[tuple[int, int], ...]
"""(last offset, milliseconds since 1970), both ascending: offsets up to there, and above those of the step before, may
have been handed over since then. A time that is too early is the safe error."""

MOST_STEPS = 96
OLD_MS = 24 * 60 * 60 * 1_000
"""Steps that are older are one: SuprSend has forgotten all of their keys."""
_FIRST_SPACING_MS = 1_000


class HandedSince:
    """Kept beside the commits of one assignment. Used by the Kafka thread alone.

    Exact while there are few steps; the longer the watermark stands still, the more of them become one.
    """

    __slots__ = ("_spacing", "_steps")

    def __init__(self, steps: Iterable[tuple[int, int]] = ()) -> None:
        self._steps = list(steps)
        self._spacing = 0

    def told(self, offset: int, send_limit: int, now_ms: int) -> Steps:
        """The steps that a commit at `offset` says, which lets everything up to `send_limit` be handed over from now on."""
        steps = self._steps
        if steps and steps[0][0] < offset:
            steps[:] = [step for step in steps if step[0] >= offset]
        if steps and steps[-1][1] > now_ms:
            # The clock was set back: nothing was handed over in what is the future now.
            steps[:] = [(last, min(since, now_ms)) for last, since in steps]
        if send_limit > (steps[-1][0] if steps else offset - 1):
            near = bool(steps) and now_ms - steps[-1][1] < self._spacing
            steps.append((send_limit, steps.pop()[1] if near else now_ms))
            self._keep_few(now_ms)
        return tuple(steps)

    def _keep_few(self, now_ms: int) -> None:
        steps = self._steps
        while len(steps) > 1 and steps[1][1] <= now_ms - OLD_MS:
            since = steps.pop(0)[1]
            steps[0] = (steps[0][0], since)
        if len(steps) <= MOST_STEPS // 4:
            self._spacing = 0
        while len(steps) > MOST_STEPS:
            self._spacing = max(_FIRST_SPACING_MS, 2 * self._spacing)
            steps[:] = _apart(steps, self._spacing)

    def take_back(self, handed: int) -> None:
        """Nothing above `handed` was handed over after all."""
        steps = self._steps
        while steps and steps[-1][0] > handed:
            since = steps.pop()[1]
            if not steps or steps[-1][0] < handed:
                steps.append((handed, since))


def _apart(steps: Iterable[tuple[int, int]], spacing: int) -> list[tuple[int, int]]:
    """Make one of steps that begin within `spacing` of each other."""
    kept: list[tuple[int, int]] = []
    for last, since in steps:
        if kept and since - kept[-1][1] < spacing:
            kept[-1] = (last, kept[-1][1])
        else:
            kept.append((last, since))
    return kept


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
_SECOND_MS = 1_000

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

_FIRST_KIND: Final = 16
_KIND_BITS: Final = 64
_FACTS_FROM: Final = _FIRST_KIND << _KIND_BITS
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
    runs: str = ""
    steps: Steps = ()
    offset: int | None = None
    fits: bool = True
    """Whether it was written for the commit that it was found beside, or does not say."""
    origin: Origin = UNKNOWN
    began: Began | None = None


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
    if delivered < committed:
        return ""
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
        seconds = max(0, later - since) // _SECOND_MS
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
    moves = [(offsets, seconds) for offsets, seconds in quads if offsets < _FACTS_FROM]
    told = (offsets for offsets, _ in quads if offsets >= _FACTS_FROM)
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
