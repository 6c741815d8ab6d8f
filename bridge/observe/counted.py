"""What the rooms count. They count in classes of their own; here is the one place that names these classes.

A counter has its home where it is counted. The snapshot holds a copy of all counters of a room, made whole, so nothing
stands between a counter and the row of `bridge.observe.metrics` that shows it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace
from typing import Any, TypeVar

from bridge.delivery.finish import Buckets, DeliveryCounters, TopicCounters
from bridge.kafka.client.counters import KafkaCounters, OpenTransaction

__all__ = ["Buckets", "DeliveryCounters", "KafkaCounters", "OpenTransaction", "TopicCounters", "copied"]

Counted = TypeVar("Counted", DeliveryCounters, KafkaCounters, TopicCounters)


def copied(counters: Counted) -> Counted:
    """The counters of this moment, which nobody raises any more.

    Called by the delivery thread. Another thread may be counting: each mapping is copied in one step before it is read.
    """
    values: dict[str, Any] = {each.name: _copied(getattr(counters, each.name)) for each in fields(counters)}
    return replace(counters, **values)


def _copied(value: object) -> object:
    if isinstance(value, dict):
        found = value.copy()
        found.update({key: copied(inner) for key, inner in found.items() if isinstance(inner, TopicCounters)})
        return found
    return deepcopy(value) if isinstance(value, Buckets) else value
