"""The note as the bridge wrote and read it before the facts: a frozen copy, which must go on to understand ours.

Text: `b1;AT_MS;BOUND;DELIVERED;RUNS`. RUNS are the lengths, in base 36, of alternating runs of offsets from the
committed offset up to DELIVERED: unfinished, finished, unfinished, … An offset that does not exist (a marker, a
compacted record) belongs to either kind without harm. Kafka refuses metadata over 4,096 bytes (measured).

Offsets up to BOUND may have been handed to the API since AT_MS. Where not all of them since then, `0,0` ends the runs
and steps follow, `0,OFFSETS,0,SECONDS` each: so many offsets on (from the committed one at first) the time is so many
seconds later, up to the next step. A bridge of before the steps takes them for empty runs, and AT_MS for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

Steps = tuple[tuple[int, int], ...]

VERSION = "b1"
MAX_BYTES = 4_000
RUNS_BYTES = MAX_BYTES - 96
"""Room for RUNS beside the four fields before it. The steps take what is left of it."""

_END_OF_RUNS = "0,0"
_SECOND_MS = 1_000

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Note:
    """A decoded note. `unfinished` are ranges (first, last) between the committed offset and `delivered`.

    `bound` is the newest offset that may have been handed to the API, the oldest since `at_ms`; -1 if none. `runs` is
    the code of `unfinished`; `steps` say since when each may have been handed over.
    """

    bound: int
    at_ms: int
    delivered: int
    unfinished: tuple[tuple[int, int], ...]
    runs: str = ""
    steps: Steps = ()


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
    return _bounded(lengths)


def _bounded(lengths: list[int]) -> str:
    parts: list[str] = []
    size = 0
    for unfinished, finished in zip(lengths[::2], lengths[1::2], strict=True):
        part = f"{_base36(unfinished)},{_base36(finished)}"
        size += len(part) + 1
        if size > RUNS_BYTES:
            break
        parts.append(part)
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


def text_of(*, at_ms: int, bound: int, delivered: int, runs: str, steps: Steps = (), committed: int = 0) -> str:
    """The metadata of one commit at offset `committed`, at most `MAX_BYTES`. With `steps`, `at_ms` is the first's."""
    text = f"{VERSION};{at_ms};{bound};{delivered};{runs}"
    if len(steps) < 2 or not _whole(runs, committed, delivered):
        return text
    room = MAX_BYTES - len(text) - 1
    while len(told := _steps_text(steps, committed)) > room and len(steps) > 1:
        steps = halved(steps)
    if len(steps) < 2:
        return text
    return f"{text},{told}" if runs else text + told


def _whole(runs: str, committed: int, delivered: int) -> bool:
    """Whether the runs reach `delivered`: what follows them would be taken for finished offsets otherwise."""
    return committed + sum(int(length, 36) for length in runs.split(",") if length) > delivered


def _steps_text(steps: Steps, committed: int) -> str:
    parts = [_END_OF_RUNS]
    at, since = committed, steps[0][1]
    for (last, _), (_, later) in pairwise(steps):
        seconds = max(0, later - since) // _SECOND_MS
        parts.append(f"0,{_base36(last - at)},0,{_base36(seconds)}")
        at, since = last, since + seconds * _SECOND_MS
    return ",".join(parts)


def decode(text: str | None, committed: int) -> Note | None:
    """Read the metadata of a commit at offset `committed`; None where it is not ours or not whole."""
    fields = (text or "").split(";")
    if len(fields) != 5 or fields[0] != VERSION:
        return None
    try:
        at_ms, bound, delivered = (int(field) for field in fields[1:4])
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
    return Note(bound, at_ms, delivered, tuple(unfinished), runs, _steps(lengths[end + 2 :], committed, bound, at_ms))


def _steps(lengths: list[int], committed: int, bound: int, at_ms: int) -> Steps:
    """The steps behind the runs; one for all where they are damaged."""
    if len(lengths) % 4 or any(lengths[::2]):
        return ((bound, at_ms),)
    steps: list[tuple[int, int]] = []
    at, since = committed, at_ms
    for offsets, seconds in zip(lengths[1::4], lengths[3::4], strict=True):
        at += offsets
        steps.append((at, since))
        since += seconds * _SECOND_MS
    return (*((last, when) for last, when in steps if last < bound), (bound, since))


def _ranges(start: int, lengths: list[int]) -> tuple[list[tuple[int, int]], int]:
    unfinished = []
    at = start
    for index in range(0, len(lengths), 2):
        if lengths[index]:
            unfinished.append((at, at + lengths[index] - 1))
        at += lengths[index] + lengths[index + 1]
    return unfinished, at


def halved(steps: Steps) -> Steps:
    """Half as many steps: each takes in the one behind it."""
    pairs = [(steps[min(at + 1, len(steps) - 1)][0], steps[at][1]) for at in range(0, len(steps), 2)]
    return tuple(pairs)
