"""Whom `check --live` asks for the brokers' limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.kafka.tools.preflight import broker_to_ask


@pytest.mark.parametrize(
    ("answered", "brokers", "asked"),
    [(2, {1: "a:9092", 2: "b:9092"}, 2), (-1, {3: "c:9092", 2: "b:9092"}, 2), (-1, {}, -1)],
    ids=["who answered", "by the bootstrap connection", "no broker is known"],
)
def test_a_broker_that_the_cluster_names_is_asked(answered: int, brokers: dict[int, str], asked: int) -> None:
    """The broker −1, which librdkafka gives for a bootstrap connection, has no limits to tell: another is asked."""
    cluster = SimpleNamespace(orig_broker_id=answered, brokers=brokers)
    assert broker_to_ask(cast("Any", cluster)) == asked
