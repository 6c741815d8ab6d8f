"""Who calls the consumer, and how: one thread, short polls, and commits that nobody waits for."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer

from tests.brokers.real import RealKafka
from tests.kafka.desk import desk

POLLS, READS, COMMITS = ("poll",), ("consume",), ("commit",)
WATCHED = (
    *(*POLLS, *READS, *COMMITS, "pause", "resume", "seek", "committed", "offsets_for_times", "close"),
    *("list_topics", "incremental_assign", "incremental_unassign", "position", "assignment", "subscribe"),
)


class Called(NamedTuple):
    """One call of a method of a consumer."""

    method: str
    thread: str
    given: tuple[Any, ...]
    named: dict[str, Any]


def _spying(calls: list[Called]) -> type:
    def spy(method: str) -> Any:
        def called(self: Consumer, *given: Any, **named: Any) -> Any:
            calls.append(Called(method, threading.current_thread().name, given, named))
            return getattr(Consumer, method)(self, *given, **named)

        return called

    return type("Spied", (Consumer,), {method: spy(method) for method in WATCHED})


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_one_thread_owns_the_consumer_and_never_waits(
    kafka: RealKafka, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """Every call is the Kafka thread's, no poll waits over a quarter of a second, no commit is waited for."""
    calls: list[Called] = []
    monkeypatch.setattr("bridge.kafka.client.session.Consumer", _spying(calls))
    topic, letters = kafka.create_topic(kafka.unique("orders"), 2), kafka.create_topic(kafka.unique("dead"))
    group = kafka.unique("g")
    kafka.produce(topic, [b"%d" % number for number in range(200)])
    with desk(kafka.bootstrap, [topic], group, dead_letter_topic=letters, group_protocol=protocol) as side:
        side.until(lambda: len(side.finished) == 200, what="the records")
        side.dead_letter(1, side.records[0])
        side.until(lambda: 1 in side.written, what="the dead letter")
        side.room.open = False
        kafka.produce(topic, [b"late"] * 10)
        side.until(lambda: side.kafka.counters.pauses > 0, what="a pause")
        side.room.open = True
        side.until(lambda: len(side.finished) == 210, what="the late records")
    by = {method: [call for call in calls if call.method == method] for method in {call.method for call in calls}}
    assert {call.thread for call in calls} == {"kafka"}
    assert max(call.given[0] for call in by["poll"]) <= 0.25
    assert {call.given[1] for call in by["consume"]} == {0.0}
    assert all(call.named.get("asynchronous") is True for call in by["commit"])
    named = [part for call in by["commit"] for part in call.named["offsets"]]
    assert named
    assert all(part.metadata for part in named), "a commit without the note would look like somebody else's"
    assert {part.leader_epoch for part in named if part.offset} == {0}
    assert len(by["close"]) == 1
