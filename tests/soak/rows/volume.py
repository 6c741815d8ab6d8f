"""Millions of records under real faults of many kinds: what the share of repeats is when there is something to repeat in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from tests.road.bridge_process import BridgeProcess, until
from tests.soak.load import MIX
from tests.soak.proxy import ProxyProcess, Spoil
from tests.soak.stage import Stage

_PER_SECOND: Final = 16_000
"""What two cores carry with the brokers, the API and the judge on them, so that work in flight is what it is in calm."""
_AHEAD: Final = 400_000
_BEHIND: Final = 8_000
_CALM_SECONDS: Final = 20.0
"""The longest that is waited between two faults until the bridges have caught up."""


class _Scene:
    """What the faults of this row are done to."""

    def __init__(self, stage: Stage, proxy: ProxyProcess) -> None:
        self.stage = stage
        self.proxy = proxy
        self.members = [self.join(), self.join()]
        self.guests: list[BridgeProcess] = []

    def join(self) -> BridgeProcess:
        """One more member of the group."""
        base_url = f"http://127.0.0.1:{self.proxy.port}/"
        delivery = {**self.stage.settings()["delivery"], "retry": {"base": "100ms", "cap": "2s", "budget": 1.0}}
        return self.stage.member(
            base_url=base_url, suprsend={"timeout": "5s", "connect_timeout": "2s"}, delivery=delivery
        )

    def one(self) -> BridgeProcess:
        return self.stage.random.choice(self.members)

    def strike(self, name: str, fault: Mapping[str, Any], seconds: float) -> None:
        """A fault of the API for so long."""
        self.stage.injected[name] += 1
        self.stage.api(fault)
        time.sleep(seconds)
        self.stage.api()

    def spoil(self, name: str, how: Spoil, seconds: float) -> None:
        """A fault of the network before the API for so long."""
        self.stage.injected[name] += 1
        self.proxy.spoil(how)
        time.sleep(seconds)
        self.proxy.heal()


def volume(stage: Stage) -> None:
    """Millions of records while processes, the broker, the network and the API fail: the share of repeats."""
    stage.open(partitions=8)
    stage.drain_within = 180.0
    with ProxyProcess(urlsplit(stage.sandbox.url).port or 0) as proxy:
        scene = _Scene(stage, proxy)
        for member in scene.members:
            stage.await_ready(member)
        began = time.monotonic()
        feeder = stage.feeder(per_second=_PER_SECOND, most=stage.records, ahead=_AHEAD)
        before = "start"
        for turn, fault in enumerate(_deck(stage)):
            _await_made(stage, stage.records * turn // stage.faults)
            _await_progress(stage)
            _account(stage, before)
            before = fault.__name__.strip("_")
            fault(scene)
        _await_made(stage, stage.records)
        feeder.stop()
        stage.drain()
        _account(stage, before)
        stage.figures["records_per_second"] = stage.records / (time.monotonic() - began)
        stage.finish()


def _await_made(stage: Stage, goal: int) -> None:
    deadline = time.monotonic() + 600
    while stage.load.made() < goal and time.monotonic() < deadline:
        time.sleep(0.1)


def _await_progress(stage: Stage) -> None:
    """A fault shall fall into steady work: but that is not waited for without end, for faults may overlap."""
    share = 1.0 - sum(MIX.values())
    with suppress(AssertionError):
        until(lambda: stage.load.made() * share - stage.accepted() < _BEHIND, _CALM_SECONDS)


def _account(stage: Stage, after: str) -> None:
    """Whose fault the repeats since the last fault are."""
    events = stage.sandbox.stats()["events"]
    count = events["repeats_identical"] + events["repeats_different"]
    name = f"repeats_after_{after}"
    fresh = count - stage.figures.get("repeats", 0.0)
    stage.figures["repeats"] = float(count)
    if fresh:
        stage.figures[name] = stage.figures.get(name, 0.0) + fresh


def _deck(stage: Stage) -> list[Callable[[_Scene], None]]:
    """The faults of one run in the proportions of the table, shuffled by the seed."""
    cards = [fault for fault, share in _FAULTS for _ in range(share)]
    whole, rest = divmod(stage.faults, len(cards))
    deck = cards * whole + stage.random.sample(cards, rest)
    stage.random.shuffle(deck)
    return deck


def _kill(scene: _Scene) -> None:
    member = scene.one()
    scene.stage.kill(member)
    scene.stage.again(member)


def _sigterm(scene: _Scene) -> None:
    member = scene.one()
    scene.stage.terminate(member)
    scene.stage.again(member)


def _guest(scene: _Scene) -> None:
    """A third member comes, or goes."""
    if scene.guests:
        scene.stage.terminate(scene.guests.pop())
    else:
        scene.stage.injected["member joined"] += 1
        scene.guests.append(scene.join())


def _broker_killed(scene: _Scene) -> None:
    scene.stage.injected["broker killed"] += 1
    scene.stage.kafka.kill()
    time.sleep(scene.stage.random.uniform(0.2, 1.5))
    scene.stage.kafka.restart()


def _broker_frozen(scene: _Scene) -> None:
    scene.stage.injected["broker frozen"] += 1
    (node,) = scene.stage.kafka.nodes
    node.suspend()
    try:
        time.sleep(2.0)
    finally:
        node.resume()


def _failing(scene: _Scene) -> None:
    scene.strike("503 for a while", {"fault": "status", "status": 503}, 1.5)


def _throttled(scene: _Scene) -> None:
    scene.strike("429 with Retry-After", {"fault": "status", "status": 429, "retry_after": 1}, 1.0)


def _hanging(scene: _Scene) -> None:
    scene.strike("answers that hang", {"fault": "hang", "apply": True, "when": {"calls": 4}}, 0.5)


def _wrong(scene: _Scene) -> None:
    scene.strike("answers too short", {"fault": "wrong_count", "by": -1, "apply": True, "when": {"calls": 4}}, 0.5)


def _garbled(scene: _Scene) -> None:
    scene.strike("answers that are no JSON", {"fault": "non_json", "apply": False, "when": {"calls": 6}}, 0.5)


def _reset(scene: _Scene) -> None:
    scene.strike(
        "answers reset", {"fault": "disconnect_after", "after_bytes": 20, "reset": True, "when": {"calls": 6}}, 0.5
    )


def _cut(scene: _Scene) -> None:
    scene.spoil("connections cut", Spoil(cut=True), 0.1)


def _refused(scene: _Scene) -> None:
    scene.spoil("connections refused", Spoil(cut=True, refuse=True), 1.0)


def _half_open(scene: _Scene) -> None:
    scene.spoil("connections half-open", Spoil(frozen=True), 1.0)


def _slow(scene: _Scene) -> None:
    scene.spoil("connections slow", Spoil(delay=0.2), 2.0)


_FAULTS: Final[tuple[tuple[Callable[[_Scene], None], int], ...]] = (
    (_kill, 3),
    (_sigterm, 4),
    (_guest, 4),
    (_broker_killed, 1),
    (_broker_frozen, 1),
    (_failing, 2),
    (_throttled, 2),
    (_hanging, 1),
    (_wrong, 1),
    (_garbled, 1),
    (_reset, 1),
    (_cut, 1),
    (_refused, 1),
    (_half_open, 1),
    (_slow, 1),
)
"""Each fault, and how often it comes in twenty-five."""
