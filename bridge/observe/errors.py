"""The last errors, as `/status` and the page show them: what was logged as a warning or worse, by kind. No payload."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from bridge.observe.snapshot import ErrorView

MOST = 50
TEXT_CHARACTERS = 400
GOOD_NEWS = frozenset({"stall_over", "left_out", "payload"})
"""Warnings that tell of no error."""
WHICH = ("rule", "code", "reason", "kind", "name", "setting", "result")
"""Facts that tell two errors of one event apart."""
TEXTS = ("message", "detail", "findings", "refused", "fatal", "why", "exception")
"""Facts that say what is wrong, the first that is there."""


class LastErrors:
    """One entry for each kind of error, the newest first, with how often it came. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], ErrorView] = OrderedDict()

    def note(self, at: float, facts: Mapping[str, Any]) -> None:
        """Take in one line of the log; `at` is in seconds since 1970."""
        event = str(facts.get("event", ""))
        if event in GOOD_NEWS:
            return
        which = [str(facts[name]) for name in WHICH if facts.get(name) not in (None, "")]
        key = (event, *which)
        with self._lock:
            before = self._seen.pop(key, None)
            times = before.times + 1 if before is not None else 1
            self._seen[key] = ErrorView(at, event, _place(facts), _message(facts, which), times)
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)

    def views(self) -> tuple[ErrorView, ...]:
        """At most `MOST`, the newest first."""
        with self._lock:
            return tuple(reversed(self._seen.values()))


def _place(facts: Mapping[str, Any]) -> str:
    """The coordinates: those of a record, of a call's events, or of what is held."""
    parts = [str(facts[name]) for name in ("topic", "partition", "offset") if facts.get(name) is not None]
    if parts:
        return ":".join(parts)
    spans = facts.get("spans") or ()
    return ", ".join(spans[:3]) + (" …" if len(spans) > 3 else "") if spans else str(facts.get("scope", ""))


def _message(facts: Mapping[str, Any], which: list[str]) -> str:
    said = next((str(facts[name]) for name in TEXTS if facts.get(name)), "")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    text = ": ".join([*dict.fromkeys(which), *([" / ".join(lines)] if lines else [])])
    return text if len(text) <= TEXT_CHARACTERS else text[: TEXT_CHARACTERS - 1] + "…"
