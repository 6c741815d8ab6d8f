"""What the page at `/` makes of `/status`: its script is run, with a stand-in for the browser's document."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import pytest

from bridge.kafka.errors import OPEN_TRANSACTION
from bridge.observe.snapshot import Snapshot
from tests.observe.served import served
from tests.observe.world import STANDS, World, snapshot

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None and "CI" not in os.environ, reason="no node to run it: `make boxes`")
BROWSER = """
class Node {
  constructor() { this.children = []; this.textContent = ""; }
  append(...more) { this.children.push(...more); }
  replaceChildren(...more) { this.children = more; }
  get text() { return [this.textContent, ...this.children.map(child => child.text)].filter(Boolean).join(" "); }
}
const places = {};
const document = { getElementById: id => places[id] ??= new Node(), createElement: () => new Node() };
const shown = () => Object.fromEntries(Object.entries(places).map(([id, node]) => [id, node.text]));
const fetch = async () => ({ json: async () => STATUS });
const setTimeout = () => console.log(JSON.stringify(shown()));
"""


def page(shot: Snapshot) -> dict[str, str]:
    """The text at each place of the page."""
    with served(World(shot)) as server:
        status: Any = server.ask("GET", "/status?partitions=100").json
    script = files("bridge.observe").joinpath("page.html").read_text("utf-8").split("<script>")[1].split("</script>")[0]
    code = f"const STATUS = {json.dumps(status)};{BROWSER}(() => {{{script}}})()"
    assert NODE is not None
    ran = subprocess.run([NODE, "-"], input=code, capture_output=True, text=True, timeout=120, check=True)
    shown: dict[str, str] = json.loads(ran.stdout)
    return shown


def test_a_process_without_a_partition_says_so() -> None:
    """In place of the table, and at the lag, which is unknown; nothing is `0.0 s old`."""
    shown = page(snapshot(partitions=()))
    assert shown["partitions"] == "holds no partition yet"
    assert "lag, records unknown holds no partition yet" in shown["tiles"]


def test_an_open_transaction_is_an_alarm_with_the_words_of_the_log() -> None:
    """Where the position stands, since when, and what to do; the lag is known, and how old it is is not."""
    shown = page(snapshot(partitions=(STANDS,)))
    assert f"orders.v1:0 stands at offset 52 since 4 min {OPEN_TRANSACTION}" in shown["alarms"]
    assert "open transaction" in shown["partitions"]
    assert "lag, records 18 of unknown age" in shown["tiles"]


def test_the_lag_and_its_age_are_those_of_the_oldest() -> None:
    """Where one partition's lag is unknown the sum is, too; the age is that of the oldest record that is known."""
    shown = page(snapshot())
    assert "lag, records unknown 4.5 s old" in shown["tiles"]


def test_of_many_partitions_the_page_shows_a_hundred_and_says_how_many_there_are() -> None:
    """It asks for no more, so that it stays quick with thousands; each topic has its totals."""
    views = tuple(STANDS._replace(partition=number, transaction=None, lag=number) for number in range(5_000))
    shown = page(snapshot(partitions=views))
    assert "orders.v1:4999 4,999" in shown["partitions"]
    assert shown["partitions"].endswith("and 4,900 more, all in /status")
    assert shown["partitions"].count("orders.v1:") == 100
    assert "orders.v1 5,000 12,497,500 0" in shown["topics"]
    script = files("bridge.observe").joinpath("page.html").read_text("utf-8")
    assert 'fetch("status?partitions=100"' in script
