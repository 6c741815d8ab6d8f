"""The demo from curtain to summary, and its screen: live in a terminal, plain lines elsewhere, both from one moment."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge import jsontext
from bridge.demo.setup import DemoSetup, Story, set_up
from bridge.flow import Outcome
from bridge.observe.snapshot import Snapshot

FRAME = 0.25
LAST_SECONDS = 60.0
"""How long the bridge may take to catch up after the feed has ended."""


def play(*, rate: float, seconds: float | None, records: int | None, seed: int) -> int:
    """Run the demo; 0 only if the sums add up and SuprSend's side agrees with them."""
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    with set_up(rate, records, seed) as setup:
        until = None if seconds is None else setup.story.began + seconds
        with screen() as shown:
            while not (ended.is_set() or setup.story.done or setup.app.failure() or _over(until)):
                shown.show(_scene(setup))
                ended.wait(FRAME)
            setup.story.done = True
            _catch_up(setup, shown)
        ending = setup.app.stop()
        failure = ending.fatal or setup.story.failed or (None if ending.clean else "the bridge did not stop in time")
        return _summary(setup, failure)


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _catch_up(setup: DemoSetup, shown: Any) -> None:
    deadline = time.monotonic() + LAST_SECONDS
    while time.monotonic() < deadline and setup.app.failure() is None:
        scene = _scene(setup)
        shown.show(scene)
        read = scene.snapshot.consumed() >= setup.story.written
        if read and scene.snapshot.inflight() == 0 and setup.story.outage_over() and lag(scene.snapshot) == 0:
            return
        time.sleep(FRAME / 2)


def _scene(setup: DemoSetup) -> Scene:
    stats = setup.sandbox.stats()
    newest = next(iter(setup.sandbox.events(newest=1, limit=1)), None)
    last = newest["body"] if newest else None
    return Scene(setup.app.fresh(), setup.story, stats["events"]["accepted"], last, setup.sandbox.url)


def _summary(setup: DemoSetup, failure: str | None) -> int:
    """Say what came of it, and whether both sides agree."""
    snapshot = setup.app.last()
    stats = setup.sandbox.stats()["events"]
    counts = snapshot.finished()
    read, inflight = snapshot.consumed(), snapshot.inflight()
    accepted = sum(
        count for rule in snapshot.rule_views() for (_, result), count in rule.events.items() if result == "accepted"
    )
    sums = read == sum(counts.values()) + inflight
    agree = accepted == stats["accepted"] and stats["repeats_different"] == 0
    complete = read == setup.story.written
    terms = " + ".join(f"{name} {count}" for name, count in counts.items() if count) or "0"
    lines = [
        "",
        f"records   written {setup.story.written}, consumed {read} = {terms} + in work {inflight}"
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


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment of the demo. `last` is the newest event that the sandbox accepted."""

    snapshot: Snapshot
    story: Story
    received: int
    last: dict[str, Any] | None
    sandbox_url: str


class Screen(Protocol):
    def show(self, scene: Scene) -> None: ...


def lag(snapshot: Snapshot) -> int:
    """Records in Kafka without an outcome."""
    return sum(view.lag or 0 for view in snapshot.partitions)


def mishaps(story: Story, snapshot: Snapshot) -> list[str]:
    """What was done to the bridge and what it makes of it, in words."""
    lines = []
    if story.poison is not None:
        letters = sum(sum(counted.dead_letters.values()) for counted in snapshot.delivery.topics.values())
        lines.append(
            f"{story.poison:4.1f} s  an order service wrote half a record: it is no JSON. "
            + ("It is in the dead-letter topic, with the reason; the others went on." if letters else "…")
        )
    if story.outage is not None:
        began, ended = story.outage
        if ended is None:
            lines.append(
                f"{began:4.1f} s  SuprSend answers 503: calls are tried again, later and later; nothing is lost."
            )
        else:
            state = "the breaker still probes" if snapshot.calls.circuit_open else "everything goes out again"
            lines.append(f"{began:4.1f} s  SuprSend answered 503 for {ended - began:.0f} s: {state}.")
    return lines


class Plain:
    """A line a second, for logs and pipes."""

    def __init__(self) -> None:
        self._told = 0
        self._next = 0.0
        self._first = False

    def show(self, scene: Scene) -> None:
        """Print what is new."""
        snapshot, story = scene.snapshot, scene.story
        if scene.last is not None and not self._first:
            self._first = True
            _line(f"first event: {jsontext.dumps(scene.last).decode()}")
        lines = mishaps(story, snapshot)
        for line in lines[self._told :]:
            _line(line.strip())
        self._told = max(self._told, len(lines))
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 1.0
            counts = " ".join(f"{name}={count}" for name, count in sorted(snapshot.finished().items()))
            _line(f"written={story.written} consumed={snapshot.consumed()} {counts} lag={lag(snapshot)}")


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Rich:
    """Redraws a page four times a second."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, scene: Scene) -> None:
        """Draw."""
        self._live.update(
            Group(_head(scene), _records(scene), _story(scene), _rules(scene.snapshot), _last(scene)), refresh=True
        )


def _head(scene: Scene) -> Text:
    up = time.monotonic() - scene.story.began
    return Text.assemble(
        ("Kafka → SuprSend bridge, demo", "bold"),
        f"   {up:4.0f} s   Ctrl-C ends it   what SuprSend got: {scene.sandbox_url}",
    )


def _records(scene: Scene) -> Table:
    snapshot = scene.snapshot
    table = Table(box=SIMPLE_HEAD, expand=True)
    for name in ("topic", "consumed", "delivered", "filtered", "dead letters", "in work", "committed", "lag"):
        table.add_column(name, justify="left" if name == "topic" else "right")
    for topic in snapshot.topics:
        views = [view for view in snapshot.partitions if view.topic == topic.topic]
        counted = snapshot.counted(topic.topic)
        table.add_row(
            topic.topic,
            str(counted.consumed),
            str(counted.finished[Outcome.DELIVERED]),
            str(counted.finished[Outcome.FILTERED]),
            str(counted.finished[Outcome.DEAD_LETTERED]),
            str(topic.inflight),
            str(sum(view.committed or 0 for view in views)),
            str(sum(view.lag or 0 for view in views)),
        )
    return table


def _rules(snapshot: Snapshot) -> Table:
    table = Table(box=SIMPLE_HEAD, expand=True)
    table.add_column("rule")
    table.add_column("event")
    table.add_column("accepted", justify="right")
    for rule in snapshot.rule_views():
        for (event, result), count in rule.events.items():
            if result == "accepted":
                table.add_row(rule.name, event, str(count))
    return table


def _story(scene: Scene) -> Panel:
    calls = scene.snapshot.calls
    answers = (
        ", ".join(f"{code}: {count}" for code, count in sorted(scene.snapshot.delivery.requests.items())) or "none yet"
    )
    lines = mishaps(scene.story, scene.snapshot) or ["two mishaps will happen in the next seconds"]
    breaker = "open: only probes go out" if calls.circuit_open else "closed"
    return Panel("\n".join([*lines, f"answers {answers}; breaker {breaker}"]), title="what happens", title_align="left")


def _last(scene: Scene) -> Panel:
    text = jsontext.dumps(scene.last, option=jsontext.OPT_INDENT_2).decode() if scene.last else "waiting …"
    lines = text.splitlines()
    shown = lines if len(lines) <= 16 else [*lines[:16], "  …"]
    return Panel(Text("\n".join(shown)), title="the newest event", title_align="left")


@contextmanager
def screen() -> Iterator[Screen]:
    """The screen that fits where the output goes."""
    console = Console()
    if not console.is_terminal:
        yield Plain()
        return
    with Live(console=console, auto_refresh=False, screen=False, vertical_overflow="crop") as live:
        yield Rich(live)
