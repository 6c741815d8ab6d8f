"""Changing the group protocol or the assignment of a running group, one process after the other, on a real Kafka."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.real import RealKafka
from tests.kafka.desk import desk
from tests.kafka.test_groups_real import PROTOCOLS, lag, make, numbered

ONLINE = [
    ("cooperative-sticky", "consumer"),
    ("range", "consumer"),
    ("consumer", "cooperative-sticky"),
]
"""From, to: what brokers of version 4 let two members of one group do at the same time."""


@pytest.mark.parametrize(("before", "after"), ONLINE, ids=["to".join(pair) for pair in ONLINE])
def test_members_of_two_protocols_work_side_by_side(kafka: RealKafka, before: str, after: str) -> None:
    """A rolling change of `group_protocol`: both kinds of member share the partitions, and nothing is read twice."""
    topic, group, more = make(kafka)
    kafka.produce(topic, numbered(0, 400))
    first = desk(kafka.bootstrap, [topic], group, **more, **PROTOCOLS[before])
    with first:
        first.until(lambda: len(first.finished) == 400, what="the first records")
        second = desk(kafka.bootstrap, [topic], group, **more, **PROTOCOLS[after])
        with second:
            second.until(lambda: len(second.parts) == 2 and len(first.parts) == 2, 60, what="a share for each")
            kafka.produce(topic, numbered(400, 800))
            second.until(lambda: len(first.finished) + len(second.finished) >= 800, what="the records of both")
            first.stop()
            second.until(lambda: len(second.parts) == 4, 60, what="all partitions")
            kafka.produce(topic, numbered(800, 1_000))
            second.until(lambda: len(first.finished) + len(second.finished) >= 1_000, what="the last records")
            second.until(lambda: lag(kafka, group, topic) == 0, what="lag 0")
    values = [int(record.value() or b"") for record in [*first.finished, *second.finished]]
    assert sorted(values) == list(range(1_000))


@pytest.mark.parametrize(("before", "after"), [("range", "cooperative-sticky"), ("cooperative-sticky", "range")])
def test_an_assignment_that_the_group_does_not_know_waits_until_the_others_have_left(
    kafka: RealKafka, before: str, after: str
) -> None:
    """From `range` to `cooperative-sticky` or back all members must stop first: a new one waits, says so, and then works."""
    topic, group, more = make(kafka)
    kafka.produce(topic, numbered(0, 100))
    first = desk(kafka.bootstrap, [topic], group, **more, **PROTOCOLS[before])
    with first:
        first.until(lambda: len(first.finished) == 100)
        second = desk(kafka.bootstrap, [topic], group, **more, **PROTOCOLS[after])
        with second:
            second.until(lambda: _kind(second) is not None, 30, what="the trouble")
            assert not second.kafka.state.joined
            assert len(first.parts) == 4
            kafka.produce(topic, numbered(100, 200))
            first.until(lambda: len(first.finished) == 200)
            first.stop()
            second.until(lambda: len(second.parts) == 4, 60, what="all partitions")
            kafka.produce(topic, numbered(200, 300))
            second.until(lambda: len(second.finished) == 100, what="the last records")
            second.until(lambda: _kind(second) is None, what="that it is well")


def _kind(side: Any) -> str | None:
    return side.kafka.state.kind  # type: ignore[no-any-return]
