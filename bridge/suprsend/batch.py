"""Bulk calls: which events share one, and the body that is really sent (contract §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from bridge.suprsend.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES

BRACKETS: Final = 2
COMMA: Final = 1


class Bounds(NamedTuple):
    """The most that one bulk call holds; `max_bytes` counts the whole body, brackets and commas included."""

    max_events: int = MAX_BATCH_EVENTS
    max_bytes: int = MAX_BODY_BYTES


def batches(bodies: Iterable[bytes], bounds: Bounds = Bounds()) -> Iterator[list[bytes]]:  # noqa: B008 (immutable)
    """Cut events into batches within bounds, in their order, each as full as the order allows.

    An event too large for any batch travels alone: whether to send it was decided before.
    """
    batch: list[bytes] = []
    size = BRACKETS
    for body in bodies:
        more = len(body) + (COMMA if batch else 0)
        if batch and (len(batch) >= bounds.max_events or size + more > bounds.max_bytes):
            yield batch
            batch, size, more = [], BRACKETS, len(body)
        batch.append(body)
        size += more
    if batch:
        yield batch


def join(bodies: Iterable[bytes]) -> bytes:
    """The body of one bulk call: a JSON array of the events' bytes as they are."""
    return b"[" + b",".join(bodies) + b"]"
