"""`suprsend-bridge demo` as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from bridge.demo.setup import POISON_AT, Shop

COMMAND = [sys.executable, "-m", "bridge", "demo"]


@pytest.mark.timeout(180)
def test_both_mishaps_happen_and_all_of_it_agrees() -> None:
    """Kafka, SuprSend and the bridge run in one process: half a record is put aside, an outage ridden out, nothing lost."""
    done = subprocess.run(
        [*COMMAND, "--records", "400", "--rate", "40"], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "an order service wrote half a record" in done.stdout
    assert re.search(r"^[4-9]\.\d s  SuprSend answers 503", done.stdout, re.MULTILINE)
    assert "records   written 400, consumed 400 = " in done.stdout
    assert "dead_lettered 1 + in work 0" in done.stdout
    assert done.stdout.endswith("all of it agrees\n")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", ["--seconds", "Ctrl-C"])
def test_it_ends_with_a_summary(way: str) -> None:
    """After so many seconds, or at Ctrl-C, what was written by then is delivered and added up: exit code 0."""
    options = ["--seconds", "2"] if way == "--seconds" else []
    began = time.monotonic()
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        first = demo.stdout.readline()
        assert first
        if way == "Ctrl-C":
            demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
        assert demo.wait(120) == 0, first + rest
    assert rest.endswith("all of it agrees\n")
    assert way == "Ctrl-C" or time.monotonic() - began >= 2


def test_the_same_seed_gives_the_same_records() -> None:
    """The n-th record is the same in every run with a seed, and another one with another seed; one is broken."""
    some = [
        [record for record, _ in zip(Shop(seed).records(POISON_AT), range(200), strict=False)] for seed in (1, 1, 2)
    ]
    assert some[0] == some[1]
    assert some[0] != some[2]
    assert [number for number, record in enumerate(some[0]) if record.poison] == [POISON_AT]
