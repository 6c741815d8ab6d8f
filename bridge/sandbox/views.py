"""What is remembered, as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from bridge.jsontext import dumps
from bridge.sandbox.clock import stamp
from bridge.sandbox.keybook import KeyFacts, Taken
from bridge.sandbox.memory import CallNote, Kept, Memory
from bridge.sandbox.workspaces import Workspace

FILTERS: Final = ("event", "distinct_id", "key", "workspace")
TAKEN: Final[dict[str, frozenset[Taken]]] = {
    "accepted": frozenset({Taken.NEW, Taken.AGAIN}),
    "repeats": frozenset({Taken.IDENTICAL, Taken.DIFFERENT}),
    "all": frozenset(Taken),
    **{taken.name.lower(): frozenset({taken}) for taken in Taken},
}


def stats(memory: Memory) -> dict[str, Any]:
    """All counters. `received` is the sum of accepted, both repeats, refused and not_applied."""
    new, again, identical, different = memory.taken
    refused = sum(memory.by_refusal.values())
    accepted = new + again
    return {
        "events": {
            "received": accepted + identical + different + refused + memory.not_applied,
            "accepted": accepted,
            "after_window": again,
            "repeats_identical": identical,
            "repeats_different": different,
            "refused": refused,
            "not_applied": memory.not_applied,
            "without_key": memory.without_key,
        },
        "keys": memory.keys(),
        "calls": {"total": sum(memory.by_call.values()), "by_path": _by_path(memory.by_call)},
        "by_event": dict(memory.by_event.most_common(1000)),
        "by_workspace": dict(memory.by_workspace),
        "by_refusal": {f"{status} {kind}": count for (status, kind), count in memory.by_refusal.most_common(100)},
        "by_fault": dict(memory.by_fault.most_common(1000)),
        "kept": len(memory.kept),
    }


def events(memory: Memory, wanted: Mapping[str, str], taken: str, *, after: int, limit: int, newest: bool) -> bytes:
    """Kept events with their exact bytes as `body`; `next` is what to pass as `after` for the page that follows.

    Oldest first; with `newest` the last ones, newest first, and no page follows.
    """
    kinds = TAKEN[taken]
    pool = reversed(memory.kept) if newest else memory.recent(after)
    fitting = (
        event
        for event in pool
        if event.taken in kinds and all(getattr(event, name) == value for name, value in wanted.items())
    )
    page = list(islice(fitting, limit))
    more = page[-1].number if len(page) == limit and not newest else None
    return b'{"events":[' + b",".join(map(_event, page)) + b'],"next":' + dumps(more) + b"}"


def one_key(memory: Memory, key: str) -> bytes | None:
    """What is known of a key in every workspace that has it, with the events that are still kept whole."""
    found = [(name, book.facts(key.encode())) for name, book in memory.books.items()]
    known = [_key(name, facts) for name, facts in found if facts is not None]
    kept = [_event(event) for event in memory.kept if event.key == key]
    if not known:
        return None
    return b'{"keys":' + dumps(known) + b',"events":[' + b",".join(kept) + b"]}"


def key_lines(memory: Memory, workspace: str | None, at_once: int) -> Iterator[bytes]:
    """Every key as one JSON line, oldest first, so many lines to a piece."""
    for name, book in list(memory.books.items()):
        if workspace is not None and name != workspace:
            continue
        lines = (dumps(_key(name, facts)) + b"\n" for facts in book.all())
        while chunk := b"".join(islice(lines, at_once)):
            yield chunk


def calls(memory: Memory, after: int, limit: int) -> list[dict[str, Any]]:
    """The last calls with a number beyond `after`, oldest first."""
    notes = [note for note in memory.calls if note.number > after]
    return [_call(note) for note in (notes[:limit] if after else notes[-limit:])]


def refusals(memory: Memory, limit: int) -> list[dict[str, Any]]:
    """The last events that were refused, newest first."""
    return [
        {
            "key": refused.key,
            "event": refused.event,
            "distinct_id": refused.distinct_id,
            "time": stamp(refused.at_ms),
            **refused.why._asdict(),
        }
        for refused in islice(reversed(memory.refusals), limit)
    ]


def workspace(known: Workspace) -> dict[str, Any]:
    """A workspace without its secrets."""
    return {"key": known.key, "uid": known.uid, "active": known.active}


def _by_path(counts: Counter[tuple[str, int]]) -> dict[str, dict[str, int]]:
    paths: dict[str, dict[str, int]] = {}
    for (path, status), count in sorted(counts.items()):
        paths.setdefault(path, {})[str(status) if status else "none"] = count
    return paths


def _event(event: Kept) -> bytes:
    about = {
        "number": event.number,
        "taken": event.taken.name.lower(),
        "key": event.key,
        "event": event.event,
        "distinct_id": event.distinct_id,
        "workspace": event.workspace,
        "time": stamp(event.at_ms),
    }
    return dumps(about)[:-1] + b',"body":' + event.body + b"}"


def _key(workspace_key: str, facts: KeyFacts) -> dict[str, Any]:
    return {
        "key": facts.key,
        "workspace": workspace_key,
        "count": facts.times,
        "accepted": facts.accepted,
        "identical": facts.identical,
        "different": facts.different,
        "first_ms": facts.first_ms,
        "last_ms": facts.last_ms,
        "digest": facts.digest,
        "bytes_differ": facts.bytes_differ,
    }


def _call(note: CallNote) -> dict[str, Any]:
    return {
        "number": note.number,
        "time": stamp(note.at_ms),
        "monotonic": round(note.monotonic, 6),
        "path": note.path,
        "status": note.status or None,
        "events": note.events,
        **note.tally._asdict(),
        "fault": note.fault,
    }
