"""The note in a commit's metadata: what is finished above the watermark, so that the next owner skips it. Pure.

Text: `b1;AT_MS;BOUND;DELIVERED;RUNS`. RUNS are the lengths, in base 36, of alternating runs of offsets from the
committed offset up to DELIVERED: unfinished, finished, unfinished, … An offset that does not exist (a marker, a
compacted record) belongs to either kind without harm. Kafka refuses metadata over 4,096 bytes (measured).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

VERSION = "b1"
MAX_BYTES = 4_000
RUNS_BYTES = MAX_BYTES - 96
"""Room for RUNS beside the four fields before it."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Note:
    """A decoded note. `unfinished` are ranges (first, last) between the committed offset and `delivered`.

    `bound` is the newest offset that may have been handed to the API by the time `at_ms`; -1 if none.
    """

    bound: int
    at_ms: int
    delivered: int
    unfinished: tuple[tuple[int, int], ...]


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


def text_of(*, at_ms: int, bound: int, delivered: int, runs: str) -> str:
    """The metadata of one commit, at most `MAX_BYTES`."""
    return f"{VERSION};{at_ms};{bound};{delivered};{runs}"


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
    unfinished, at = _ranges(committed, lengths)
    if at <= delivered:
        unfinished.append((at, delivered))
    return Note(bound, at_ms, delivered, tuple(unfinished))


def _ranges(start: int, lengths: list[int]) -> tuple[list[tuple[int, int]], int]:
    unfinished = []
    at = start
    for index in range(0, len(lengths), 2):
        if lengths[index]:
            unfinished.append((at, at + lengths[index] - 1))
        at += lengths[index] + lengths[index + 1]
    return unfinished, at
