"""What one row plays on: topics, an API, members of one group, and the means to hurt them."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from confluent_kafka import KafkaException

from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka
from tests.road.bridge_process import BridgeProcess, committed_everything, settings, until
from tests.soak.facts import REFUSED, Kind
from tests.soak.load import LANES, MIX, NAMESPACE, RULES, Feeder, Load
from tests.soak.member import Member
from tests.soak.watch import Watch

PROTOCOLS: Final[Mapping[str, Mapping[str, Any]]] = {
    "classic": {"properties": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}},
    "range": {"assignment": "range", "properties": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000}},
    "consumer": {"group_protocol": "consumer"},
}
REFUSALS: Final = {"fault": "reject", "name": "refusals", "when": {"match": {"distinct_id": {"regex": f"^{REFUSED}"}}}}
"""In force in every row: what makes `Kind.REFUSED` true."""
_ADMIN_TOKEN: Final = "token-of-the-soak-0123456789"
_WAIT: Final = 120.0
_NOTHING_TO_DO: Final = 409
"""The answer of a process that has no partition to pause, or none that is paused."""


@dataclass
class Allowed:
    """What a row's faults excuse; each must be said, for nothing is excused by itself."""

    repeats: int | None = None
    """Most repeats; None leaves them to the check against the commits."""
    resent: bool = False
    """What a commit called finished may come again (a process that was stopped in mid-call)."""
    disorder: bool = False
    """Order within a lane is not promised."""
    dead_any: bool = False
    """A record to be delivered may be dead-lettered instead (the API refuses everything)."""
    rewinds: bool = False
    memory_bytes: int = 256 * 1024 * 1024


@dataclass
class Stage:
    """One row's world. Used by one thread, but for what `feed` starts."""

    kafka: RealKafka
    folder: Path
    random: Random
    protocol: str
    faults: int
    """How many times the row's fault is to be injected."""
    records: int
    """About how many records to produce in all."""
    sandbox: SandboxProcess = field(default_factory=SandboxProcess)
    topics: list[str] = field(default_factory=list)
    dead_letters: str = ""
    group: str = ""
    members: list[BridgeProcess] = field(default_factory=list)
    feeders: list[Feeder] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    claims: list[str] = field(default_factory=list)
    """What the row itself found wrong."""
    figures: dict[str, float] = field(default_factory=dict)
    allowed: Allowed = field(default_factory=Allowed)
    letters: list[Any] = field(default_factory=list)
    """Dead letters read before their topic was deleted."""
    others: list[RealKafka] = field(default_factory=list)
    """Further clusters that the row started."""
    pages: list[str] = field(default_factory=list)
    """Metrics pages seen, for the search for secrets."""
    drain_seconds: float = 0.0
    """The longest."""
    drain_within: float = _WAIT
    _names: int = 0
    _starts: Counter[BridgeProcess] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.watch = Watch()
        self.load = Load(self.kafka.bootstrap, Random(self.random.random()))

    def open(
        self,
        *,
        topics: int = 1,
        partitions: int = 4,
        replication: int = 1,
        replicas: list[list[int]] | None = None,
        config: Mapping[str, str] | None = None,
    ) -> None:
        """Create topics and rules, and start the API. With `replicas` there is one topic, its partitions on these nodes."""
        kafka = self.kafka
        if replicas is not None:
            self.topics.append(kafka.place_topic(kafka.unique("soak"), replicas, config))
        for _ in range(0 if replicas else topics):
            self.topics.append(kafka.create_topic(kafka.unique("soak"), partitions, replication=replication))
        self.dead_letters = kafka.unique("dead")
        self.make_dead_letter_topic(replication)
        self.group = kafka.unique("soakers")
        rules = self.folder / "rules"
        rules.mkdir(parents=True)
        (rules / "soak.yaml").write_text(RULES.format(topics=", ".join(self.topics)))
        self.sandbox.start()
        self.api()

    def make_dead_letter_topic(self, replication: int = 1) -> None:
        """With the brokers' time for each letter, so that it can be held against the commits."""
        config = {"message.timestamp.type": "LogAppendTime"}
        self.kafka.create_topic(self.dead_letters, 1, config, replication)

    def read_letters(self) -> list[Any]:
        """All dead letters that ever were."""
        return [*self.letters, *self.kafka.read(self.dead_letters, seconds=90)]

    def close(self) -> None:
        """End all that was started here."""
        for member in self.members:
            if member.process.poll() is None:
                os.kill(member.process.pid, signal.SIGCONT)
                member.kill()
        self.watch.stop()
        self.sandbox.stop()
        for other in self.others:
            other.close()

    # The load

    def produce(
        self,
        count: int,
        mix: Mapping[Kind, float] = MIX,
        *,
        partition: int = -1,
        lanes: Sequence[int] = range(LANES),
    ) -> None:
        self.load.produce(self.topics, count, mix, partition=partition, lanes=lanes)

    def feed(self, seconds: float) -> Feeder:
        """A steady load for about so long, in a thread of its own: `stop` it."""
        return self.feeder(per_second=max(10, int(self.records / seconds)), most=self.records)

    def feeder(self, *, per_second: int, most: int, ahead: int = 0) -> Feeder:
        """So many records at this pace; with `ahead`, never more than that before what is accepted."""

        def may() -> bool:
            return not ahead or self.load.made() - self.accepted() < ahead

        self.feeders.append(Feeder(self.load, self.topics, per_second=per_second, most=most, may=may))
        return self.feeders[-1]

    def still(self) -> None:
        """No load any more: for a row that broke off."""
        for feeder in self.feeders:
            feeder.stop()

    # The API

    def api(self, *faults: Mapping[str, Any]) -> None:
        """These faults, and no others but the refusals of every row."""
        self.sandbox.call("PUT", "/_sandbox/faults", [REFUSALS, *faults])

    def accepted(self) -> int:
        return int(self.sandbox.stats()["events"]["accepted"])

    def struck(self) -> int:
        """How many calls were spoilt so far by the faults put last."""
        return sum(each["struck"] for each in self.sandbox.faults() if each["name"] != "refusals")

    def await_accepted(self, more: int, seconds: float = _WAIT) -> None:
        """Wait until so many more events are accepted."""
        goal = self.accepted() + more
        until(lambda: self.accepted() >= goal, seconds, self.logs)

    def await_work(self, feeder: Feeder) -> None:
        """Wait until events are being accepted, or the load is over: where all is slow it may be over before the row."""
        goal = self.accepted() + 10
        until(lambda: feeder.ended or self.accepted() >= goal, _WAIT, self.logs)

    # The members

    def member(
        self,
        *,
        base_url: str = "",
        bootstrap: str = "",
        wrap: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **more: Mapping[str, Any],
    ) -> BridgeProcess:
        """Start one more process of the group, in surroundings of its own where `wrap` or `env` say so."""
        self._names += 1
        chosen = self.settings(base_url=base_url, bootstrap=bootstrap, **more)
        made = Member(self.folder, chosen, name=f"member-{self._names}", wrap=wrap, env=env).start()
        self._starts[made] += 1
        self.members.append(made)
        self.watch.add(made.process.pid)
        return made

    def settings(self, *, base_url: str = "", bootstrap: str = "", **more: Mapping[str, Any]) -> dict[str, Any]:
        """As a person would write them, for the row's group protocol."""
        chosen = settings(self.kafka, self.sandbox, self.topics, self.group, self.dead_letters)
        chosen["kafka"]["bootstrap_servers"] = self.kafka.bootstrap.split(",")
        chosen["rules"]["path"] = str(self.folder / "rules")
        chosen["delivery"] = {"namespace": NAMESPACE, "probe_interval": "1s", "retry": {"base": "100ms", "cap": "2s"}}
        chosen["admin"]["token"] = _ADMIN_TOKEN
        chosen["kafka"] |= PROTOCOLS[self.protocol]
        if base_url:
            chosen["suprsend"]["base_url"] = base_url
        if bootstrap:
            chosen["kafka"]["bootstrap_servers"] = [bootstrap]
        for section, values in more.items():
            chosen.setdefault(section, {}).update(values)
        return chosen

    def again(self, member: BridgeProcess) -> None:
        """Start a member that has ended."""
        member.start()
        self._starts[member] += 1
        self.watch.add(member.process.pid)

    def kill(self, member: BridgeProcess, fault: str = "kill -9") -> None:
        self.injected[fault] += 1
        member.kill()

    def terminate(self, member: BridgeProcess) -> float:
        """SIGTERM; the seconds until it had ended with exit code 0."""
        self.injected["SIGTERM"] += 1
        up = member.starts() == self._starts[member]
        began = time.monotonic()
        code = member.terminate(60)
        took = time.monotonic() - began
        # While Python still loads the program, a signal ends it as it ends any: nothing was begun.
        self.claim(
            code == 0 or (not up and code == -signal.SIGTERM),
            f"SIGTERM ended with exit code {code}: {member.text()[-600:]}",
        )
        self.claim(took <= 30, f"SIGTERM took {took:.1f} s")
        self.figures["slowest_stop_s"] = max(took, self.figures.get("slowest_stop_s", 0.0))
        return took

    def await_ready(self, member: BridgeProcess) -> None:
        """Wait until it has joined its group."""
        until(lambda: self.metric(member, "bridge_kafka_joined") == 1.0, 60, self.logs)

    def order(self, member: BridgeProcess, action: str) -> None:
        """An operator's order about everything, to one process."""
        url = f"{member.admin_url()}/actions/{action}"
        headers = {"Authorization": f"Bearer {_ADMIN_TOKEN}", "Content-Type": "application/json"}
        asked = urllib.request.Request(url, b'{"reason": "soak"}', headers, method="POST")
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                answer.read()
        except urllib.error.HTTPError as refused:
            if refused.code != _NOTHING_TO_DO:
                raise

    # What it shows

    def metric(self, member: BridgeProcess, name: str) -> float | None:
        """The sum over a metric's labels; None while the page cannot be had."""
        rows = [line for line in self.page(member).splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(row.rsplit(" ", 1)[1]) for row in rows) if rows else None

    def page(self, member: BridgeProcess) -> str:
        """Its metrics page; empty where there is none just now."""
        try:
            port = next(line["port"] for line in reversed(member.log()) if line["event"] == "admin_listening")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text: str = answer.read().decode()
        except (OSError, StopIteration):
            return ""
        self.pages[:] = [*self.pages[-3:], text]
        return text

    def logs(self) -> str:
        """The end of what each member wrote, for a failure's message."""
        return "\n".join(f"{each.log_file.name}: {each.text()[-1500:]}" for each in self.members)

    def claim(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong and go on: the row's other checks are wanted too."""
        if not holds:
            self.claims.append(otherwise)

    # The end

    def drain(self) -> None:
        """Wait until the group has committed everything; a violation where that takes too long."""
        began = time.monotonic()
        try:
            until(self._done, self.drain_within, self.logs)
        except AssertionError as late:
            self.claims.append(f"I8: not drained: {self._behind()}; {str(late)[-1500:]}")
        self.drain_seconds = max(self.drain_seconds, time.monotonic() - began)

    def finish(self) -> None:
        """Look at the last metrics page of each member, and stop them."""
        for member in self.members:
            if member.process.poll() is None:
                self.await_ready(member)
                self.page(member)
                code = member.terminate(60)
                self.claim(code == 0, f"the last stop ended with exit code {code}: {member.text()[-600:]}")

    def _done(self) -> bool:
        try:
            return committed_everything(self.kafka, self.group, self.topics)
        except KafkaException:
            return False

    def _behind(self) -> str:
        try:
            places = [
                f"{topic}: ends {self.kafka.end_offsets(topic)}, committed "
                f"{ {part: offset for part, (offset, _) in self.kafka.committed(self.group, topic).items()} }"
                for topic in self.topics
            ]
        except KafkaException as error:
            return str(error)
        return "; ".join(places)


Play = Callable[[Stage], None]
