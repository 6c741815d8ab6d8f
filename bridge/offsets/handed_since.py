"""Since when the offsets of one partition may have been handed to the API: what the 24 h guard goes by. Pure."""

from __future__ import annotations

from collections.abc import Iterable

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
