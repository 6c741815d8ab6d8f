"""How far RE2 looks past the end of a match before it knows that it is the match.

It finds a match in one pass, but `[^x]*x|a` reads all that is left to learn that an `a` is all. Doing so for each match of
a text is quadratic. `ahead` says how far that can be; where it has no bound, each match is charged for all that is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from bridge.jq.regex.shape import Chars, Either, Group, Ranges, Row, Shape, Times, at_most, chars_but, common, meet

MOST_AHEAD = 512
"""A pattern that may look further counts as one that may look at all that is left."""
_MOST_PLACES = 2_100
_MOST_PAIRED = 64
"""Patterns with more places are not looked at for those that meet."""
_ACCEPT, _BEGIN = -1, -2
Link = int | list["Link"]


class Ahead(NamedTuple):
    """`most`: how many characters a match is looked past its end, in one text that many for each match.

    `whole`: beside that, each character of the text once more.
    """

    most: int
    whole: bool = False


class _TooLargeError(Exception):
    """More places than are looked at."""


class _Places:
    """Where a match can stand: behind each class of the pattern, with what may come next, what is preferred first."""

    def __init__(self, shape: Shape) -> None:
        self.chars: list[Chars] = []
        self._next: list[Link] = []
        first = self._link(shape, [_ACCEPT])
        size = len(self.chars)
        self._next += [first, first]
        self.follow = [self._flat(place, at_begin=place == size) for place in range(size + 2)]
        """What may come next; nothing behind _ACCEPT, since a match there is preferred. The last two: where an attempt
        begins, at the beginning of the text and elsewhere."""

    def _link(self, shape: Shape, then: Link) -> Link:
        """The beginning of a shape behind which `then` comes."""
        if isinstance(shape, Chars):
            if len(self.chars) == _MOST_PLACES:
                raise _TooLargeError
            self.chars.append(shape)
            self._next.append(then)
            return len(self.chars) - 1
        if isinstance(shape, Row):
            for part in reversed(shape.parts):
                then = self._link(part, then)
            return then
        if isinstance(shape, Either):
            return [self._link(part, then) for part in shape.parts]
        if isinstance(shape, Times):
            return self._times(shape, then)
        if isinstance(shape, Group):
            return self._link(shape.part, then)
        # At the end of the text there is nothing to look at.
        return [] if shape.end else [_BEGIN, then]

    def _times(self, shape: Times, then: Link) -> Link:
        if shape.most is None:
            again: list[Link] = []
            part = self._link(shape.part, again)
            again += [then, part] if shape.lazy else [part, then]
            link: Link = again if shape.least == 0 else part
            copies = shape.least - 1
        else:
            link = then
            for _ in range(shape.most - shape.least):
                part = self._link(shape.part, link)
                link = [then, part] if shape.lazy else [part, then]
            copies = shape.least
        for _ in range(copies):
            link = self._link(shape.part, link)
        return link

    def _flat(self, place: int, *, at_begin: bool) -> tuple[int, ...]:
        found: dict[int, None] = {}
        stack: list[Link] = [self._next[place]]
        while stack and _ACCEPT not in found:
            link = stack.pop()
            if isinstance(link, int):
                found[link] = None
            elif link and link[0] == _BEGIN:
                stack += link[1:] if at_begin else []
            else:
                stack += reversed(link)
        return tuple(found)


class _Look:
    """Looks at what may still be read when a match was found."""

    def __init__(self, places: _Places) -> None:
        self._chars = places.chars
        self._accepts = [_ACCEPT in follow for follow in places.follow]
        self._follow = [tuple(place for place in follow if place >= 0) for follow in places.follow]
        self._far: dict[int, float] = {}

    def ahead(self) -> Ahead | None:
        """None where it has no bound."""
        size = len(self._chars)
        if all(self.far(place) <= MOST_AHEAD for place in range(size + 2)):
            return Ahead(int(max(self.far(place) for place in range(size + 2))))
        if size > _MOST_PAIRED:
            return None
        most, whole = 0.0, False
        for place in self._left():
            far = self.far(place)
            if far <= MOST_AHEAD:
                most = max(most, far)
            elif self._without_match(place):
                whole = True
            else:
                return None
        return Ahead(int(most), whole)

    def far(self, place: int, on_the_way: tuple[int, ...] = ()) -> float:
        """How many characters can be read from a place without a match; `inf` where it is too many."""
        if place not in self._far:
            if len(on_the_way) > MOST_AHEAD or place in on_the_way:
                return inf
            way = (*on_the_way, place)
            self._far[place] = 1 + max((self.far(after, way) for after, _ in self._silent(place)), default=0)
        return self._far[place]

    def _silent(self, place: int) -> Iterator[tuple[int, Ranges]]:
        """The places that may come next without a match, and by which characters."""
        matching = frozenset(self._chars[after] for after in self._follow[place] if self._accepts[after])
        for after in self._follow[place]:
            by = () if self._accepts[after] else chars_but(self._chars[after], matching)
            if by:
                yield after, by

    def _left(self) -> set[int]:
        """The places that may still be read from when a match was found, since theirs would be preferred."""
        left = {place for place in range(len(self._follow)) if self._accepts[place]}
        return left | {first for first, second in self._pairs() if self._accepts[second]}

    def _pairs(self) -> set[tuple[int, int]]:
        """Places where two attempts may stand at once, the preferred one first.

        Two at one place are one. Earlier beginnings are preferred; a match ends all that is less preferred.
        """
        elsewhere = len(self._chars) + 1
        pairs: set[tuple[int, int]] = set()
        found = [pair for follow in self._follow for pair in self._both(follow)]
        if not self._accepts[elsewhere]:
            found += [(place, elsewhere) for place in range(len(self._chars))]
        while found:
            pair = found.pop()
            first, second = pair
            if pair in pairs or self._accepts[first]:
                continue
            pairs.add(pair)
            seconds = [place for place in self._follow[second] if place not in self._follow[first]]
            found += [(a, b) for a in self._follow[first] for b in seconds if meet(self._chars[a], self._chars[b])]
        return pairs

    def _both(self, follow: Sequence[int]) -> Iterator[tuple[int, int]]:
        for at, first in enumerate(follow):
            for second in follow[at + 1 :]:
                if meet(self._chars[first], self._chars[second]):
                    yield first, second

    def _without_match(self, place: int) -> bool:
        """Whether what is read from a place without a match holds no match: every match needs a character that it lacks.

        Then no part of a text is looked at twice.
        """
        read: set[Ranges] = set()
        seen, found = {place}, [place]
        while found:
            for after, by in self._silent(found.pop()):
                read.add(by)
                if after not in seen:
                    seen.add(after)
                    found.append(after)
        return any(
            self._needed(place) and not any(common(by, at_most(chars)) for by in read)
            for place, chars in enumerate(self._chars)
        )

    def _needed(self, place: int) -> bool:
        """Whether every match goes through a place."""
        seen = {place}
        found = [len(self._chars), len(self._chars) + 1]
        while found:
            at = found.pop()
            if at in seen:
                continue
            if self._accepts[at]:
                return False
            seen.add(at)
            found += self._follow[at]
        return True


def ahead(shape: Shape) -> Ahead | None:
    """How far past its end a match may be looked, before it is known to be the match; None if there is no bound."""
    try:
        return _Look(_Places(shape)).ahead()
    except _TooLargeError:
        return None
