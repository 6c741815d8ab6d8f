"""Whether the cost per record stays what it is with more partitions, more rules, more lag."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.bridges import RULES
from bench.processes import Figures
from bench.records import PLACED, fill
from bench.report import median
from bench.scenarios.scenario import Found
from bench.sinks import Sink
from bench.world import World
from bridge.jsontext import OPT_INDENT_2, dumps

PARTITIONS = (1, 4, 16, 64)
RULE_COUNTS = (1, 10, 100)
MOST_LAG = 10


def partitions(world: World) -> Found:
    """The same records in 1 to 64 partitions."""
    with Sink() as sink:
        topics = {count: world.topic(world.records, partitions=count) for count in PARTITIONS}
        rows = _in_turn(
            world,
            [
                partial(world.bridge, sink, [topics[count]], world.records, name=f"{count} partitions")
                for count in PARTITIONS
            ],
        )
    return _spread(rows)


def rules(world: World) -> Found:
    """The same records in 1 to 100 topics of one partition, each with a rule of its own."""

    def run(sink: Sink, count: int) -> Figures:
        topics = [f"bench-orders-t{number}-of{count}-n{world.records}" for number in range(count)]
        fill(world.kafka, topics, world.records, partitions=1)
        folder = _rules(world.folder / f"rules-{count}", [{"topics": [topic]} for topic in topics])
        events = sum(_wanted(world.records, count, number) for number in range(count))
        more = {"rules": {"path": str(folder)}}
        return world.bridge(sink, topics, world.records, name=f"{count} rules", events=events, more=more)

    with Sink() as sink:
        rows = _in_turn(world, [partial(run, sink, count) for count in RULE_COUNTS])
    return _spread(rows)


def _wanted(records: int, topics: int, topic: int) -> int:
    return sum(number % 10 != 0 for number in range(topic, records, topics))


def constants(world: World) -> Found:
    """One topic whose records are of 100 types: one rule that takes them all, against a rule for each."""
    kinds = [f"order.{number:02d}" for number in range(100)]
    topic = f"bench-orders-kinds-n{world.records}"
    fill(world.kafka, [topic], world.records, partitions=4, kinds=kinds)
    one = _rules(world.folder / "one", [{"when": ".total > 0"}])
    many = _rules(world.folder / "many", [{"when": f'.type == "{kind}" and .total > 0'} for kind in kinds])
    with Sink() as sink:
        rows = _in_turn(
            world,
            [
                partial(
                    world.bridge,
                    sink,
                    [topic],
                    world.records,
                    name=name,
                    events=world.records,
                    more={"rules": {"path": str(folder)}},
                )
                for name, folder in (("1 rule", one), ("100 rules", many))
            ],
        )
    ratio = rows[1].microseconds / rows[0].microseconds
    return Found(f"100 rules with a constant each cost {ratio:.2f} times one rule", rows)


def lag(world: World) -> Found:
    """A lag of a hundredth, a tenth, once and ten times the records.

    The small ones came while a running bridge was halted: next to them the start of a process would count for much.
    """
    small = [world.records // 100, world.records // 10]
    large = [world.records, MOST_LAG * world.records]
    topics = {count: world.topic(count) for count in large}
    with Sink() as sink:
        halted = [partial(world.behind, sink, count, name=f"{count:,} behind") for count in small]
        found = [partial(world.bridge, sink, [topics[count]], count, name=f"{count:,} behind") for count in large]
        rows = _in_turn(world, [*halted, *found])
    return _spread(rows)


def _in_turn(world: World, runs: Sequence[Callable[[], Figures]]) -> list[Figures]:
    rounds = [[run() for run in runs] for _ in range(world.rounds)]
    return [median(each) for each in zip(*rounds, strict=True)]


def _spread(rows: Sequence[Figures]) -> Found:
    costs = [row.microseconds for row in rows]
    summary = f"CPU per record {costs[0]:.2f} µs at the first, {max(costs) / min(costs) - 1:.0%} between least and most"
    return Found(summary, rows)


def _rules(folder: Path, changes: Sequence[dict[str, Any]]) -> Path:
    """A folder with the order rule once per change."""
    folder.mkdir(exist_ok=True)
    written = yaml.safe_load((RULES / "orders.yaml").read_text())
    (rule,) = written["rules"]
    assert PLACED in rule["when"]
    written["rules"] = [{**rule, "name": f"{rule['name']}-{number}", **change} for number, change in enumerate(changes)]
    # JSON is YAML, and has no aliases, which rules may not have.
    (folder / "orders.yaml").write_bytes(dumps(written, option=OPT_INDENT_2))
    return folder
