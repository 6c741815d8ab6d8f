"""Play the fault matrix on real processes: a real Kafka, the sandbox, bridges, signals and a proxy.

    python -m scripts.proof.soak --faults 200 --records 100000 --seed 1 --minutes 30

Prints a line a row and every violation, writes the whole report as JSON where it is told to, and exits 1 when an
invariant was broken. `--faults` and `--records` are for the whole run: they are shared out over the rows in the
proportions of a full run; `--share 0.1` is a tenth of each row. `--rows` names some rows (`--list` shows them), `--group` the group protocols. `--table`
plays nothing and puts reports together.

Called by `make soak`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import multiprocessing
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from random import SystemRandom

from bridge import jsontext
from tests.soak.matrix import ROWS, Part, Result, end_shared, play_part
from tests.soak.report import COLUMNS, lines, markdown, total
from tests.soak.stage import PROTOCOLS

_FEWEST_RECORDS = 1_000


def main() -> int:
    """Read the options, run, print."""
    given = _options()
    if given.list:
        for name, row in ROWS.items():
            print(f"{name:<28}{row.faults:>5} faults {row.records:>8,} records  {row.play.__doc__}")
        return 0
    if given.table:
        read = [result for name in given.table for result in jsontext.loads(Path(name).read_bytes())]
        print(markdown(read), total(read), sep="\n\n")
        return 0
    seed = given.seed if given.seed is not None else SystemRandom().randrange(2**31)
    names = [name for name in ROWS if name in given.rows] if given.rows else list(ROWS)
    print(f"seed {seed}: {len(names)} rows in {', '.join(given.group)}", flush=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        for result in _run(given, names, seed, Path(given.keep or folder)):
            results.append(result)
            _print(result, header=len(results) == 1)
            if given.json:
                Path(given.json).write_bytes(jsontext.dumps([dataclasses.asdict(each) for each in results]))
    print(total(dataclasses.asdict(each) for each in results))
    return 1 if any(each.judged.violations for each in results) else 0


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description="Play the fault matrix on real processes.")
    options.add_argument("--rows", nargs="+", choices=sorted(ROWS), metavar="ROW", help="only these rows")
    options.add_argument("--group", nargs="+", choices=sorted(PROTOCOLS), default=["classic"])
    options.add_argument("--faults", type=int, help="faults of the whole run, shared out; else each row's full count")
    options.add_argument("--records", type=int, help="records of the whole run, shared out likewise")
    options.add_argument("--share", type=float, default=1.0, help="this part of each row's full count instead")
    options.add_argument("--times", type=int, default=1, help="play everything so often, with one seed after another")
    options.add_argument("--jobs", type=int, default=1, help="rows to play at the same time")
    options.add_argument("--seed", type=int)
    options.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no further row after so long")
    options.add_argument("--json", metavar="FILE", help="write the report there, row by row")
    options.add_argument("--keep", metavar="FOLDER", help="leave logs and settings there")
    options.add_argument("--table", nargs="+", metavar="FILE", help="show reports as one table")
    options.add_argument("--list", action="store_true", help="show the rows")
    return options.parse_args()


def _run(given: argparse.Namespace, names: Sequence[str], seed: int, folder: Path) -> Iterator[Result]:
    parts = list(_parts(given, names, seed))
    ends = time.monotonic() + given.minutes * 60
    if given.jobs == 1:
        for part in parts:
            if time.monotonic() > ends:
                _left_out(part)
            else:
                yield play_part(part, folder)
        end_shared()
        return
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=None) as pool:
        waiting = deque(parts)
        running: set[Future[Result]] = set()
        while waiting or running:
            while waiting and len(running) < given.jobs:
                part = waiting.popleft()
                if time.monotonic() > ends:
                    _left_out(part)
                else:
                    running.add(pool.submit(play_part, part, folder))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (each.result() for each in done)
        for _ in range(given.jobs):
            pool.submit(end_shared)


def _parts(given: argparse.Namespace, names: Sequence[str], seed: int) -> Iterator[Part]:
    """The rows to play, each as often as it is asked for."""
    rows = [ROWS[name] for name in names]
    runs = len(given.group) * given.times
    faults_share = given.faults / sum(row.faults for row in rows) / runs if given.faults else given.share
    records_share = given.records / sum(row.records for row in rows) / runs if given.records else given.share
    for time_of_it in range(given.times):
        for protocol in given.group:
            for name, row in zip(names, rows, strict=True):
                faults = max(1, math.ceil(row.faults * faults_share))
                records = max(_FEWEST_RECORDS, faults * 20, round(row.records * records_share))
                yield Part(name, protocol, seed + time_of_it, faults, records)


def _left_out(part: Part) -> None:
    print(f"the time is over: {part.row} in {part.protocol} is not played", flush=True)


def _print(result: Result, *, header: bool) -> None:
    if header:
        print(" | ".join(COLUMNS), flush=True)
    for line in lines([dataclasses.asdict(result)]):
        print(" | ".join(line), flush=True)
    details = {**result.faults, **result.figures}
    print(
        "    " + ", ".join(f"{name}: {value}" for name, value in details.items()) + f"; {result.seconds} s", flush=True
    )
    for violation in result.judged.violations:
        print(f"    VIOLATION {violation}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
