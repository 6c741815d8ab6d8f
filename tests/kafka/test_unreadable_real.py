"""Batches that nobody can read any more: damaged on the disk of a real Kafka, or packed so that the client cannot."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.brokers import batches
from tests.brokers.batches import GZIP, ZSTD, Batch, batch, gzipped, overwrite, send, spoil, zstd_of_no_size
from tests.brokers.real import RealKafka
from tests.kafka.desk import Desk, desk

VALUES = [b'{"who": "u1", "text": "one"}', b'{"who": "u2", "text": "two"}', b'{"who": "u3", "text": "three"}']
BIG = [b'{"who": "u", "pad": "%s"}' % (b"p" * 75_000)] * 600
"""The client grows its buffer threefold: 40 MB are too little for it, and 120 MB more than it takes (librdkafka 5260)."""
Damage = Callable[[RealKafka, str, Path], None]


def _damaged(damage: Callable[[Batch], None], codec: int = 0, pack: Callable[[bytes], bytes] = bytes) -> Damage:
    """Three batches, the second of which is changed where it lies."""

    def make(kafka: RealKafka, topic: str, logs: Path) -> None:
        for _ in range(3):
            send(kafka.bootstrap, topic, batch(VALUES, _now(), codec=codec, pack=pack))
        damage(list(batches.batches(logs, topic))[1])

    return make


def too_large(kafka: RealKafka, topic: str, _: Path | None = None) -> None:
    """Between two small batches one that unpacks to more than the client takes, which it is not told beforehand."""
    send(kafka.bootstrap, topic, batch(VALUES, _now()))
    send(kafka.bootstrap, topic, batch(BIG, _now(), codec=ZSTD, pack=zstd_of_no_size))
    send(kafka.bootstrap, topic, batch(VALUES, _now()))


def _now() -> int:
    return time.time_ns() // 1_000_000


STAYS: dict[str, tuple[Damage, str]] = {
    "zstd": (too_large, "receive.message.max.bytes"),
    "gzip": (
        _damaged(lambda found: spoil(found, 2, b"\xff" * 4, sealed=True), GZIP, gzipped),
        "Decompression (codec 0x1)",
    ),
    "crc": (_damaged(lambda found: spoil(found, 30, b"?")), "failed CRC32C check"),
    "crc-round-and-round": (_damaged(lambda found: spoil(found, 2, b"\xff" * 4), GZIP, gzipped), "failed CRC32C check"),
    "magic": (_damaged(lambda found: overwrite(found.file, found.at + 16, b"\x07")), "Unsupported Message(Set)"),
    "lengths": (_damaged(lambda found: spoil(found, 0, b"\xff\xff", sealed=True)), "no record, no end and no error"),
}
"""Damage → a word of what is told."""


def test_a_partition_that_cannot_be_read_is_told_and_stays_where_it_is(
    own_kafka: RealKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with a batch, its partition says so with the client's words, is not ready, and loses nothing."""
    monkeypatch.setattr("bridge.kafka.client.positions.SILENT_SECONDS", 4.0)
    kafka = own_kafka
    topics = {kafka.create_topic(kafka.unique(name), config=LARGE): name for name in STAYS}
    sound = kafka.create_topic(kafka.unique("sound"))
    for topic, name in topics.items():
        STAYS[name][0](kafka, topic, kafka.nodes[0].log_dirs)
    with desk(kafka.bootstrap, [*topics, sound], kafka.unique("group")) as reading:
        for topic, name in topics.items():
            told = lambda topic=topic: _told(reading, topic)  # noqa: E731
            reading.until(told, 60, f"what is told of {name}")
            assert STAYS[name][1] in str(told()), name
        kafka.produce(sound, [b"still"])
        reading.until(lambda: b"still" in reading.values(), what="the partition that is sound")
        state = reading.kafka.state
        assert state.kind == "unreadable"
        assert "suprsend-bridge skip" in str(state.trouble)
        used = time.process_time()
        time.sleep(2)
        assert time.process_time() - used < 1.0, "it goes round and round"
        for topic in topics:
            assert [record.offset() for record in reading.records if record.topic() == topic] == [0, 1, 2]
            assert reading.kafka.counters.lost_records[topic] == 0


LARGE = {"max.message.bytes": "20000000"}


def _told(reading: Desk, topic: str) -> str | None:
    counters = reading.kafka.counters.partitions.get((topic, 0))
    return counters.unreadable if counters is not None else None


def test_what_the_client_passes_over_is_counted_as_lost(own_kafka: RealKafka) -> None:
    """Behind a batch of one record that it cannot read the client may go on: that record is counted as lost, and told."""
    kafka = own_kafka
    topic = kafka.create_topic(kafka.unique("magic"))
    for value in (b"0", b"1", b"2"):
        send(kafka.bootstrap, topic, batch([value], _now()))
    found = list(batches.batches(kafka.nodes[0].log_dirs, topic))[1]
    overwrite(found.file, found.at + 16, b"\x07")
    with desk(kafka.bootstrap, [topic], kafka.unique("group")) as reading:
        reading.until(lambda: reading.values() == [b"0", b"2"], what="the records that can be read")
        assert reading.kafka.counters.lost_records[topic] == 1
        assert any(event == "records_lost" for event, _, _ in reading.kafka.counters.journal.take())


def test_a_damaged_record_of_an_old_format_is_counted_as_lost(own_kafka: RealKafka) -> None:
    """Of messages from before Kafka 0.11 the client passes over the damaged one: one lost, told, and all others read."""
    kafka = own_kafka
    topic = kafka.create_topic(kafka.unique("old"))
    for _ in range(3):
        send(kafka.bootstrap, topic, batch(VALUES, _now()))
    found = list(batches.batches(kafka.nodes[0].log_dirs, topic))[1]
    batches.make_old(found, [b"four", b"five", b"six"], _now(), broken=1)
    with desk(kafka.bootstrap, [topic], kafka.unique("group")) as reading:
        reading.until(lambda: len(reading.records) == 8, what="the records that can be read")
        assert [record.offset() for record in reading.records] == [0, 1, 2, 3, 5, 6, 7, 8]
        assert reading.kafka.counters.lost_records[topic] == 1
        lost = [
            facts["message"] for event, _, facts in reading.kafka.counters.journal.take() if event == "records_lost"
        ]
        assert lost == ["offsets 4 to 4 cannot be read: Kafka's client passes over them"]


def test_it_goes_on_by_itself_when_the_batch_can_be_read_again(own_kafka: RealKafka) -> None:
    """A batch that is whole again (another replica, a mended disk) is read where it was left, and the trouble ends."""
    kafka = own_kafka
    topic = kafka.create_topic(kafka.unique("mended"))
    for _ in range(2):
        send(kafka.bootstrap, topic, batch(VALUES, _now()))
    found = list(batches.batches(kafka.nodes[0].log_dirs, topic))[1]
    before = found.file.read_bytes()[found.at : found.at + found.size]
    spoil(found, 30, b"?")
    with desk(kafka.bootstrap, [topic], kafka.unique("group")) as reading:
        reading.until(lambda: reading.kafka.state.kind == "unreadable", what="the trouble")
        overwrite(found.file, found.at, before)
        reading.until(lambda: reading.values() == VALUES * 2, what="what is whole again")
        reading.until(lambda: reading.kafka.state.kind != "unreadable", what="the end of the trouble")
        assert reading.kafka.counters.lost_records[topic] == 0
