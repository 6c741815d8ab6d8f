"""The harness measures what it says: the same work on both sides, truthful answers, regressions that are seen."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from bench import floor, report
from bench.chart import drawn
from bench.micro.__main__ import NAMES, worse
from bench.micro.work import all_works
from bench.peers.connect import COUNTED, Connect, built, run_through
from bench.processes import Figures, usage
from bench.records import events_of, orders
from bench.scenarios import SCENARIOS
from bench.scenarios.peers import run_connect
from bench.scenarios.throughput import run
from bench.sinks import BULK, SOURCE, Sink, command
from bench.world import World
from bridge.flow import Event, MappingContext, PlainRecord, Reply, Verdict
from bridge.jsontext import dumps, loads
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.read.load import load_rules
from bridge.suprsend.answers import make_judge
from bridge.suprsend.signing import Hmac, http_date
from tests.brokers.jars import Unavailable
from tests.brokers.real import RealKafka

RULES = Path(floor.__file__).with_name("rules")
PYTHON = ("python", [sys.executable, str(SOURCE / "sink.py")])
KEYS = ("$insert_id", "$idempotency_key")


@pytest.fixture(params=["built", "python"])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    """The sink that is used here, and the one for machines without Go."""
    with Sink(ages=True, start=command() if request.param == "built" else PYTHON) as started:
        yield started


def post(sink: Sink, body: bytes, **headers: str) -> tuple[int, bytes]:
    try:
        with urlopen(Request(sink.url + BULK, body, headers), timeout=120) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_the_floor_makes_the_events_that_the_rule_makes() -> None:
    """Both sides do the same work: from each record the same event, but for its key."""
    context = MappingContext(env=floor.KEY, namespace="n")
    mapper = compile_mapping(load_rules(RULES).rules, context).mapper("bench-orders-x")
    made = 0
    for number, (key, value) in enumerate(orders(300)):
        mapped = mapper(PlainRecord("bench-orders-x", 0, number, value, key=key, timestamp=1_700_000_000_000))
        by_hand = floor.event(value, 1_700_000_000_000, "k")
        assert (by_hand is None) == (not mapped)
        if by_hand is not None:
            (event,) = mapped
            assert isinstance(event, Event)
            assert loads(event.body) | dict.fromkeys(KEYS) == loads(by_hand) | dict.fromkeys(KEYS)
            made += 1
    assert made == events_of(300)


def test_the_floor_signs_as_the_bridge_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides sign the same: at one time the same headers."""
    monkeypatch.setattr(floor, "formatdate", lambda **_: http_date(1_700_000_000))
    made = [f"{name}: {text}" for name, text in floor.headers(b"[]").items()]
    assert made == Hmac(floor.KEY, floor.SECRET).headers("POST", floor.TARGET, b"[]", 1_700_000_000)


def test_the_sink_answers_truthfully(sink: Sink) -> None:
    """As many accepted records as events came, which the bridge reads as accepted; nothing without authorization."""
    body = b"[" + b",".join([dumps({"$insert_id": str(n), "$time": int(time.time() * 1000)}) for n in range(7)]) + b"]"
    status, answer = post(sink, body, Authorization="x")
    assert status == 207
    assert [each["status_code"] for each in loads(answer)["records"]] == [202] * 7
    assert post(sink, body)[0] == 401
    stats = sink.stats()
    assert (stats["calls"], stats["events"], stats["bytes"], stats["most_in_flight"]) == (1, 7, len(body), 1)
    assert 0 <= stats["p50_ms"] <= stats["p99_ms"] <= stats["longest_ms"] < 60_000
    sink.reset()
    assert sink.stats()["events"] == 0


def test_the_sink_s_answer_is_one_that_the_bridge_takes_as_accepted(sink: Sink) -> None:
    """The judge reads the sink's answer the quick way, as it reads SuprSend's."""
    status, answer = post(sink, b'[{"$insert_id":"1"},{"$insert_id":"2"}]', Authorization="x")
    judged = make_judge()(Reply(status, None, None, answer, applied=True, seconds=0.0), 2)
    assert (judged.whole, judged.items) == (Verdict.ACCEPTED, None)


@pytest.mark.parametrize("start", [None, PYTHON])
def test_the_sink_counts_by_what_it_is_told(start: tuple[str, list[str]] | None) -> None:
    """Records that are no events are counted by a field that each has once, and answered one by one."""
    body = b"[" + b",".join(value for _, value in orders(5)) + b"]"
    with Sink(count=COUNTED, start=start) as sink:
        _, answer = post(sink, body, Authorization="x")
        assert len(loads(answer)["records"]) == sink.stats()["events"] == 5


def test_usage_is_what_was_spent() -> None:
    """CPU grows with work and the peak is what was held at most."""
    before = usage()
    held = bytearray(32 << 20)
    held[:] = b"x" * len(held)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    after = usage(os.getpid())
    assert after.cpu_seconds - before.cpu_seconds >= 0.15
    assert after.peak_mib >= 32


def test_figures_of_rounds_become_their_median() -> None:
    """One bad round moves neither CPU nor speed; the highest peak counts."""
    runs = [Figures("a", 100, cpu, 2 * cpu, peak) for cpu, peak in ((1.0, 10.0), (9.0, 30.0), (2.0, 20.0))]
    assert report.median(runs) == Figures("a", 100, 2.0, 4.0, 30.0)
    assert report.median(runs).per_cpu_second == 50


def test_a_work_that_costs_over_a_tenth_more_is_named() -> None:
    """`make bench-micro` fails for it, and for nothing less."""
    before = dict.fromkeys(NAMES, 1_000)
    assert worse({**before, "map": 1_100}, before) == []
    assert worse({**before, "map": 1_101, "batch": 500}, before) == ["map: 1,101 instructions a record, +10.1%"]


def test_every_hot_function_can_be_done_again_and_again() -> None:
    """The works of `bench-micro` are those that its figures name, and each can be repeated."""
    names = []
    for name, work, before in all_works():
        for _ in range(3):
            before()
            work()
        names.append(name)
    assert tuple(names) == NAMES


def test_bench_runs_floor_and_bridge_on_the_same_records(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small run of the real thing: each program read all records, and the last line is as promised."""
    if "bench-dead-letters" not in kafka.admin.list_topics(timeout=120).topics:
        kafka.create_topic("bench-dead-letters")
    found = run(World(kafka, tmp_path, records=20_000, rounds=1))
    assert [row.name for row in found.rows] == ["floor, pycurl", "floor, aiohttp", "bridge"]
    assert all(row.records == 20_000 and row.cpu_seconds > 0 and row.peak_mib > 10 for row in found.rows)
    line = r"bridge [\d,]+ records per CPU-second, \d+\.\d\d times the floor's CPU, \d+ MiB"
    assert re.fullmatch(line, found.summary)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.save("throughput", {"machine": report.machine(), "summary": found.summary}) is None
    kept = report.save("throughput", {"machine": report.machine(), "summary": "second"})
    assert kept is not None
    assert kept["summary"] == found.summary
    assert kept["machine"]["cores"] >= 1


def test_kafka_connect_sends_every_record_whole(kafka: RealKafka, tmp_path: Path) -> None:
    """The peer does the work it is measured by: each record once, in arrays of at most 100, none of its bytes lost."""
    try:
        built()
    except Unavailable as missing:
        assert os.environ.get("CI") != "true", missing
        pytest.skip(f"REAL KAFKA CONNECT NOT TESTED: {missing}")
    count = 2_000
    topic = World(kafka, tmp_path, records=count, rounds=1).topic(count)
    with Sink(count=COUNTED) as sink, Connect(tmp_path, kafka, sink, topic, kafka.unique("bench")) as worker:
        whole, warm = run_through(kafka, sink, worker, count)
        stats = sink.stats()
    assert stats["events"] == count
    assert stats["calls"] >= count / 100
    assert stats["bytes"] == sum(len(value) for _, value in orders(count)) + count + stats["calls"]
    assert (whole.records, whole.cpu_seconds > warm.cpu_seconds, whole.peak_mib > 50) == (count, True, True)


def test_kafka_connect_is_left_out_where_it_cannot_be_had(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a Java the other peers are measured, and the results say what was missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    world = World(kafka, tmp_path, records=10, rounds=1)
    assert run_connect(world, "orders") == ()
    assert world.facts == {"kafka connect": "not measured: Java 17 or later is not on the PATH"}


def test_every_scenario_has_a_title() -> None:
    """What `--scenario` offers is what the page on performance names."""
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    assert [name for name in SCENARIOS if f"`{name}`" not in page] == []


def test_the_chart_shows_each_row_of_the_results(tmp_path: Path) -> None:
    """Each row is a point with its cost and its label; a scenario without results is left out."""
    rows = [{"name": f"{count} partitions", "records": 1_000, "cpu_seconds": 0.008 * count} for count in (1, 2)]
    (tmp_path / "partitions.json").write_bytes(dumps({"rows": rows}))
    chart = drawn(tmp_path)
    assert chart.count("<circle") == 2
    assert ">8.0<" in chart
    assert ">16.0<" in chart
    assert "by partitions" in chart
    assert "by records behind" not in chart
