"""Every number is true: metrics, `/status` and `suprsend-bridge status` against books that are kept beside, whatever happens."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from bridge.cli.status import show
from bridge.delivery.batcher import Batcher
from bridge.delivery.calls import Calls
from bridge.delivery.dead_letter_headers import RESULTS
from bridge.delivery.dead_letters import DeadLetters
from bridge.delivery.finish import DeliveryCounters, Finish
from bridge.flow import MappedRun, Outcome
from bridge.kafka.client.counters import KafkaCounters
from bridge.observe import collector
from bridge.observe.collector import BridgeCollector, registry
from bridge.observe.metrics import METRICS, PROCESS_METRICS
from bridge.observe.reading import one
from bridge.observe.snapshot import Snapshot
from bridge.observe.status import Process, status
from bridge.offsets.ledger import Ledger
from bridge.service import snapshot as service_snapshot
from tests.observe.books import KAFKA_NUMBERS, KAFKA_WORDS, TOPICS, Histogram, Played
from tests.observe.world import World

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
STEPS = 150
STALLS, LEFT_OUT, POLL_AGE = 3, {"rate": 5, "queue": 7}, 0.5
BUCKETS = {metric.name: metric.buckets for metric in METRICS if metric.kind == "histogram"}

COUNTED = {
    "bridge_commits_total": ("kafka/test_kafka_thread.py", 'counters.commits["ok"]'),
    "bridge_rebalances_total": ("kafka/test_kafka_thread.py", "counters.rebalances"),
    "bridge_rebalance_drain_seconds": ("kafka/test_kafka_thread.py", "counters.drain_buckets"),
    "bridge_commit_metadata_bytes": ("kafka/test_kafka_thread.py", "counters.metadata_bytes"),
    "bridge_dropped_records_total": ("kafka/test_kafka_thread.py", "counters.dropped_records"),
    "bridge_room_pauses_total": ("kafka/test_kafka_thread.py", "counters.pauses"),
    "bridge_callback_errors_total": ("kafka/test_kafka_thread.py", "counters.callback_errors"),
    "bridge_commit_metadata_room_bytes": ("kafka/test_commit_errors.py", "counters.metadata_room"),
    "bridge_overdue_drains_total": ("kafka/test_groups_real.py", "counters.overdue_drains"),
    "bridge_consumer_rebuilds_total": ("kafka/test_groups_real.py", "counters.rebuilds"),
    "bridge_records_lost_total": ("kafka/test_groups_real.py", "counters.lost_records"),
    "bridge_dlq_references_total": ("kafka/test_letters_real.py", "counters.references"),
    "bridge_foreign_metadata_total": ("observe/test_events.py", "counters.foreign_metadata"),
    "bridge_refused_progress_total": ("kafka/test_commits.py", "refused_progress"),
    "bridge_stalls_total": ("observe/test_stall.py", "watching.count"),
    "bridge_log_lines_left_out_total": ("observe/test_logs.py", "left_out()"),
    "bridge_config_reloads_total": ("road/test_reload.py", "bridge_config_reloads_total"),
}
"""What the core does not count: here it is held that the row shows that count and no other; there, that it is counted so."""

BOUNDED = {
    "bridge_http_requests_limit": "between 1 and the most; exactly: tests/delivery/test_rate_control.py",
    "bridge_wait_seconds_total": "each look adds what passed since the last one, to one reason: `Played._waits`",
    "bridge_record_processing_seconds": "how many, and at least as long as since they were first sent",
}


class Seen:
    """What is shown at one moment, in each of the three ways."""

    def __init__(self, played: Played) -> None:
        self.at = 1_700_000_000.0 + played.now
        shot = played.snapshot()
        world = World(shot)
        world.age = POLL_AGE
        made = BridgeCollector(world, logs_left_out=lambda: LEFT_OUT, stalls=lambda: STALLS, clock=lambda: self.at)
        text = generate_latest(registry(made)).decode()
        self.series: Series = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("bridge_")
        }
        self.status: dict[str, Any] = json.loads(json.dumps(status(shot, Process("1", self.at, 1.0, POLL_AGE))))
        out = io.StringIO()
        show(self.status, Console(file=out, width=200))
        self.text = out.getvalue()


class Wanted:
    """Every series that must be shown, and no other, by the books."""

    def __init__(self, played: Played, at: float) -> None:
        self.series: Series = {}
        self.names: set[str] = set()
        self._delivery(played)
        self._rules(played)
        self._kafka(played)
        self._process(played, at)
        self._partitions(played, at)

    def put(self, name: str, value: float, **labels: str) -> None:
        self.series[name, frozenset(labels.items())] = float(value)
        self.names.add(name)

    def words(self, name: str, label: str, counted: dict[str, Any], **labels: str) -> None:
        self.names.add(name)
        for word, count in counted.items():
            self.put(name, count, **{label: word}, **labels)

    def histogram(self, name: str, seen: Histogram) -> None:
        self.names.add(name)
        for edge, count in seen.series(BUCKETS[name]).items():
            self.series[f"{name}_bucket", frozenset({("le", edge)})] = count
        self.series[f"{name}_count", frozenset()] = len(seen.seen)
        self.series[f"{name}_sum", frozenset()] = sum(seen.seen)

    def _delivery(self, played: Played) -> None:
        books = played.books
        for topic in TOPICS:
            waits = played.waits_in(topic)
            self.put("bridge_records_consumed_total", books.consumed[topic], topic=topic)
            self.put("bridge_records_inflight", len(waits), topic=topic)
            self.put("bridge_records_inflight_bytes", sum(400 + len(each.record) for each in waits), topic=topic)
            above = [
                sum(each.ended and offset > played.watermark(name) for offset, each in of.items())
                for name, of in played.entries.items()
                if name[0] == topic
            ]
            self.put("bridge_finished_above_watermark", sum(above), topic=topic)
            finished = {outcome: count for (of, outcome), count in books.finished.items() if of == topic}
            self.words("bridge_records_finished_total", "outcome", finished, topic=topic)
            letters = {cause: count for (of, cause), count in books.letters.items() if of == topic}
            self.words("bridge_dlq_records_total", "reason", letters, topic=topic)
        released = sum(count for (_, outcome), count in books.finished.items() if outcome == "released")
        self.put("bridge_released_records_total", released)
        self.put("bridge_late_results_total", books.late)
        self.put("bridge_order_breaks_total", books.order_breaks)
        self.put("bridge_dlq_produce_failures_total", books.unwritten)
        self.words("bridge_http_requests_total", "code", books.requests)
        self.words("bridge_retries_total", "reason", books.retries)
        self.words("bridge_wait_seconds_total", "reason", books.waited)
        self.put("bridge_http_request_body_bytes_total", books.body_bytes)
        self.put("bridge_http_requests_inflight", len(played.calls))
        self.put("bridge_circuit_open", books.circuit_open)
        self.put("bridge_unknown_answers_total", books.unknown)
        self.histogram("bridge_http_request_duration_seconds", books.call_seconds)
        self.histogram("bridge_http_request_records", books.call_records)
        self.histogram("bridge_record_delivery_latency_seconds", books.latency)

    def _rules(self, played: Played) -> None:
        books, names = played.books, {rule.name for rule in played.rules.rules}
        self.words("bridge_rule_matches_total", "rule", {name: books.matches[name] for name in names})
        self.names |= {"bridge_rule_errors_total", "bridge_events_total"}
        for (rule, code), count in books.errors.items():
            if rule in names:
                self.put("bridge_rule_errors_total", count, rule=rule, reason=code)
        for (rule, event, result), count in books.events.items():
            if rule in names:
                self.put("bridge_events_total", count, rule=rule, event=event, result=result)
        for result, name in (
            ("stuck", "bridge_stuck_records_total"),
            ("dedupe_expired", "bridge_dedupe_expired_total"),
        ):
            self.put(name, sum(count for (_, _, each), count in books.events.items() if each == result))
        mapping = played.facts.mapping
        self.words("bridge_config_reloads_total", "result", dict(mapping.reloads))
        self.put("bridge_config_last_reload_successful", mapping.error is None)
        self.put("bridge_rules_info", 1, hash=mapping.hash)
        self.put("bridge_rules_loaded_timestamp_seconds", mapping.loaded_at)

    def _kafka(self, played: Played) -> None:
        tally, state = played.tally, played.state
        self.words("bridge_commits_total", "result", tally.commits)
        self.words("bridge_rebalances_total", "event", tally.rebalances)
        self.words("bridge_records_lost_total", "topic", {topic: tally.lost_records[topic] for topic in TOPICS})
        for each, name in SHOWN.items():
            self.put(name, getattr(tally, each))
        self.names.add("bridge_rebalance_drain_seconds")
        buckets = tally.drain_buckets
        self.series["bridge_rebalance_drain_seconds_count", frozenset()] = sum(buckets.counts)
        self.series["bridge_rebalance_drain_seconds_sum", frozenset()] = buckets.total
        for at, bound in enumerate((*map(str, buckets.bounds), "+Inf")):
            key = "bridge_rebalance_drain_seconds_bucket", frozenset({("le", bound)})
            self.series[key] = sum(buckets.counts[: at + 1])
        self.put("bridge_kafka_joined", state.joined)
        self.words("bridge_kafka_trouble", "kind", {} if state.kind is None else {state.kind: 1})
        self.put("bridge_partitions_unbegun", len(state.unbegun))

    def _process(self, played: Played, at: float) -> None:
        self.put("bridge_ready", not played.unready())
        self.words("bridge_holds", "reason", played.held())
        self.put("bridge_rewound_partitions", played.held()["rewind"])
        self.put("bridge_snapshot_timestamp_seconds", played.now_ms / 1000)
        self.put("bridge_last_poll_timestamp_seconds", at - POLL_AGE)
        self.put("bridge_stalls_total", STALLS)
        self.words("bridge_log_lines_left_out_total", "why", LEFT_OUT)
        self.names.add("bridge_build_info")

    def _partitions(self, played: Played, at: float) -> None:
        self.names |= {"bridge_consumer_lag_records", "bridge_consumer_lag_seconds", "bridge_committed_offset"}
        facts = {name: played.facts_of(name) for name in played.epochs}
        for name in played.epochs:
            place = {"topic": name[0], "partition": str(name[1])}
            known, watermark = facts[name], played.watermark(name)
            if known is not None and known.end is not None:
                lag = max(0, known.end - watermark)
                self.put("bridge_consumer_lag_records", lag, **place)
                entry = played.entries[name].get(watermark)
                if lag == 0 or entry is not None:
                    age = at - entry.record.timestamp()[1] / 1000 if lag and entry is not None else 0.0
                    self.put("bridge_consumer_lag_seconds", max(0.0, age), **place)
            if known is not None and known.committed is not None:
                self.put("bridge_committed_offset", known.committed, **place)
            stands = None if known is None else known.transaction
            if stands is not None and stands.message:
                since = round(stands.since + played.now_ms / 1000 - played.now, 1)
                self.put("bridge_open_transaction_seconds", at - since, **place)
        self.names.add("bridge_open_transaction_seconds")
        paused = {name: since for name, since in played.said.items() if name in played.epochs}
        self.names.add("bridge_operator_pause_seconds")
        for (topic, number), since in paused.items():
            self.put("bridge_operator_pause_seconds", at - since / 1000, topic=topic, partition=str(number))
        self.put("bridge_operator_paused_partitions", len(paused))
        self.put("bridge_partitions_assigned", len(played.epochs))
        self.put("bridge_partitions_paused", sum(map(played.stands, played.epochs)))
        unreadable = [each for each in facts.values() if each is not None and each.unreadable is not None]
        self.put("bridge_partitions_unreadable", len(unreadable))


SHOWN = {
    "references": "bridge_dlq_references_total",
    "overdue_drains": "bridge_overdue_drains_total",
    "dropped_records": "bridge_dropped_records_total",
    "pauses": "bridge_room_pauses_total",
    "callback_errors": "bridge_callback_errors_total",
    "rebuilds": "bridge_consumer_rebuilds_total",
    "metadata_bytes": "bridge_commit_metadata_bytes",
    "foreign_metadata": "bridge_foreign_metadata_total",
    "metadata_room": "bridge_commit_metadata_room_bytes",
    "refused_progress": "bridge_refused_progress_total",
}
"""Where the plain numbers of the Kafka thread are shown."""


def check(played: Played) -> None:
    """Everything that is shown is what the books say."""
    seen = Seen(played)
    wanted = Wanted(played, seen.at)
    _check_series(seen, wanted, played)
    _check_status(seen, wanted, played)
    _check_text(seen, played)


def _check_series(seen: Seen, wanted: Wanted, played: Played) -> None:
    loose = ("bridge_http_requests_limit", "bridge_record_processing_seconds", "bridge_build_info")
    given = {name: entry for name, of in played.entries.items() for entry in of.values() if entry.given}
    for key in seen.series.keys() | wanted.series.keys():
        name, labels = key
        if name.startswith(loose):
            continue
        if name == "bridge_consumer_lag_seconds" and any(set(labels) == _place(each) for each in given):
            continue  # of what was given back it is the age of the oldest: `tests/delivery/test_ledger.py`
        shown = seen.series.get(key)
        assert shown == pytest.approx(wanted.series.get(key, 0.0), abs=1e-5), (
            f"{name} {sorted(labels)}: {shown}, not {wanted.series.get(key, 0.0)}"
        )
    most = seen.series["bridge_http_requests_limit", frozenset()]
    assert 1 <= most <= played.policy.max_in_flight, "bridge_http_requests_limit"
    took = "bridge_record_processing_seconds"
    assert seen.series[f"{took}_count", frozenset()] == played.books.accepted, took
    longest = played.books.accepted * (played.now - played.begun)
    assert played.books.quickest - 1e-6 <= seen.series[f"{took}_sum", frozenset()] <= longest + 1e-6, took


def _place(name: tuple[str, int]) -> set[tuple[str, str]]:
    return {("topic", name[0]), ("partition", str(name[1]))}


def _sum(lags: Sequence[int | None]) -> int | None:
    known = [lag for lag in lags if lag is not None]
    return sum(known) if known and len(known) == len(lags) else None


def _check_status(seen: Seen, wanted: Wanted, played: Played) -> None:
    """The figures of `/status`, by name; what it is for people to read is held by `test_admin` and `test_commands`."""
    said, books = seen.status, played.books
    finished: Counter[str] = Counter()
    for (_, outcome), count in books.finished.items():
        finished[outcome] += count
    waits = {topic: played.waits_in(topic) for topic in TOPICS}
    every = [each for of in waits.values() for each in of]
    ends = [(played.facts_of(name), name) for name in played.epochs]
    lags = [
        None if facts is None or facts.end is None else max(0, facts.end - played.watermark(n)) for facts, n in ends
    ]
    reads = played.state.joined and not played.state.unbegun
    ages = [each["lag_seconds"] for each in said["partitions"]]
    oldest = max((age for age in ages if age is not None), default=0.0)
    assert {**said["totals"], "finished": Counter(said["totals"]["finished"])} == {
        "consumed": books.consumed.total(),
        "finished": finished,
        "inflight": len(every),
        "inflight_bytes": sum(400 + len(each.record) for each in every),
        "unaccounted": 0,
        "lag": _sum(lags) if reads else None,
        "lag_seconds": oldest if oldest or (ages and None not in ages) else None,
        "partitions": len(played.epochs),
        "paused": sum(map(played.stands, played.epochs)),
    }, "totals"
    for each in said["topics"]:
        topic = each.pop("topic")
        each["finished"], each["dead_letters"] = Counter(each["finished"]), Counter(each["dead_letters"])
        assert each == {
            "consumed": books.consumed[topic],
            "finished": Counter({outcome: n for (of, outcome), n in books.finished.items() if of == topic}),
            "inflight": len(waits[topic]),
            "lost": played.tally.lost_records[topic],
            "dead_letters": Counter({cause: n for (of, cause), n in books.letters.items() if of == topic}),
            "partitions": sum(name[0] == topic for name in played.epochs),
            "lag": _sum([lag for lag, (_, name) in zip(lags, ends, strict=True) if name[0] == topic]),
            "paused": sum(played.stands(name) for name in played.epochs if name[0] == topic),
        }, f"topics: {topic}"
    for each in said["per_rule"]:
        rule = each["rule"]
        results: Counter[str] = Counter()
        for (of, _, result), count in books.events.items():
            results[result] += count if of == rule else 0
        assert each["matches"] == books.matches[rule], f"per_rule: {rule}: matches"
        assert each["errors"] == sum(count for (of, _), count in books.errors.items() if of == rule), (
            f"per_rule: {rule}: errors"
        )
        assert Counter(each["events"]) == results, f"per_rule: {rule}: events"
    assert {**said["api"], "limit": 0} == {
        "requests": books.requests,
        "inflight": len(played.calls),
        "limit": 0,
        "circuit_open": books.circuit_open,
        "retries": books.retries,
    }, "api"
    assert {(each["topic"], each["partition"]) for each in said["partitions"]} == played.epochs.keys(), "partitions"
    for each in said["partitions"]:
        name = (each["topic"], each["partition"])
        facts = played.facts_of(name)
        shown = [each[word] for word in ("position", "watermark", "committed", "end", "unreadable")]
        told = (None, None, None) if facts is None else (facts.committed, facts.end, facts.unreadable)
        assert shown == [played.position[name], played.watermark(name), *told], f"partitions: {name}"
        assert (each["paused"] is not None) == played.stands(name), f"partitions: {name}: paused"
        assert each["lag"] == wanted.series.get(("bridge_consumer_lag_records", frozenset(_place(name))))
    assert Counter(each["reason"] for each in said["holds"]) == played.held(), "holds"
    assert {each["target"] for each in said["pauses"]} == {f"{topic}:{number}" for topic, number in played.said}, (
        "pauses"
    )
    assert (said["ready"], said["alive"]) == (not played.unready(), True)
    assert said["kafka"]["joined"] == played.state.joined
    assert said["rules"]["hash"] == played.facts.mapping.hash
    assert sum(each["kind"] == "call" for each in said["waiting"]) == len(played.calls), "waiting"


def _check_text(seen: Seen, played: Played) -> None:
    """The figures that `suprsend-bridge status` prints."""
    if not played.epochs:
        assert "holds no partition yet; lag unknown" in seen.text
        if not played.books.consumed.total():
            return
    (line,) = re.findall(r"consumed ([\d,]+) = (.*) \+ ([\d,]+) in work; lag (.*)", seen.text)
    consumed, ended, works, lag = line
    finished: Counter[str] = Counter()
    for (_, outcome), count in played.books.finished.items():
        finished[outcome] += count
    every = [each for topic in TOPICS for each in played.waits_in(topic)]
    assert (_number(consumed), _number(works)) == (played.books.consumed.total(), len(every)), "status: consumed"
    words = {word.replace(" ", "_"): _number(n) for n, word in re.findall(r"([\d,]+) ([a-z ]+)", ended)}
    assert {word: n for word, n in words.items() if n} == {word: n for word, n in finished.items() if n}, (
        "status: finished"
    )
    told = seen.status["totals"]["lag"]
    assert lag == ("unknown" if told is None else f"{told:,} records"), "status: lag"
    for name in played.epochs:
        (row,) = re.findall(rf"^{name[0]}:{name[1]} +(.*)$", seen.text, re.MULTILINE)
        assert f" {played.watermark(name):,} " in row, f"status: {name}"


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def play(seed: int, steps: int = STEPS, look_every: int = 10) -> Played:
    """A run, looked at now and then and at its end."""
    played = Played(seed)
    for number in range(1, steps + 1):
        played.step()
        if number % look_every == 0:
            check(played)
    check(played)
    return played


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, STEPS))
def test_every_number_is_true_whatever_happens(seed: int, steps: int) -> None:
    """Each series of `/metrics`, each figure of `/status` and of `status` is what the books beside it say."""
    play(seed, steps)


def test_every_result_comes_up() -> None:
    """Each documented outcome, result, retry and reason of a dead letter is there in some run: none is documented alone."""
    runs = [Played(seed) for seed in range(100)]
    for run in runs:
        for _ in range(250):
            run.step()
    seen = {result for run in runs for (_, _, result), n in run.books.events.items() if n}
    assert seen | {"other"} == set(_words("bridge_events_total", "result"))
    assert {o for run in runs for (_, o), n in run.books.finished.items() if n} == {each.value for each in Outcome}
    letters = {cause for run in runs for (_, cause), n in run.books.letters.items() if n}
    assert letters | {"other"} == set(_words("bridge_dlq_records_total", "reason"))
    retries = {why for run in runs for why, n in run.books.retries.items() if n}
    assert retries | {"other"} == set(_words("bridge_retries_total", "reason"))
    waits = {why for run in runs for why, n in run.books.waited.items() if n}
    assert waits | {"other"} == set(_words("bridge_wait_seconds_total", "reason"))
    assert all(
        sum(getattr(run.books, each) for run in runs) for each in ("late", "order_breaks", "unwritten", "unknown")
    )


def _words(name: str, label: str) -> tuple[str, ...]:
    (found,) = [each.words for metric in METRICS if metric.name == name for each in metric.labels if each.name == label]
    return found


def test_no_metric_is_left_out() -> None:
    """Each metric of the table is held by the books; of what the core does not count it is said which test has it counted."""
    played = play(1, 60)
    held = Wanted(played, 0.0).names | BOUNDED.keys()
    assert held == {metric.name for metric in METRICS}
    assert COUNTED.keys() | BOUNDED.keys() <= held
    tests = Path(__file__).resolve().parents[1]
    assert [name for name, (file, says) in COUNTED.items() if says not in (tests / file).read_text("utf-8")] == []
    assert not any(name.startswith("bridge_") for name, _, _ in PROCESS_METRICS)


def test_nothing_is_counted_that_nobody_sees() -> None:
    """Each count of either thread shows: raised, it changes the page."""
    plain = {*KAFKA_NUMBERS, *KAFKA_WORDS, "drain_buckets", "partitions", "journal"}
    assert plain == set(KafkaCounters.__dataclass_fields__)
    assert SHOWN.keys() == set(KAFKA_NUMBERS)
    for each in DeliveryCounters.__dataclass_fields__:
        played = Played(0)
        before = Seen(played)
        _raise(played.delivery.counters, each)
        after = Seen(played)
        assert before.series != after.series, each


def _raise(counters: DeliveryCounters, each: str) -> None:
    known: dict[str, Any] = {
        "topics": lambda: counters.topic("t").finished.update([Outcome.FILTERED]),
        "events": lambda: counters.events.update([("rule-a", "said_a", "stuck")]),
        "rule_matches": lambda: counters.rule_matches.update(["rule-a"]),
        "rule_errors": lambda: counters.rule_errors.update([("rule-a", "wrong_type")]),
        "requests": lambda: counters.requests.update(["200"]),
        "retries": lambda: counters.retries.update(["setup"]),
        "waited": lambda: counters.wait("hold", 1.0),
    }
    value = getattr(counters, each)
    if each in known:
        known[each]()
    elif isinstance(value, int):
        setattr(counters, each, value + 1)
    else:
        value.observe(1.0)


# Each of these stood on the page once, or could.

Plant = Callable[[], AbstractContextManager[Any]]


def _instead(owner: Any, name: str, new: Any) -> Plant:
    return lambda: patch.object(owner, name, new)


def _counting(owner: Any, name: str, more: Callable[..., None]) -> Plant:
    right = getattr(owner, name)

    def wrong(self: Any, *args: Any, **kwargs: Any) -> Any:
        more(self, *args)
        return right(self, *args, **kwargs)

    return _instead(owner, name, wrong)


def _matches_of_events(self: Batcher, mapped: MappedRun, _taken: int) -> None:
    for (rule, _), count in mapped.counts.items():
        self._finish.counters.rule_matches[rule] += count


def _refused_at_once(self: Calls, _batch: Any, run: Any, place: int, *_: Any) -> None:
    event = run.events()[place]
    self._finish.counters.events[event.rule, event.name, "refused"] += 1


def _storm_at_once(self: Batcher, run: Any) -> None:
    for event in run.events():
        self._finish.counters.events[event.rule, event.name, "storm"] += 1


def _silent(name: str) -> Plant:
    rows = tuple(row._replace(read=one(lambda _: 0)) if row.name == name else row for row in METRICS)
    return _instead(collector, "METRICS", rows)


def _not_late(self: Finish, *_: Any) -> None:
    self.counters.late_results = 0


def _only_live(self: DeadLetters, rejected: Any) -> None:
    if not rejected.part.live:
        self._finish.counters.topic(rejected.part.name[0]).dead_letters[rejected.cause] -= 1


def _unknown_of_any_status(self: Calls, _number: int, reply: Any, *_: Any) -> None:
    self._finish.counters.unknown_answers += reply.error == "protocol"


def _stuck_is_a_retry(self: Calls, batch: Any, *_: Any) -> None:
    self._finish.counters.retries["transient"] += batch.count == 1


def _any_assignment(delivery: Any, part: Any, known: Any, began: float) -> Any:
    return RIGHT_PARTITION(delivery, part, None if known is None else replace(known, epoch=part.epoch), began)


RIGHT_PARTITION = service_snapshot._partition
ALL_ALIKE = dict.fromkeys(RESULTS, "dead_lettered")

PLANTED: dict[str, tuple[Plant, str]] = {
    "matches are events": (_instead(Batcher, "_count_matches", _matches_of_events), "bridge_rule_matches_total"),
    "matches are the sum of all results": (
        _instead(
            Snapshot,
            "rule_views",
            lambda self, right=Snapshot.rule_views: [
                view._replace(matches=sum(view.events.values()) + sum(view.errors.values())) for view in right(self)
            ],
        ),
        "bridge_rule_matches_total",
    ),
    "a refused event counts when it is refused, too": (
        _counting(Calls, "_refuse", _refused_at_once),
        "bridge_events_total",
    ),
    "a storm counts when it is met, too": (_counting(Batcher, "_write_storms", _storm_at_once), "bridge_events_total"),
    "all dead letters are one result": (lambda: patch.dict(RESULTS, ALL_ALIKE), "bridge_events_total"),
    "a whole record that is skipped ends no event": (
        _instead(
            DeadLetters, "_count", lambda self, each, right=DeadLetters._count: right(self, replace(each, ends=()))
        ),
        "bridge_events_total",
    ),
    "late results are counted and not shown": (_silent("bridge_late_results_total"), "bridge_late_results_total"),
    "rebuilds are counted and not shown": (_silent("bridge_consumer_rebuilds_total"), "bridge_consumer_rebuilds_total"),
    "overdue drains are counted and not shown": (_silent("bridge_overdue_drains_total"), "bridge_overdue_drains_total"),
    "dropped records are counted and not shown": (
        _silent("bridge_dropped_records_total"),
        "bridge_dropped_records_total",
    ),
    "callback errors are counted and not shown": (
        _silent("bridge_callback_errors_total"),
        "bridge_callback_errors_total",
    ),
    "late results are forgotten": (_counting(Finish, "release", _not_late), "bridge_late_results_total"),
    "a late dead letter is not counted": (_counting(DeadLetters, "_count", _only_live), "bridge_dlq_records_total"),
    "every unknown answer has status 2xx": (
        _counting(Calls, "answered", _unknown_of_any_status),
        "bridge_unknown_answers_total",
    ),
    "what is stuck is sent again": (_counting(Calls, "_isolate", _stuck_is_a_retry), "bridge_retries_total"),
    "what is finished below the watermark is above": (
        _instead(Ledger, "above", lambda self: self.span() - len(self.unfinished)),
        "bridge_finished_above_watermark",
    ),
    "a partition shows the commit of an earlier assignment": (
        _instead(service_snapshot, "_partition", _any_assignment),
        "bridge_(co|open|partitions)",
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_fault_is_found(bug: str) -> None:
    """A number that is wrong in a way in which it once was makes the property fail, and it names the series."""
    plant, series = PLANTED[bug]
    with plant(), pytest.raises(AssertionError, match=series):
        for seed in range(100):
            play(seed)
