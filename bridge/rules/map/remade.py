"""The events of a record that fanned out too far to keep their bodies: they are made again, a few MiB at a time.

One pass tells all that has to be known before the first call: recipients, keys, faults, the size of each body. The bodies
are made again by the very code that made them first, as calls have room; it is pure, so they are the same bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, overload

from bridge.flow import Event, LargeBodies

__all__ = ["MOST_KEPT", "Remade"]

MOST_KEPT: Final = 4
"""Records whose bodies are kept at the same time: the calls that are filled next take from few."""

Again = Callable[[int], Sequence["bytes | int"]]
"""`(low)`: the record's bodies again; those that begin at this many bytes or later as bytes, until enough of them, and of the
others the size alone."""
MakeEvent = Callable[[int, bytes], Event]
"""`(place, body)`: the event at a place of the run."""


class _Source:
    """All bodies of a run of which the last record fanned out; those before it are kept."""

    __slots__ = ("again", "begins", "event", "first", "head", "kept", "kept_bytes", "kept_from", "recent")

    def __init__(
        self,
        made: Sequence[bytes | int],
        first: int,
        kept_bytes: int,
        again: Again,
        event: MakeEvent,
        recent: deque[_Source],
    ) -> None:
        self.head = [body for body in made[:first] if type(body) is bytes]
        self.first = first
        """The place of the record's first body."""
        sizes = (len(body) if isinstance(body, bytes) else body for body in made[first:])
        self.begins = [0, *accumulate(size + 1 for size in sizes)]
        """Where each body of the record begins, in bytes, counting a comma behind each."""
        self.kept_bytes = kept_bytes
        self.again = again
        self.event = event
        self.recent = recent
        self.kept: list[bytes] = []
        self.kept_from = 0
        self._keep(made[first:], 0)

    def _keep(self, made: Sequence[bytes | int], at: int) -> None:
        """Keep those from one place on that are bytes, as many as may be kept, and of another record no longer."""
        self.kept_from = at
        self.kept = []
        most = self.begins[at] + self.kept_bytes
        for begins, body in zip(self.begins[at:], made[at:], strict=False):
            if not isinstance(body, bytes) or begins >= most:
                break
            self.kept.append(body)
        if self not in self.recent:
            if len(self.recent) == self.recent.maxlen:
                self.recent[0].kept = []
            self.recent.append(self)

    def size(self, place: int) -> int:
        at = place - self.first
        return len(self.head[place]) if at < 0 else self.begins[at + 1] - self.begins[at] - 1

    def body(self, place: int) -> bytes:
        at = place - self.first
        if at < 0:
            return self.head[place]
        if not self.kept_from <= at < self.kept_from + len(self.kept):
            self._keep(self.again(self.begins[at]), at)
        return self.kept[at - self.kept_from]


class Remade(LargeBodies):
    """Some bodies of a run. Used by the thread that maps."""

    __slots__ = ("_places", "_source")

    def __init__(self, source: _Source, places: Sequence[int]) -> None:
        self._source = source
        self._places = places

    @classmethod
    def of(
        cls,
        made: Sequence[bytes | int],
        first: int,
        kept_bytes: int,
        again: Again,
        event: MakeEvent,
        recent: deque[_Source],
    ) -> Remade:
        """All bodies of a run.

        `made` has the sizes of those that are not kept; the record that fanned out is the last, its bodies begin at `first`.
        `recent` is the mapping's: whose bodies are kept.
        """
        return cls(_Source(made, first, kept_bytes, again, event, recent), range(len(made)))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Remade: ...
    def __getitem__(self, at: int | slice) -> bytes | Remade:
        if isinstance(at, slice):
            return Remade(self._source, self._places[at])
        return self._source.body(self._places[at])

    def sizes(self) -> list[int]:
        """The bytes of each body, without making it."""
        return [self._source.size(place) for place in self._places]

    def pick(self, places: Sequence[int]) -> Remade:
        """The bodies at some places of these."""
        return Remade(self._source, [self._places[place] for place in places])

    def events(self) -> Sequence[Event]:
        """The events, each made when it is asked for."""
        return _Events(self._source, self._places)


class _Events(Sequence[Event]):
    __slots__ = ("_places", "_source")

    def __init__(self, source: _Source, places: Sequence[int]) -> None:
        self._source = source
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Event: ...
    @overload
    def __getitem__(self, at: slice) -> _Events: ...
    def __getitem__(self, at: int | slice) -> Event | _Events:
        if isinstance(at, slice):
            return _Events(self._source, self._places[at])
        place = self._places[at]
        return self._source.event(place, self._source.body(place))
