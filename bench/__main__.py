"""`make bench`: run a scenario and print what it found. `python -m bench --scenario NAME --records N --rounds N`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.brokers import kafka
from bench.report import as_json, console, machine, save, table
from bench.scenarios import SCENARIOS
from bench.world import World


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the bridge.")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="throughput")
    parser.add_argument("--records", type=int, help="how many records, in all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each program takes its turn")
    options = parser.parse_args()
    scenario = SCENARIOS[options.scenario]
    described = machine()
    with kafka() as broker, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        world = World(broker, Path(folder), options.records or scenario.records, options.rounds)
        found = scenario.run(world)
    out = console()
    out.print(
        f"{described['cpu']}, {described['cores']} cores, load before {described['load_before']}", highlight=False
    )
    if found.rows:
        out.print(table(scenario.title, found.rows, found.base or found.rows[0]))
    for name, value in world.facts.items():
        out.print(f"{name}: {value}", highlight=False)
    before = save(
        options.scenario,
        {
            "machine": described,
            "records": world.records,
            "rounds": world.rounds,
            "summary": found.summary,
            "rows": [as_json(row) for row in found.rows],
            "facts": world.facts,
        },
    )
    if before is not None:
        out.print(f"last time: {before['summary']}", highlight=False)
    print(found.summary)


if __name__ == "__main__":
    main()
