"""Print what the guide's ten examples and six further rules cost, beside the same mapping written by hand.

From records' bytes to events' bodies, key included, one core: `python -m scripts.measure.bench_rules [--records N]
[--rounds N] [--only TEXT]`. What both sides include is said in `bench/by_hand.py`. The events of both are compared before
anything is timed. Sides take turns, so that a noisy machine is noisy for both; the best round of each counts. Results are
kept in `bench/results/examples.json`.

Called by `make bench-rules`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.by_hand import CASES, ENV, NAMESPACE, Case, Hand
from bench.report import RESULTS, machine
from bridge.findings import has_errors
from bridge.flow import MappingContext, PlainRecord, RunMapper
from bridge.jsontext import OPT_INDENT_2, dumps, loads
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.read.load import load_rules

_RUN = 100
"""Records that are mapped at once, as for a call."""
_EVENTS, _ROOM = 1 << 20, 1 << 30


def mapper(case: Case) -> RunMapper:
    """Compile the rules of a case for its topic."""
    loaded = load_rules(case.rules)
    assert not has_errors(loaded.findings), case.name
    return compile_mapping(loaded.rules, MappingContext(env=ENV, namespace=NAMESPACE)).for_topic(case.topic)


def by_rules(map_run: RunMapper, records: Sequence[PlainRecord]) -> list[bytes]:
    """Map as the bridge does, run by run."""
    made: list[bytes] = []
    for first in range(0, len(records), _RUN):
        run = records[first : first + _RUN]
        mapped = map_run(run, [record.offset() for record in run], _EVENTS, _ROOM)
        assert mapped.records == len(run)
        assert not mapped.faults
        made += mapped.bodies
    return made


def by_hand(hand: Hand, records: Sequence[PlainRecord]) -> list[bytes]:
    """Map as a loop written for the topic does."""
    return [dumps(event) for record in records for event in hand(loads(record.value() or b""), record)]


def microseconds(work: Callable[[], object], count: int) -> float:
    """Measure the CPU time of some work, per record."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1000 / count


def measure(case: Case, count: int, rounds: int) -> dict[str, Any]:
    """Compare and time both sides of a case."""
    records, map_run = case.records(count), mapper(case)
    ours, theirs = by_rules(map_run, records), by_hand(case.hand, records)
    assert ours, case.name
    for mine, other in zip(ours, theirs, strict=True):
        assert loads(mine) == loads(other), f"{case.name}: {mine!r} is not {other!r}"
    best = [math.inf, math.inf]
    for _ in range(rounds):
        best[0] = min(best[0], microseconds(lambda: by_rules(map_run, records), count))
        best[1] = min(best[1], microseconds(lambda: by_hand(case.hand, records), count))
    return {"name": case.name, "rules": round(best[0], 2), "by_hand": round(best[1], 2), "ratio": best[0] / best[1]}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name holds this text; keeps no results")
    options = parser.parse_args()
    about = machine()
    rows = [measure(case, options.records, options.rounds) for case in CASES if options.only in case.name]
    for row in rows:
        print(f"{row['name']:20} {row['rules']:8.2f} us   by hand {row['by_hand']:8.2f} us   {row['ratio']:6.2f} x")
    mean = math.exp(sum(math.log(row["ratio"]) for row in rows) / len(rows))
    worst = max(rows, key=lambda row: row["ratio"])
    print(f"geometric mean {mean:.2f} x by hand, worst {worst['ratio']:.2f} x ({worst['name']})")
    if not options.only:
        kept = {"scenario": "examples", "machine": about, "mean": mean, "worst": worst["ratio"], "rows": rows}
        (RESULTS / "examples.json").write_bytes(dumps(kept, option=OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
