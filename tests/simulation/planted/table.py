"""The table of planted bugs, and what is needed to plant them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from bridge.flow import Judged, Reply, Verdict
from tests.simulation import member

Plant = Callable[[], AbstractContextManager[Any]]
PLANTED: dict[str, Plant] = {}

ACCEPTED = Judged(Verdict.ACCEPTED, None, None, "207", "", False)


def planted(bug: Plant) -> Plant:
    """Put a bug into the table under its name."""
    PLANTED[bug.__name__] = bug
    return bug


def instead(owner: Any, name: str, new: Any) -> AbstractContextManager[Any]:
    return patch.object(owner, name, new)


def judging(new: Callable[[Reply, int, Judged], Judged]) -> AbstractContextManager[Any]:
    """Another word on some answers."""
    right = member.JUDGE
    return instead(member, "JUDGE", lambda reply, n, keys=tuple: new(reply, n, right(reply, n, keys)))
