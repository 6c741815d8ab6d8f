"""Every event of the table is told by the part that it is about, with no fact that is not in the table."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bridge.delivery.policy import Policy
from bridge.flow import DeadLetter, DeadLetterWritten, GoPast, KafkaState, PlainRecord, Start
from bridge.kafka.client.committing import Offsets
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.config import producer_conf
from bridge.kafka.tools.mock import MockCluster
from bridge.observe.events import EVENTS
from bridge.offsets.commits import text_of
from bridge.service.snapshot import hold_news
from tests.brokers.real import RealKafka, Sent
from tests.delivery.bench import Bench, record, refused, reply, results
from tests.kafka.desk import desk, settings
from tests.kafka.test_unreadable_real import LARGE, too_large
from tests.observe.lines import Lines, Written, shows
from tests.observe.test_stall import play_a_stall
from tests.road.bridge_process import BridgeProcess, until

SHOWN: set[str] = set()


def test_every_event_of_the_table_is_shown_here() -> None:
    """No event is in the table that nothing tells, and none is told in a test that is not in the table."""
    assert set(EVENTS) == SHOWN


def told(written: Written, bench: Bench) -> None:
    """What the delivery thread does about once a second."""
    written.log_lines.log(bench.delivery.kafka, hold_news(bench.delivery), bench.now_ms / 1000)


@shows(SHOWN, "assigned", "batch_split", "batch_refused", "dead_letter", "batch_retried")
def test_a_refused_call_is_told_with_its_records(tmp_path: Path) -> Lines:
    """Lines of a call name its records by topic, partition and offsets, and halves have counters of their own."""
    bench = Bench(Policy(linger=0.0, ordering="none"))
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    bench.feed([record(5), record(6)])
    (call,) = bench.start()
    bench.answer(call, refused())
    (half,) = bench.start()
    bench.answer(half, refused())
    bench.write_dead_letters()
    (other,) = bench.start()
    bench.answer(other, reply(503))
    lines = written.lines()
    split = next(line for line in lines if line["event"] == "batch_split")
    assert (split["spans"], split["events"]) == (["t:0:5-6"], 2)
    (letter,) = [line for line in lines if line["event"] == "dead_letter"]
    assert (letter["topic"], letter["partition"], letter["offset"], letter["rule"]) == ("t", 0, 5, "words")
    (retried,) = [line for line in lines if line["event"] == "batch_retried"]
    assert (retried["spans"], retried["reason"], retried["attempt"]) == (["t:0:6-6"], "transient", 2)
    assert retried["batch"] not in (0, split["batch"])
    return lines


@shows(SHOWN, "record_failing")
def test_a_record_that_fails_and_fails_is_told_with_its_place_and_what_is_proven(tmp_path: Path) -> Lines:
    """Where nothing else is accepted it is no dead letter, but a line says which record it is and since when."""
    bench = Bench(Policy(linger=0.0, stuck_attempts=3, retry_floor=100.0))
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    bench.feed([record(5)])
    for _ in range(3):
        (call,) = bench.start()
        bench.answer(call, reply(503))
        bench.pass_time(31)
    lines = written.lines()
    (line,) = [line for line in lines if line["event"] == "record_failing"]
    assert (line["topic"], line["partition"], line["offset"], line["rule"]) == ("t", 0, 5, "words")
    assert (line["attempts"], line["accepted_beside"], line["seconds"]) == (3, 0, 62.0)
    return lines


@shows(SHOWN, "circuit_opened", "circuit_closed", "answer_unknown")
def test_an_outage_opens_and_closes_the_circuit(tmp_path: Path) -> Lines:
    """The circuit is told when it opens, with why, and when it closes; an unreadable answer with its shape."""
    bench = Bench(Policy(linger=0.0, breaker_failures=2))
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    bench.feed([record(0)])
    for answer in (reply(200, {"no": "records"}), reply(503), results("ok")):
        bench.pass_time(60)
        (call,) = bench.start()
        bench.answer(call, answer)
    lines = written.lines()
    events = [line["event"] for line in lines]
    assert events.index("answer_unknown") < events.index("circuit_opened") < events.index("circuit_closed")
    return lines


@shows(SHOWN, "dead_letter_failed", "hold", "hold_lifted")
def test_a_dead_letter_that_cannot_be_written_is_told(tmp_path: Path) -> Lines:
    """Kafka's words are in the line; the hold and its end are told once each."""
    bench = Bench()
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    bench.feed([record(0, b"d")])
    bench.start()
    bench.write_dead_letters("Broker: no such topic")
    told(written, bench)
    told(written, bench)
    bench.pass_time(60)
    bench.start()
    bench.write_dead_letters()
    told(written, bench)
    lines = written.lines()
    (failed,) = [line for line in lines if line["event"] == "dead_letter_failed"]
    assert (failed["message"], failed["offset"]) == ("Broker: no such topic", 0)
    assert [line["scope"] for line in lines if line["event"].startswith("hold")] == ["t:0", "t:0"]
    return lines


@shows(SHOWN, "assigned", "hold", "hold_lifted")
def test_a_hold_that_ends_before_anybody_looks_is_told(tmp_path: Path) -> Lines:
    """Keys refused, and accepted by another call in the same moment: both are in the log, in that order."""
    bench = Bench(Policy(linger=0.0, ordering="none", batch_events=1))
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    bench.feed([record(0), record(1)])
    first, second = bench.start()
    bench.answer(first, reply(401))
    bench.answer(second, results("ok"))
    told(written, bench)
    lines = written.lines()
    assert [(line["event"], line["reason"]) for line in lines if line["event"].startswith("hold")] == [
        ("hold", "setup"),
        ("hold_lifted", "setup"),
    ]
    return lines


@shows(SHOWN, "assigned", "revoked", "lost", "rewind")
def test_partitions_come_and_go_in_one_line_a_topic(tmp_path: Path) -> Lines:
    """What happens to many partitions at once is one line, with where each is read from; a rewind has its own."""
    bench = Bench()
    written = Written(tmp_path, bench.delivery.journal)
    for partition in (2, 0, 1):
        bench.assign(partition, start=Start(10 * partition))
    bench.assign(3, start=Start(4, hold="rewind", detail="t[3]: set back", age="; old"))
    told(written, bench)
    bench.revoke(0, 2)
    bench.pass_time(2)
    bench.collect()
    bench.lose(1)
    told(written, bench)
    lines = written.lines()
    by_event = {line["event"]: line for line in lines}
    assert by_event["assigned"]["partitions"] == [0, 1, 2, 3]
    assert by_event["assigned"]["offsets"] == [0, 10, 20, 4]
    assert (by_event["revoked"]["partitions"], by_event["revoked"]["seconds"]) == ([0, 2], 2.0)
    assert by_event["lost"]["partitions"] == [1]
    assert by_event["rewind"]["detail"] == "t[3]: set back; old"
    return lines


@shows(SHOWN, "kafka_trouble", "kafka_well")
def test_kafkas_state_is_told_when_it_changes(tmp_path: Path) -> Lines:
    """A trouble is told once, and its end."""
    bench = Bench()
    written = Written(tmp_path)
    for trouble in (None, "no broker", "no broker", None):
        bench.take(KafkaState(joined=True, kind=trouble and "unreachable", trouble=trouble))
        told(written, bench)
    lines = written.lines()
    assert [line["event"] for line in lines] == ["kafka_trouble", "kafka_well"]
    return lines


@shows(SHOWN, "left_out")
def test_a_flood_is_counted(tmp_path: Path) -> Lines:
    """Of thousands of dead letters a few lines are written, and all others are counted, whoever left them out."""
    bench = Bench(Policy(linger=0.0, batch_events=1_000))
    written = Written(tmp_path, bench.delivery.journal)
    bench.assign()
    total = 3_000
    for at in range(total):
        bench.delivery.journal.note("dead_letter", "warning", topic="t", partition=0, offset=at)
    lines = written.lines()
    shown = sum(line["event"] == "dead_letter" for line in lines)
    assert shown == 20
    assert shown + sum(line["count"] for line in lines if line["event"] == "left_out") == total
    return lines


PAYLOAD = b'{"customer":{"email":"ann@example.com"},"note":"a private word"}'


@pytest.mark.parametrize("asked", [False, True], ids=["by-default", "asked-for"])
def test_no_payload_unless_asked_for(tmp_path: Path, asked: bool) -> None:
    """Without `log_payloads` nothing of any record is in the log; with it, what was dead-lettered, redacted."""
    bench = Bench()
    journal = bench.delivery.journal
    journal.payloads = journal.sent = asked
    written = Written(tmp_path, journal, log_payloads=asked, redact=["**.email"])
    bench.assign()
    bench.feed([record(0, b"d"), record(1, b"e-private")])
    (call,) = bench.start()
    bench.answer(call, refused())
    bench.write_dead_letters()
    journal.show("record", PAYLOAD, rule="r", topic="t", partition=0, offset=2)
    journal.show("record", b"x" * 20_000, rule="r", topic="t", partition=0, offset=3)
    journal.show("record", None, rule="r", topic="t", partition=0, offset=4)
    lines = written.lines()
    text = json.dumps(lines)
    assert ("private" in text) is asked
    assert "ann@example.com" not in text
    shown = [(line["what"], line["offset"]) for line in lines if line["event"] == "payload"]
    assert sorted(shown) == ([("event", 1), *(("record", n) for n in range(5)), ("sent", 1)] if asked else [])


@shows(SHOWN, "payload")
def test_payloads_are_told_with_their_place(tmp_path: Path) -> Lines:
    """A payload that is too large is told by its size."""
    bench = Bench()
    journal = bench.delivery.journal
    journal.payloads = True
    written = Written(tmp_path, journal, log_payloads=True)
    journal.show("record", b"x" * 20_000, rule="r", topic="t", partition=0, offset=3)
    lines = written.lines()
    assert (lines[0]["size"], "payload" in lines[0]) == (20_000, False)
    return lines


@shows(SHOWN, "commit_failed")
def test_a_refused_commit_is_told(tmp_path: Path) -> Lines:
    """Each refused commit is told with partition, offset, and what becomes of it."""
    counters = KafkaCounters()
    written = Written(tmp_path, counters.journal)

    class Client:
        def commit(self, **_: Any) -> None:
            """Take it; the answer comes later."""

    offsets = Offsets(Client, lambda _: None, lambda *_: None, counters, lambda: 0)  # type: ignore[arg-type]
    offsets.committer.assigned(("t", 3), 1, Start(17), runs="", fresh=True)
    offsets.commit_due(1.0)
    (commit,) = offsets.committer.under_way()
    offsets.on_commit(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), [TopicPartition("t", 3, 17, commit.metadata)])
    offsets.on_commit(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), [TopicPartition("t", 4, 17)])
    offsets.on_commit(KafkaError(KafkaError._NO_OFFSET), [])
    lines = written.lines()
    (line,) = lines
    assert (line["topic"], line["partition"], line["offset"], line["result"]) == ("t", 3, 17, "setup")
    return lines


@shows(SHOWN, "metadata_shortened", "metadata_refused")
def test_metadata_that_the_brokers_refuse_is_told_once(tmp_path: Path) -> Lines:
    """That notes become shorter is said once, and once that there are none; with the setting to raise."""
    counters = KafkaCounters()
    written = Written(tmp_path, counters.journal)

    class Client:
        def commit(self, *, offsets: list[TopicPartition], **_: Any) -> None:
            error = KafkaError.OFFSET_METADATA_TOO_LARGE
            raise KafkaException(KafkaError(error)) if offsets[0].metadata else StopIteration

    offsets = Offsets(Client, lambda _: None, lambda *_: None, counters, lambda: 0)  # type: ignore[arg-type]
    offsets.committer.assigned(("t", 3), 1, Start(17), runs="", fresh=True)
    with pytest.raises(StopIteration):
        for turn in range(20):
            offsets.commit_due(float(turn))
    lines = written.lines()
    assert [line["event"] for line in lines] == ["metadata_shortened", "metadata_refused"]
    assert all("offset.metadata.max.bytes" in line["message"] for line in lines)
    assert counters.metadata_room == 0
    return lines


@shows(SHOWN, "metadata_foreign")
def test_metadata_that_is_not_ours_is_told(kafka: RealKafka, tmp_path: Path) -> Lines:
    """A note beside another commit than its own does not count, and that is said with its place."""
    topic, letters = kafka.create_topic(kafka.unique("orders"), 1), kafka.create_topic(kafka.unique("dead"))
    group = kafka.unique("group")
    kafka.produce(topic, [Sent(b"%d" % n) for n in range(4)])
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters) as side:
        side.until(lambda: len(side.finished) == 4, what="the first records")
    kafka.produce(topic, [Sent(b"%d" % n) for n in range(4, 10)])
    carried = text_of(at_ms=1, send_limit=9, delivered=9, runs="0,4", committed=6)
    kafka.reset_offsets(group, topic, {0: 5}, carried)
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters) as side:
        side.until(lambda: len(side.finished) == 5, what="all from the offset on")
        lines = Written(tmp_path, side.kafka.counters.journal).lines()
        assert side.kafka.counters.foreign_metadata == 1
    (line,) = [line for line in lines if line["event"] == "metadata_foreign"]
    assert (line["topic"], line["partition"], line["offset"]) == (topic, 0, 5)
    assert "another offset" in line["message"]
    return lines


@shows(SHOWN, "records_lost")
def test_lost_records_are_told_with_their_range(kafka: RealKafka, tmp_path: Path) -> Lines:
    """What retention deleted before it was read is told: how many, and which offsets."""
    topic = kafka.create_topic(kafka.unique("orders"), 1)
    letters = kafka.create_topic(kafka.unique("dead"))
    group = kafka.unique("group")
    kafka.produce(topic, [Sent(b"%d" % n) for n in range(5)])
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters) as side:
        counters = side.kafka.counters
        side.until(lambda: (topic, 0) in counters.partitions and counters.partitions[topic, 0].committed == 5)
    kafka.produce(topic, [Sent(b"%d" % n) for n in range(5, 12)])
    kafka.delete_records(topic, {0: 9})
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters, on_retention_gap="continue") as side:
        side.until(lambda: len(side.records) == 3)
        written = Written(tmp_path, side.kafka.counters.journal)
    lines = written.lines()
    (lost,) = [line for line in lines if line["event"] == "records_lost"]
    assert (lost["topic"], lost["partition"], lost["count"]) == (topic, 0, 4)
    assert "offsets 5 to 8" in lost["message"]
    return lines


@shows(SHOWN, "dead_letters_plain")
def test_brokers_without_an_idempotent_producer_are_told_of(tmp_path: Path) -> Lines:
    """Said once, with what the broker said."""
    counters = KafkaCounters()
    written = Written(tmp_path, counters.journal)
    reports: list[DeadLetterWritten] = []
    with MockCluster({"dead": 1}) as cluster:
        cluster.fail_requests("InitProducerId", [KafkaError.CLUSTER_AUTHORIZATION_FAILED])
        conf = producer_conf(settings(cluster.bootstrap, ["t"], "g"))
        letters = DeadLetterProducer(lambda: conf, "dead", reports.append, counters)
        letters.send(DeadLetter(1, PlainRecord("t", 0, 0, b"v"), ()))

        def reported() -> bool:
            letters.pump()
            return bool(reports)

        until(reported, 30)
        letters.close(5.0)
    assert reports == [DeadLetterWritten(1, None)]
    (line,) = written.lines()
    assert "Cluster authorization failed" in line["message"]
    return [line]


@shows(SHOWN, "partition_unreadable", "partition_readable")
def test_what_cannot_be_read_is_told_until_somebody_goes_past_it(kafka: RealKafka, tmp_path: Path) -> Lines:
    """With the offset, the client's words and what may read it; and the end of it."""
    topic = kafka.create_topic(kafka.unique("t"), config=LARGE)
    too_large(kafka, topic)
    with desk(kafka.bootstrap, [topic], kafka.unique("group")) as side:
        side.until(lambda: side.kafka.state.kind == "unreadable")
        side.order(GoPast(topic, 0, side.parts[topic, 0].epoch, 3, 603))
        side.until(lambda: len(side.records) == 6)
        written = Written(tmp_path, side.kafka.counters.journal)
    lines = written.lines()
    (told,) = [line for line in lines if line["event"] == "partition_unreadable"]
    assert (told["topic"], told["partition"], told["offset"]) == (topic, 0, 3)
    assert "receive.message.max.bytes" in told["advice"]
    (over,) = [line for line in lines if line["event"] == "partition_readable"]
    assert over["offset"] == 603
    return lines


@shows(SHOWN, "records_not_read", "transaction_open", "transaction_over")
def test_what_stands_still_or_is_not_read_is_told(
    kafka: RealKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lines:
    """How many records a group begins behind; where a transaction stays open, for how long, and its end."""
    monkeypatch.setattr("bridge.kafka.client.positions.TRANSACTION_SECONDS", 2.0)
    topic = kafka.create_topic(kafka.unique("t"))
    kafka.produce(topic, [b"1", b"2"])
    with desk(kafka.bootstrap, [topic], kafka.unique("group"), start_from="latest") as side:
        told = lambda: side.kafka.counters.partitions.get((topic, 0))  # noqa: E731
        side.until(told)
        with kafka.open_transaction(topic, [b"3"]):
            side.until(lambda: (found := told()) and found.transaction and found.transaction.message, 60)
        side.until(lambda: (found := told()) and found.transaction is None and side.records)
        written = Written(tmp_path, side.kafka.counters.journal)
    lines = written.lines()
    by_event = {line["event"]: line for line in lines}
    assert by_event["records_not_read"]["count"] == 2
    assert by_event["transaction_open"]["offset"] == 2
    assert by_event["transaction_over"]["seconds"] >= 2.0
    return lines


@shows(SHOWN, "unexpected")
def test_a_bug_is_told_without_the_exceptions_text(tmp_path: Path) -> Lines:
    """Where it was and of which type, but never its text, which may quote a record."""
    counters = KafkaCounters()
    written = Written(tmp_path, counters.journal)
    try:
        int("a private word")
    except ValueError as error:
        counters.callback_failed(error)
    lines = written.lines()
    assert "ValueError" in lines[0]["exception"]
    assert "test_events.py" in lines[0]["exception"]
    assert 'private word"' not in lines[0]["exception"].replace('int("a private word")', "")
    return lines


@shows(SHOWN, "stalled", "stall_over")
def test_a_stall_and_its_end_are_told(tmp_path: Path) -> Lines:
    """A stall is told once with what is waited for, and its end once."""
    written = Written(tmp_path)
    play_a_stall(written.logs)
    return written.lines()


def act(url: str, action: str, body: dict[str, Any], token: str) -> int:
    """Ask for an action; the status of the answer."""
    asked = urllib.request.Request(
        f"{url}/actions/{action}",
        json.dumps({**body, "reason": "a test"}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def last_errors(url: str) -> dict[str, dict[str, Any]]:
    """The last errors of `/status`, by kind."""
    with urllib.request.urlopen(url + "/status", timeout=120) as answer:
        return {error["kind"]: error for error in json.load(answer)["errors"]}


ONE_RULE = "version: 1\nrules:\n  - {name: a, topics: [t], event: evt, distinct_id: u}\n"


@shows(
    SHOWN,
    *("started", "setting_moved", "admin_listening", "stopping", "stopped", "library", "kafka_trouble", "admin_action"),
    *("admin_refused", "rules_loaded", "rules_refused", "secret_changed", "secret_unreadable"),
)
def test_a_process_tells_its_life(tmp_path: Path) -> Lines:
    """`suprsend-bridge run` without a broker: start, trouble, an operator, rules and secrets that change, and the end."""
    for name, text in (
        ("key", "a-workspace-key-of-20-chars"),
        ("secret", "one-secret-of-the-workspace"),
        ("admin", "tok"),
    ):
        (tmp_path / name).write_text(text)
    rules = tmp_path / "rules" / "r.yaml"
    rules.parent.mkdir()
    rules.write_text(ONE_RULE)
    chosen = {
        "kafka": {"bootstrap_servers": ["127.0.0.1:1"], "topics": ["t"], "group_id": "g", "dead_letter_topic": "d"},
        "suprsend": {"workspace_key_file": str(tmp_path / "key"), "workspace_secret_file": str(tmp_path / "secret")},
        "admin": {"port": 0, "token_file": str(tmp_path / "admin")},
        "rules": {"path": str(rules.parent)},
        "logs": {"format": "json"},
        "delivery": {"span": 5000},
    }
    with BridgeProcess(tmp_path, chosen) as bridge:

        def tells(event: str) -> dict[str, Any]:
            found: dict[str, Any] = until(
                lambda: next((line for line in bridge.log() if line["event"] == event), None), 30, bridge.text
            )
            return found

        url = bridge.admin_url()
        assert act(url, "log-level", {"level": "debug"}, "wrong") == 401
        assert act(url, "log-level", {"level": "debug"}, "tok") == 200
        rules.write_text(ONE_RULE + "# another text\n")
        tells("rules_loaded")
        rules.write_text("version: 1\nrules:\n  - {name: a}\n")
        assert "r.yaml:3" in tells("rules_refused")["findings"]
        (tmp_path / "secret").write_text("another-secret-of-the-workspace")
        assert tells("secret_changed")["setting"] == "suprsend.workspace_secret_file"
        (tmp_path / "secret").write_text("")
        assert "is empty" in tells("secret_unreadable")["message"]
        tells("kafka_trouble")
        tells("library")
        until(
            lambda: {"rules_refused", "kafka_trouble", "secret_unreadable"} <= last_errors(url).keys(), 30, bridge.text
        )
        assert "r.yaml:3" in last_errors(url)["rules_refused"]["message"]
        bridge.process.send_signal(signal.SIGTERM)
        assert bridge.process.wait(120) == 0, bridge.text()
    assert "one-secret" not in bridge.text()
    assert "another-secret" not in bridge.text()
    return bridge.log()
