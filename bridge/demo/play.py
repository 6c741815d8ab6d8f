"""The demo from curtain to summary."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any

from bridge.demo.screen import Scene, lag, screen
from bridge.demo.stage import Stage, staged

FRAME = 0.25
LAST_SECONDS = 60.0
"""How long the bridge may take to catch up after the feed has ended."""


def play(*, rate: float, seconds: float | None, records: int | None, seed: int) -> int:
    """Run the demo; 0 only if the sums add up and SuprSend's side agrees with them."""
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with staged(rate, records, seed) as stage:
        until = None if seconds is None else stage.story.began + seconds
        with screen() as shown:
            while not (ended.is_set() or stage.story.done or stage.app.failure() or _over(until)):
                shown.show(_scene(stage))
                ended.wait(FRAME)
            stage.story.done = True
            _catch_up(stage, shown)
        ending = stage.app.stop()
        failure = ending.fatal or stage.story.failed or (None if ending.clean else "the bridge did not stop in time")
        return _summary(stage, failure)


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _catch_up(stage: Stage, shown: Any) -> None:
    deadline = time.monotonic() + LAST_SECONDS
    while time.monotonic() < deadline and stage.app.failure() is None:
        scene = _scene(stage)
        shown.show(scene)
        read = scene.snapshot.consumed() >= stage.story.written
        if read and scene.snapshot.inflight() == 0 and stage.story.outage_over() and lag(scene.snapshot) == 0:
            return
        time.sleep(FRAME / 2)


def _scene(stage: Stage) -> Scene:
    stats = stage.sandbox.stats()
    newest = next(iter(stage.sandbox.events(newest=1, limit=1)), None)
    last = newest["body"] if newest else None
    return Scene(stage.app.fresh(), stage.story, stats["events"]["accepted"], last, stage.sandbox.url)


def _summary(stage: Stage, failure: str | None) -> int:
    """Say what came of it, and whether both sides agree."""
    snapshot = stage.app.last()
    stats = stage.sandbox.stats()["events"]
    counts = snapshot.finished()
    read, inflight = snapshot.consumed(), snapshot.inflight()
    accepted = sum(
        count for rule in snapshot.rule_views() for (_, result), count in rule.events.items() if result == "accepted"
    )
    sums = read == sum(counts.values()) + inflight
    agree = accepted == stats["accepted"] and stats["repeats_different"] == 0
    complete = read == stage.story.written
    terms = " + ".join(f"{name} {count}" for name, count in counts.items() if count) or "0"
    lines = [
        "",
        f"records   written {stage.story.written}, consumed {read} = {terms} + in work {inflight}"
        + ("" if sums and complete else "   ← does not add up"),
        f"events    accepted {accepted}, SuprSend received {stats['accepted']}"
        f" (repeats with the same key and bytes: {stats['repeats_identical']}, with other bytes:"
        f" {stats['repeats_different']})" + ("" if agree else "   ← does not agree"),
        f"failure   {failure}"
        if failure
        else "all of it agrees"
        if sums and agree and complete
        else "SOMETHING IS WRONG",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if sums and agree and complete and failure is None else 1
