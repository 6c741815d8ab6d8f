"""Plant each bug of `tests/simulation/planted` in the delivery core, and print which seed finds it.

    python -m scripts.proof.simulate_bugs

Exits 1 when a bug is not found.

Called by `make simulate-bugs`.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.campaign import hunt
from tests.simulation.planted import PLANTED


def main() -> int:
    """Read the options, hunt, print."""
    options = argparse.ArgumentParser(description="Find planted bugs with the simulator.")
    options.add_argument("--seed", type=int, default=0, help="the first seed")
    options.add_argument("--seeds", type=int, default=1_000, help="how many to try for each bug")
    options.add_argument("bugs", nargs="*", help="names of bugs; all if none is given")
    given = options.parse_args()
    missed = 0
    for bug in given.bugs or PLANTED:
        found = hunt(bug, range(given.seed, given.seed + given.seeds))
        missed += found.seed is None
        seed = "missed" if found.seed is None else f"seed {found.seed}"
        print(f"{bug:<46} {seed:<9} {found.violation[:90]}", flush=True)
    print(f"{len(given.bugs or PLANTED)} bugs planted, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
