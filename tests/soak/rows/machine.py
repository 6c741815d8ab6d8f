"""The machine under the bridge: its clock, its disk, its memory, the names and the certificates that it knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from bridge import jsontext
from tests.brokers.node import free_ports
from tests.road.bridge_process import BridgeProcess, until
from tests.soak.facts import Kind
from tests.soak.load import MIX
from tests.soak.proxy import ProxyProcess, Spoil
from tests.soak.stage import Stage
from tests.soak.surroundings import MIB, Authority, Clock, Disk, MemoryLimit, Names

_LETTERS: Final = {**MIX, Kind.REFUSED: 0.06, Kind.UNREADABLE: 0.02}
_STALL_SECONDS: Final = 1.0
_CALM_SECONDS: Final = 9.0
"""Longer than a session."""
_LIMIT: Final = 256 * MIB
_HOST: Final = "api.soak.example"
_NAME_SECONDS: Final = 60.0
"""A name is looked up again after 30 s."""
_LIFETIME_SECONDS: Final = 345.0
"""A connection is used for 300 s, and a name for 30 s."""
_AUTHORITY_SECONDS: Final = 100.0
"""The file of trusted certificates is read again after 60 s."""


def clock(stage: Stage) -> None:
    """The clock jumps by an hour, forward or back, under load and in calm: no crash, no stall, no repeat."""
    stage.open()
    stage.allowed.repeats = 0
    ticking = Clock(stage.folder)
    member = stage.member(env=ticking.env)
    stage.await_ready(member)
    stage.produce(20)
    stage.drain()
    before = rebalances(stage, member)
    portion = stage.records // stage.faults
    hours = 0
    for turn in range(stage.faults):
        hours = stage.random.choice([each for each in (1, -1, 0) if each != hours])
        where = "clock an hour ahead" if hours > 0 else "clock an hour late" if hours else "clock set right"
        feeder = None
        if turn % 2 == 0:
            feeder = stage.feeder(per_second=max(10, portion // 6), most=portion)
            stage.await_accepted(5)
        stage.injected[f"{where}, {'in calm' if feeder is None else 'under load'}"] += 1
        ticking.set(3600 * hours)
        if feeder is None:
            time.sleep(_CALM_SECONDS)
            feeder = stage.feeder(per_second=max(10, portion // 6), most=portion)
        _no_stall(stage, 5.0)
        feeder.stop()
        stage.drain()
        stage.claim(member.process.poll() is None, "the bridge has ended")
    # Set back in calm, librdkafka's threads sleep on until something comes, and miss their session (its issue 2145).
    stage.figures["rebalances"] = rebalances(stage, member) - before


def rebalances(stage: Stage, member: BridgeProcess) -> float:
    """How many it has seen so far."""
    return float(until(lambda: stage.metric(member, "bridge_rebalances_total"), 30, stage.logs))


def _no_stall(stage: Stage, seconds: float) -> None:
    """Events go on being accepted all the time."""
    ends = time.monotonic() + seconds
    count, since, longest = stage.accepted(), time.monotonic(), 0.0
    while time.monotonic() < ends:
        time.sleep(0.05)
        now = stage.accepted()
        if now > count:
            count, since = now, time.monotonic()
        longest = max(longest, time.monotonic() - since)
    stage.figures["longest_stall_s"] = max(longest, stage.figures.get("longest_stall_s", 0.0))
    stage.claim(longest <= _STALL_SECONDS + 0.3, f"nothing was accepted for {longest:.2f} s")


def disk_full(stage: Stage) -> None:
    """The disk that its log and its temporary files are on is full: it goes on, and logs again when there is room."""
    stage.open()
    stage.allowed.repeats = 0
    (port,) = free_ports(1)
    with Disk(stage.folder / "disk") as disk:
        log = disk.place / "member-1.log"
        (stage.folder / "member-1.log").symlink_to(log)
        member = stage.member(
            logs={"format": "json", "level": "debug", "log_payloads": True},
            admin={"port": port},
            env={"TMPDIR": str(disk.place)},
        )
        # What asks for the port must not meet a line of which only the beginning found room.
        member.log_file = stage.folder / "not-the-log.log"
        member.log_file.write_bytes(jsontext.dumps({"event": "admin_listening", "port": port}) + b"\n")
        stage.await_ready(member)
        for _ in range(stage.faults):
            disk.fill()
            stage.injected["disk full"] += 1
            stage.produce(stage.records // stage.faults, _LETTERS)
            stage.drain()
            stage.claim(member.process.poll() is None, "the bridge has ended")
            polls_go_on(stage, member)
            disk.free()
            log.open("wb").close()
            reload_rules(stage)
            until(lambda: log.stat().st_size > 0, 60, stage.logs)
        stage.finish()


def reload_rules(stage: Stage) -> None:
    """Change them by a comment."""
    rules = stage.folder / "rules" / "soak.yaml"
    rules.write_text(rules.read_text() + "# looked at\n")


def polls_go_on(stage: Stage, member: BridgeProcess) -> None:
    """The Kafka thread polls at least every second."""
    for _ in range(10):
        polled = stage.metric(member, "bridge_last_poll_timestamp_seconds")
        stage.claim(polled is not None and time.time() - polled < 1.5, f"polled {polled}, now {time.time()}")
        time.sleep(0.2)


def memory_limit(stage: Stage) -> None:
    """256 MiB, held by the kernel, with a large backlog of large records and an API that is slow: never killed."""
    stage.open()
    stage.load.padding = b"p" * 2_000
    stage.produce(stage.records)
    with MemoryLimit(stage.group, _LIMIT) as limit:
        for _ in range(stage.faults):
            stage.injected["start behind a backlog under a limit"] += 1
            stage.api({"fault": "delay", "seconds": 0.3})
            member = stage.member(wrap=limit.wrap)
            time.sleep(6.0)
            stage.api()
        stage.drain()
        stage.claim(member.process.poll() is None, "the bridge has ended")
        stage.claim(limit.kills() == 0, "the kernel has killed it")
        stage.figures["peak_of_the_group_mib"] = limit.peak() / MIB
        stage.finish()


def names_move(stage: Stage) -> None:
    """The name of the API gets another address; the old one is gone, or still answers: found without a restart."""
    stage.open()
    names = Names(stage.folder)
    (port,) = free_ports(1)
    target = urlsplit(stage.sandbox.url).port or 0
    with ProxyProcess(target, port, host="127.0.0.2") as one, ProxyProcess(target, port, host="127.0.0.3") as two:
        names.point(_HOST, "127.0.0.2")
        member = stage.member(
            base_url=f"http://{_HOST}:{port}/",
            wrap=names.wrap,
            suprsend={"timeout": "2s", "connect_timeout": "1s"},
        )
        stage.await_ready(member)
        feeder = stage.feed(2.0 * _NAME_SECONDS * stage.faults)
        stage.await_accepted(5)
        at, away = (one, "127.0.0.2"), (two, "127.0.0.3")
        for turn in range(stage.faults):
            # The old address answers on in one of them only: that takes as long as a connection may live.
            stays = turn == 0 and stage.faults > 2
            stage.injected["name moved, old address answers" if stays else "name moved, old address gone"] += 1
            before = away[0].spoil(Spoil())
            names.point(_HOST, away[1])
            if not stays:
                at[0].spoil(Spoil(cut=True, refuse=True))
            began = time.monotonic()
            if stays:
                until(lambda proxy=away[0], count=before: proxy.spoil(Spoil()) > count, _LIFETIME_SECONDS, stage.logs)  # type: ignore[misc]
            stage.await_accepted(5, _NAME_SECONDS)
            name, took = "old_answers_s" if stays else "old_gone_s", time.monotonic() - began
            stage.figures[name] = max(took, stage.figures.get(name, 0.0))
            at[0].spoil(Spoil())
            at, away = away, at
        feeder.stop()
        stage.claim(member.starts() == 1, "the bridge was started again")
        stage.drain()
        stage.finish()


def certificates(stage: Stage) -> None:
    """The API's certificate is renewed, or its authority is another and the file of trusted ones follows: no restart."""
    stage.open()
    authority = Authority(stage.folder / "tls")
    trusted = stage.folder / "trusted.pem"
    trusted.write_bytes(authority.found().read_bytes())
    target = urlsplit(stage.sandbox.url).port or 0
    with ProxyProcess(target, certificate=str(authority.issue())) as proxy:
        member = stage.member(base_url=f"https://127.0.0.1:{proxy.port}/", suprsend={"ca_file": str(trusted)})
        stage.await_ready(member)
        feeder = stage.feed(60.0 * stage.faults)
        stage.await_accepted(5)
        for turn in range(stage.faults):
            if turn % 2 == 0:
                stage.injected["certificate renewed"] += 1
                proxy.spoil(Spoil(cut=True, certificate=str(authority.issue())))
                stage.await_accepted(20)
            else:
                stage.injected["authority replaced"] += 1
                stage.allowed.repeats = None
                _replace(stage, authority, proxy, lambda: trusted.write_bytes(authority.certificate.read_bytes()))
        feeder.stop()
        stage.claim(member.starts() == 1, "the bridge was started again")
        stage.drain()
        stage.finish()


def _replace(stage: Stage, authority: Authority, proxy: ProxyProcess, follow: Callable[[], object]) -> None:
    (member,) = stage.members
    authority.found()
    proxy.spoil(Spoil(cut=True, certificate=str(authority.issue())))
    until(lambda: (stage.metric(member, "bridge_holds") or 0) >= 1, 60, stage.logs)
    follow()
    began = time.monotonic()
    stage.await_accepted(20, _AUTHORITY_SECONDS)
    took = time.monotonic() - began
    stage.figures["new_authority_s"] = max(took, stage.figures.get("new_authority_s", 0.0))
    until(lambda: stage.metric(member, "bridge_holds") == 0, 30, stage.logs)
