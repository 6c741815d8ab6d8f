"""An API that is gone, slow, angry or mad."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from tests.road.bridge_process import until
from tests.soak.facts import Kind
from tests.soak.load import CLEAN, MIX
from tests.soak.proxy import ProxyProcess, Spoil
from tests.soak.rows.machine import rebalances
from tests.soak.stage import Stage
from tests.soak.watch import memory_of

_POLL_INTERVAL: Final = 10.0
_GROWTH: Final = 24 * 1024 * 1024
_BRAKE: Final = 200
_MOST_LETTERS_AT_ONCE: Final = 3


def down(stage: Stage) -> None:
    """Everything is answered 503 for three times the poll interval: no rebalance, memory flat."""
    stage.open()
    stage.api({"fault": "status", "status": 503})
    limits = {"max_poll_interval": "10s", "drain": "1s"}
    members = [stage.member(kafka=_kafka(stage, limits)) for _ in range(2)]
    for member in members:
        stage.await_ready(member)
    time.sleep(2.0)
    for _ in range(stage.faults):
        stage.produce(stage.records // stage.faults)
        stage.injected["503 for 32 s"] += 1
        time.sleep(5.0)
        before = [rebalances(stage, member) for member in members]
        memory = [memory_of(member.process.pid) for member in members]
        time.sleep(3 * _POLL_INTERVAL - 3.0)
        for member, count, held in zip(members, before, memory, strict=True):
            stage.claim(rebalances(stage, member) == count, "there was a rebalance while the API was down")
            grown = memory_of(member.process.pid) - held
            stage.figures["memory_grown_mib"] = max(stage.figures.get("memory_grown_mib", 0.0), grown / 2**20)
            stage.claim(grown < _GROWTH, f"memory grew by {grown:,} bytes while the API was down")
        stage.api()
        stage.await_accepted(1)
    stage.drain()


def slow(stage: Stage) -> None:
    """Answers that drip, hang or come late: an attempt ends by its deadline, and the call is made again."""
    stage.open()
    member = stage.member(suprsend={"timeout": "1500ms", "connect_timeout": "1s"}, delivery=_eager(stage))
    faults = (
        {"fault": "drip", "bytes_per_second": 50},
        {"fault": "hang"},
        {"fault": "hang", "apply": True},
        {"fault": "delay", "seconds": 4},
        {"fault": "drip", "bytes_per_second": 50, "apply": False},
        {"fault": "wrong_length", "by": 1000},
    )
    _spoil_calls(stage, faults)
    page = stage.page(member)
    late = _bucket(page, "+Inf") - _bucket(page, "2.5")
    stage.claim(late == 0, f"{late:.0f} attempts took longer than their deadline and one second")


def network(stage: Stage) -> None:
    """Connections to the API that are cut, refused, frozen, delayed or throttled."""
    stage.open()
    stage.api({"fault": "delay", "seconds": 0.02})
    with ProxyProcess(urlsplit(stage.sandbox.url).port or 0) as proxy:
        stage.member(
            base_url=f"http://127.0.0.1:{proxy.port}/",
            suprsend={"timeout": "2s", "connect_timeout": "1s"},
            delivery=_eager(stage),
        )
        spoil_connections(stage, proxy, "API")
        stage.drain()
        stage.finish()


def spoil_connections(stage: Stage, proxy: ProxyProcess, where: str) -> None:
    """Treat connections badly, each time in a way drawn by the seed, under a steady load."""
    ways = {
        "connections cut": Spoil(cut=True),
        "connections refused": Spoil(cut=True, refuse=True),
        "connections half-open": Spoil(frozen=True),
        "connections slow": Spoil(delay=0.3),
        "connections thin": Spoil(bytes_per_second=20_000),
    }
    feeder = stage.feed(3.0 * stage.faults)
    for _ in range(stage.faults):
        name = stage.random.choice(sorted(ways))
        stage.injected[f"{where}: {name}"] += 1
        proxy.spoil(ways[name])
        time.sleep(stage.random.uniform(0.5, 3.0))
        proxy.heal()
        time.sleep(stage.random.uniform(0.2, 1.5))
    feeder.stop()


def throttled(stage: Stage) -> None:
    """A storm of 429 with Retry-After: nothing is sent before the time is over."""
    stage.open()
    stage.member(delivery={**_eager(stage), "batch_events": 20})
    for _ in range(stage.faults):
        wait = stage.random.choice((1, 2, 3))
        as_date = stage.random.random() < 0.3
        stage.api(
            {
                "fault": "status",
                "status": 429,
                "retry_after": wait,
                "retry_after_as": "date" if as_date else "seconds",
                "when": {"calls": 1},
            }
        )
        stage.produce(stage.records // stage.faults)
        until(lambda: stage.struck() >= 1, 60, stage.logs)
        stage.injected[f"429 with Retry-After as {'date' if as_date else 'seconds'}"] += 1
        time.sleep(wait + 0.5)
        _quiet_after_429(stage, 0.0 if as_date else wait)


def _quiet_after_429(stage: Stage, wait: float) -> None:
    """Calls that were on their way when the answer came are no fault: they come within a moment."""
    calls = stage.sandbox.calls()
    refused = [call for call in calls if call["status"] == 429][-1]
    # A date has whole seconds: it may be almost a second nearer than it was meant.
    early = [
        round(call["monotonic"] - refused["monotonic"], 3)
        for call in calls
        if 0.3 < call["monotonic"] - refused["monotonic"] < wait - 0.05
    ]
    stage.claim(not early, f"calls {early[:5]} s after a 429 that asked for {wait} s")


def fuzzed(stage: Stage) -> None:
    """Answers that are wrong in every way: none is taken for success, whatever was applied."""
    stage.open()
    # An item refused as transient while a later one of its key was accepted: counted by the bridge, not prevented.
    stage.allowed.disorder = True
    stage.member(delivery={**_eager(stage), "batch_events": 10}, suprsend={"timeout": "2s", "connect_timeout": "1s"})
    spoilt: list[dict[str, Any]] = [
        {"fault": "wrong_count", "by": -1},
        {"fault": "wrong_count", "by": 1},
        {"fault": "wrong_count", "by": -1000},
        {"fault": "malformed_records"},
        {"fault": "truncate", "keep": 0.6},
        {"fault": "truncate", "keep": 0.9, "reset": True},
        {"fault": "non_json"},
        {"fault": "non_json", "body": ""},
        {"fault": "non_json", "body": '"OK"'},
        {"fault": "wrong_length", "by": 50},
        {"fault": "compressed_bomb", "megabytes": 64},
        {"fault": "endless", "megabytes": 64},
        {"fault": "huge_headers"},
        {"fault": "not_http"},
    ]
    faults = [{**fault, "apply": apply} for fault in spoilt for apply in (True, False)]
    faults += [{"fault": "malformed_records", "share": 0.3}, {"fault": "redirect"}]
    faults += [{"fault": "reject", "share": 0.3, "sticky": False, "status_code": 500, "type": "internal"}]
    faults += [{"fault": "disconnect_after", "after_bytes": 200, "reset": True}, {"fault": "disconnect_before"}]
    _spoil_calls(stage, faults)


def poison(stage: Stage) -> None:
    """Calls refused as a whole for k of their events: exactly those are dead-lettered, in few more calls."""
    stage.open(partitions=1)
    stage.api({"fault": "reject", "name": "poison", "whole": True, "when": {"match": {"distinct_id": "refused-"}}})
    stage.member(delivery={**_eager(stage), "linger": "500ms"})
    portion = stage.records // stage.faults
    for _ in range(stage.faults):
        k = stage.random.randrange(1, 1 + _MOST_LETTERS_AT_ONCE)
        before = stage.sandbox.stats()["calls"]["total"]
        stage.produce(portion, CLEAN)
        stage.produce(k, {Kind.REFUSED: 1.0})
        stage.injected["poison event"] += k
        stage.drain()
        calls = stage.sandbox.stats()["calls"]["total"] - before
        plain = math.ceil(portion / 100) + 6
        extra = calls - plain
        stage.figures["most_extra_calls"] = max(extra, stage.figures.get("most_extra_calls", 0.0))
        stage.claim(extra <= 2 * k * math.ceil(math.log2(100)), f"{calls} calls for {portion} records and {k} culprits")


def refuses_all(stage: Stage) -> None:
    """Every event is refused as invalid: the brake stops the rule, and nothing is lost when it is released."""
    stage.open()
    stage.allowed.dead_any = True
    stage.allowed.disorder = True
    for whole in (False, True) * math.ceil(stage.faults / 2) if stage.faults > 1 else (True,):
        stage.api({"fault": "reject", "whole": whole})
        before = sum(stage.kafka.end_offsets(stage.dead_letters).values())
        member = stage.member()
        stage.produce(stage.records // stage.faults, CLEAN)
        stage.injected["everything refused"] += 1
        until(lambda m=member: (stage.metric(m, "bridge_holds") or 0) >= 1, 60, stage.logs)  # type: ignore[misc]
        time.sleep(4.0)
        letters = sum(stage.kafka.end_offsets(stage.dead_letters).values()) - before
        stage.figures["most_dead_letters"] = max(letters, stage.figures.get("most_dead_letters", 0.0))
        stage.claim(letters <= _BRAKE, f"{letters} dead letters before the brake held")
        stage.api()
        rules = stage.folder / "rules" / "soak.yaml"
        rules.write_text(rules.read_text() + "# looked at\n")
        stage.drain()
        stage.terminate(member)


def secret_changed(stage: Stage) -> None:
    """The workspace's secret changes at the API, the file follows: no restart, no dead letter."""
    stage.open()
    file = stage.folder / "secret"
    file.write_text(stage.sandbox.workspace.secret)
    chosen = stage.settings()["suprsend"]
    stage.member(suprsend={**chosen, "workspace_secret": None, "workspace_secret_file": str(file)})
    for turn in range(stage.faults):
        new = replace(stage.sandbox.workspace, secret=f"rotated-secret-of-the-soak-{turn}")
        stage.sandbox.put_workspace(new)
        stage.sandbox.workspace = new
        stage.injected["secret changed"] += 1
        stage.produce(stage.records // stage.faults)
        time.sleep(2.0)
        file.write_text(new.secret)
        stage.drain()


def _spoil_calls(stage: Stage, faults: Any) -> None:
    """Each fault in turn strikes a few calls, until as many were struck as the row wants."""
    each = max(1, math.ceil(stage.faults / len(faults)))
    portion = max(10, stage.records // len(faults))
    for fault in faults:
        stage.api({**fault, "when": {"calls": each, "probability": 0.5}})
        stage.produce(portion, MIX)
        deadline = time.monotonic() + 15
        while stage.struck() < each and time.monotonic() < deadline:
            time.sleep(0.1)
        stage.injected[fault["fault"]] += stage.struck()
        stage.api()
    stage.drain()


def _eager(stage: Stage) -> dict[str, Any]:
    """Retries are not to be what the row waits for."""
    return {**stage.settings()["delivery"], "retry": {"base": "50ms", "cap": "500ms", "budget": 1.0}}


def _kafka(stage: Stage, more: dict[str, Any]) -> dict[str, Any]:
    return {**stage.settings()["kafka"], **more}


def _bucket(page: str, bound: str) -> float:
    start = f'bridge_http_request_duration_seconds_bucket{{le="{bound}"}} '
    return sum(float(line.removeprefix(start)) for line in page.splitlines() if line.startswith(start))
