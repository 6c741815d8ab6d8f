"""The connections to the brokers, and what is amiss with them. Kafka thread only.

librdkafka tries again for ever and says little: a broker that cannot be reached at the address that it advertises is
one line of its log, and the partitions that it leads stand still. Its statistics say which broker leads what and how
each connection stands (every two seconds, less often where there are many topics); its errors say why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError

from bridge.flow import TopicPartition
from bridge.jsontext import loads
from bridge.kafka.client.unanswered import PATIENCE_SECONDS, places
from bridge.kafka.errors import Trouble, plain

_LEAST_MS: Final = 2_000
_MOST_MS: Final = 6_000
_TOPIC_MS: Final = 20
_COORDINATOR: Final = "GroupCoordinator"
_MILLION: Final = 1_000_000


class Link(NamedTuple):
    """A connection to a broker, or to the group's coordinator."""

    address: str
    """`host:port`, as the broker advertises it."""
    up: bool
    wanted: bool
    """Whether somebody wants to use it: a connection that nobody needs is not made."""
    idle: float
    """Seconds since anything came; 0 where nothing is awaited."""


class Statistics(NamedTuple):
    """One report. `leaders` has the leader of each partition that is read, -1 where there is none.

    `stable` has the last stable offset of each whose log goes on behind it: there a transaction is open.
    """

    brokers: Mapping[int, Link]
    coordinator: Link | None
    group: str
    """`up`, or what the client does to get to the coordinator."""
    group_age: float
    """Seconds since that was last something else."""
    join: str
    """`steady`, or what the member waits for. Says nothing under the `consumer` protocol."""
    leaders: Mapping[TopicPartition, int]
    stable: Mapping[TopicPartition, int]


def every_ms(topics: int) -> int:
    """How often statistics are asked for, by the number of topics: the client tells of each of their partitions, at a cost."""
    return max(_LEAST_MS, min(_MOST_MS, topics * _TOPIC_MS))


def read(text: str) -> Statistics:
    """Read a report; raises ValueError, KeyError or TypeError where it is none."""
    told: Mapping[str, Any] = loads(text)
    partitions = {
        (topic, part["partition"]): part
        for topic, of_topic in told["topics"].items()
        for part in of_topic["partitions"].values()
        if part["partition"] >= 0 and part["fetch_state"] not in ("none", "stopped", "stopping")
    }
    busy = {part["broker"] for part in partitions.values() if part["fetchq_cnt"] == 0}
    known, group = told["brokers"].values(), told.get("cgrp", {})
    coordinators = [_link(each, awaited=False) for each in known if each["name"] == _COORDINATOR]
    return Statistics(
        {each["nodeid"]: _link(each, awaited=each["nodeid"] in busy) for each in known if _is_broker(each)},
        coordinators[0] if coordinators else None,
        group.get("state", ""),
        group.get("stateage", 0) / 1000,
        group.get("join_state", ""),
        {name: part["leader"] for name, part in partitions.items()},
        {name: part["ls_offset"] for name, part in partitions.items() if 0 <= part["ls_offset"] < part["hi_offset"]},
    )


def _is_broker(told: Mapping[str, Any]) -> bool:
    return bool(told["source"] != "internal" and told["nodeid"] >= 0 and told["name"] != _COORDINATOR)


def _link(told: Mapping[str, Any], *, awaited: bool) -> Link:
    up = told["state"] in ("UP", "UPDATE")
    idle = max(told["rxidle"], 0) / _MILLION if up and awaited else 0.0
    tried = told["connects"] > 0 or told["state"] != "INIT"
    return Link(told["nodename"], up, tried, idle)


_MOST_ERRORS: Final = 64
_STEADY: Final = "steady"
REACH: Final = "check its advertised.listeners, its name in DNS and the firewall"


class Links:
    """Takes in statistics and errors, and says what has been wrong for ten seconds. `now` is monotonic seconds."""

    def __init__(self, group: str, *, silent: bool) -> None:
        """`silent`: the statistics do not tell whether the member has joined (the `consumer` protocol)."""
        self._group = group
        self._silent = silent
        self._heard: Statistics | None = None
        self._leaders: dict[TopicPartition, int] = {}
        self._down: dict[int, float] = {}
        self._leaderless: dict[TopicPartition, float] = {}
        self._amiss: tuple[str, float] | None = None
        self._adrift: float | None = None
        self._errors: dict[str, str] = {}

    def heard(self, told: Statistics, now: float) -> None:
        """Take in new statistics."""
        self._heard = told
        self._down = {
            node: min(self._down.get(node, now), now - link.idle)
            for node, link in told.brokers.items()
            if link.wanted and (not link.up or link.idle >= PATIENCE_SECONDS)
        }
        self._led(told.leaders, now)
        steady = self._silent or told.join in ("", _STEADY)
        self._adrift = None if steady else now if self._adrift is None else self._adrift
        amiss = self._group_amiss(told)
        since = min(self._amiss[1] if self._amiss is not None else now, now - told.group_age)
        self._amiss = (amiss, since) if amiss is not None else None

    def leads(self, topic: str, leaders: Mapping[int, int], now: float) -> None:
        """Which broker leads each partition of a topic, as the brokers say; -1 for none."""
        told = {(topic, number): node for number, node in leaders.items()}
        self._leaders |= told
        self._led({name: node for name, node in told.items() if name not in self._read()}, now)

    def _read(self) -> Mapping[TopicPartition, int]:
        return self._heard.leaders if self._heard is not None else {}

    def _led(self, leaders: Mapping[TopicPartition, int], now: float) -> None:
        for name, node in leaders.items():
            if node < 0:
                self._leaderless.setdefault(name, now)
            else:
                self._leaderless.pop(name, None)

    def failed(self, error: KafkaError) -> None:
        """An error of the client, which begins with the name of the broker where it is about one."""
        text = plain(error)
        name, found, rest = text.partition(": ")
        if found and (name == _COORDINATOR or ":" in name):
            if len(self._errors) >= _MOST_ERRORS:
                self._errors.clear()
            self._errors[name.rpartition("//")[2].partition("/")[0]] = rest

    def why(self, address: str) -> str:
        """What the client said last of a broker, '' where it said nothing."""
        return self._errors.get(address, "")

    @property
    def amiss(self) -> str | None:
        """What keeps the client from the group's coordinator at present; None where it has it."""
        return self._amiss[0] if self._amiss is not None else None

    def leader(self, name: TopicPartition) -> int | None:
        """The broker that leads a partition; -1 where none does, None where that is unknown."""
        return self._read().get(name, self._leaders.get(name))

    def open_at(self, name: TopicPartition) -> int | None:
        """The last stable offset of a partition where a transaction is open behind it; None where none is known to be."""
        return self._heard.stable.get(name) if self._heard is not None else None

    def cut_off(self, names: Iterable[TopicPartition], now: float) -> dict[int, list[TopicPartition]]:
        """The partitions whose leader has been out of reach for ten seconds, by leader; -1 where none leads them."""
        found: dict[int, list[TopicPartition]] = {}
        for name in names if self._down or self._leaderless else ():
            node = self.leader(name)
            since = self._leaderless.get(name, now) if node == -1 else self._down.get(node or 0, now)
            if node is not None and now >= since + PATIENCE_SECONDS:
                found.setdefault(node, []).append(name)
        return found

    def broker_trouble(self, names: Iterable[TopicPartition], now: float) -> Trouble | None:
        """What to say of a broker that leads some of the partitions and does not answer; None where all do."""
        found = self.cut_off(names, now)
        if not found or self._heard is None:
            return None
        node = min(found)
        if node not in self._heard.brokers:
            text = f"no broker leads {places(found[node])}: start the brokers that hold its replicas"
            return Trouble("unreachable", text)
        link = self._heard.brokers[node]
        why = self._errors.get(link.address, "it does not answer" if link.up else "no connection")
        text = f"broker {node} at {link.address} cannot be reached, so nothing comes of"
        return Trouble("unreachable", f"{text} {places(found[node])}: {REACH} ({why})")

    def group_trouble(self, now: float) -> Trouble | None:
        """What keeps the group from working for ten seconds, its coordinator above all."""
        if self._amiss is None or now < self._amiss[1] + PATIENCE_SECONDS:
            return None
        return Trouble("group", self._amiss[0])

    def unjoined_trouble(self, error: str) -> Trouble:
        """What to say of a member that has not joined for long; `error` is what it met, '' where nothing came."""
        if self._amiss is not None:
            return Trouble("group", self._amiss[0])
        why = error or self._joining() or "no answer came"
        return Trouble("group", f"the group {self._group} has not taken this process in for over 10 s ({why})")

    def _joining(self) -> str:
        heard = self._heard
        if heard is None:
            return ""
        if self._silent:
            return (
                "where the brokers are older than Kafka 4.0, or group.coordinator.rebalance.protocols lacks "
                "`consumer`, set kafka.group_protocol to classic"
            )
        if heard.join == "wait-join":
            return "the group waits for its other members, each until it answers or its session ends"
        return f"librdkafka: {heard.join}" if heard.join != _STEADY else ""

    def adrift(self, now: float) -> bool:
        """Whether a member that had joined has been out of the group for ten seconds (the classic protocol tells)."""
        return self._adrift is not None and now >= self._adrift + PATIENCE_SECONDS

    def _group_amiss(self, told: Statistics) -> str | None:
        if told.group in ("", "up"):
            return None
        link: Link | None = told.coordinator
        name = f"the coordinator of the group {self._group}"
        if told.group == "wait-broker-transport" and link is not None and link.address:
            why = self._errors.get(_COORDINATOR, self._errors.get(link.address, "no connection"))
            why = why.removeprefix(f"{link.address}: ")
            return f"{name}, the broker at {link.address}, cannot be reached: {REACH} ({why})"
        return (
            f"the brokers name no coordinator of the group {self._group}: look at the topic "
            "__consumer_offsets, its leaders and offsets.topic.replication.factor"
        )
