"""Too many log lines of one kind: the first of each stretch are written, the others counted. Pure."""

from __future__ import annotations

from typing import NamedTuple


class LeftOut(NamedTuple):
    """So many lines of a kind were not written since the stretch began."""

    kind: str
    lines: int
    seconds: float


class Limiter:
    """Lets `burst` lines of each kind through per stretch of `seconds`; the clock is passed in.

    Not safe for several threads at once: the caller holds a lock. Kinds are event names, so there are few.
    """

    def __init__(self, burst: int = 20, seconds: float = 10.0) -> None:
        self.burst = burst
        self.seconds = seconds
        self._since: dict[str, float] = {}
        self._seen: dict[str, int] = {}
        self._next_end = float("inf")

    def allow(self, kind: str, now: float) -> bool:
        """Whether to write a line of that kind."""
        if kind not in self._since:
            self._since[kind] = now
            self._next_end = min(self._next_end, now + self.seconds)
        seen = self._seen.get(kind, 0) + 1
        self._seen[kind] = seen
        return seen <= self.burst

    def ended(self, now: float, *, all_of_them: bool = False) -> list[LeftOut]:
        """End the stretches that are over (or all), and tell what each left out. Cheap while none is over."""
        if now < self._next_end and not all_of_them:
            return []
        left_out = []
        for kind, since in list(self._since.items()):
            if now - since < self.seconds and not all_of_them:
                continue
            del self._since[kind]
            over = self._seen.pop(kind) - self.burst
            if over > 0:
                left_out.append(LeftOut(kind, over, now - since))
        self._next_end = min((since + self.seconds for since in self._since.values()), default=float("inf"))
        return left_out
