"""What librdkafka says of its connections and its group every two seconds, read from its statistics. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bridge.flow import TopicPartition

EVERY_MS: Final = 2_000
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
    """One report. `leaders` has the leader of each partition that is read, -1 where there is none."""

    brokers: Mapping[int, Link]
    coordinator: Link | None
    group: str
    """`up`, or what the client does to get to the coordinator."""
    group_age: float
    """Seconds since that was last something else."""
    join: str
    """`steady`, or what the member waits for. Says nothing under the `consumer` protocol."""
    leaders: Mapping[TopicPartition, int]


def read(text: str) -> Statistics:
    """Read a report; raises ValueError, KeyError or TypeError where it is none."""
    told: Mapping[str, Any] = json.loads(text)
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
    )


def _is_broker(told: Mapping[str, Any]) -> bool:
    return bool(told["source"] != "internal" and told["nodeid"] >= 0 and told["name"] != _COORDINATOR)


def _link(told: Mapping[str, Any], *, awaited: bool) -> Link:
    up = told["state"] in ("UP", "UPDATE")
    idle = max(told["rxidle"], 0) / _MILLION if up and awaited else 0.0
    tried = told["connects"] > 0 or told["state"] != "INIT"
    return Link(told["nodename"], up, tried, idle)
