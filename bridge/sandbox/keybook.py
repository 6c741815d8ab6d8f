"""Idempotency keys and what was accepted under each, small enough for tens of millions.

A key costs its own text plus about 130 bytes: one entry in a dict from the key to its row, and eight bytes of digest.
Times are kept once for all keys of one millisecond. What only repeated keys need is kept beside, for those alone.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from enum import IntEnum
from hashlib import blake2b
from typing import NamedTuple


class Taken(IntEnum):
    """How an event that passed every check was taken."""

    NEW = 0
    AGAIN = 1
    """Its key was known, but 24 hours had passed: accepted anew."""
    IDENTICAL = 2
    """A repeat inside the window with the same bytes: answered as accepted, not applied."""
    DIFFERENT = 3
    """A repeat inside the window with other bytes: answered as accepted, not applied."""


class KeyFacts(NamedTuple):
    """All that is known of one key. Times are milliseconds of the sandbox's clock."""

    key: str
    times: int
    """How often it came and passed every check."""
    accepted: int
    identical: int
    different: int
    first_ms: int
    last_ms: int
    digest: str
    """Of the body accepted last, by `digest_text`."""
    bytes_differ: bool
    """Whether any two bodies that came with this key differed."""


class _Repeats:
    """What a key that came more than once needs to have counted."""

    __slots__ = ("accepted_ms", "counts", "differ", "first_ms", "last_ms")

    def __init__(self, first_ms: int) -> None:
        self.counts = [1, 0, 0, 0]
        self.differ = False
        self.first_ms = first_ms
        self.accepted_ms = first_ms
        """When it was accepted last: where the window begins."""
        self.last_ms = first_ms


def digest(body: bytes) -> bytes:
    """Eight bytes of BLAKE2b over an event's whole body: enough to tell whether two bodies differ."""
    return blake2b(body, digest_size=8).digest()


def digest_text(body: bytes) -> str:
    """The digest as `keys` shows it, for tests that compute what they expect."""
    return digest(body).hex()


class KeyBook:
    """The keys of one workspace. One thread."""

    __slots__ = ("_digests", "_latest_ms", "_repeats", "_rows", "_since_ms", "_since_row", "_window_ms")

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._rows: dict[bytes, int] = {}
        self._since_row = array("Q")
        """Rows from `_since_row[i]` on, up to the next one, were new at `_since_ms[i]`."""
        self._since_ms = array("Q")
        self._latest_ms = -1
        self._digests = array("Q")
        self._repeats: dict[int, _Repeats] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, key: bytes, body: bytes, now_ms: int) -> tuple[Taken, int]:
        """Note an event under its key; the row identifies the key and is what `message_id` is made of."""
        rows = self._rows
        number = int.from_bytes(blake2b(body, digest_size=8).digest(), "big")
        fresh = len(rows)
        row = rows.setdefault(key, fresh)
        if row == fresh:
            self._digests.append(number)
            if now_ms != self._latest_ms:
                self._latest_ms = now_ms
                self._since_row.append(row)
                self._since_ms.append(now_ms)
            return Taken.NEW, row
        return self._repeat(row, number, now_ms), row

    def facts(self, key: bytes) -> KeyFacts | None:
        """What is known of one key."""
        row = self._rows.get(key)
        return None if row is None else self._facts(key, row)

    def all(self) -> Iterator[KeyFacts]:
        """Every key known at this moment, oldest first; keys may be taken while it is being read."""
        return (self._facts(key, row) for row, key in enumerate(list(self._rows)))

    def _first_ms(self, row: int) -> int:
        return self._since_ms[bisect_right(self._since_row, row) - 1]

    def _repeat(self, row: int, number: int, now_ms: int) -> Taken:
        seen = self._repeats.get(row)
        if seen is None:
            seen = self._repeats[row] = _Repeats(self._first_ms(row))
        same = number == self._digests[row]
        kind = Taken.IDENTICAL if same else Taken.DIFFERENT
        if now_ms - seen.accepted_ms >= self._window_ms:
            kind = Taken.AGAIN
            seen.accepted_ms = now_ms
            self._digests[row] = number
        seen.counts[kind] += 1
        seen.last_ms = now_ms
        seen.differ = seen.differ or not same
        return kind

    def _facts(self, key: bytes, row: int) -> KeyFacts:
        shown = f"{self._digests[row]:016x}"
        seen = self._repeats.get(row)
        if seen is None:
            at = self._first_ms(row)
            return KeyFacts(key.decode(), 1, 1, 0, 0, at, at, shown, bytes_differ=False)
        new, again, identical, different = seen.counts
        count = new + again + identical + different
        return KeyFacts(
            key.decode(), count, new + again, identical, different, seen.first_ms, seen.last_ms, shown, seen.differ
        )
