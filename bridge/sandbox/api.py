"""The event API itself: a call in, an answer out, and what was accepted remembered.

What SuprSend does not document (contract §5, §6), decided here: a repeat inside 24 hours is answered like the first
time, with the same `message_id`; the window runs from the acceptance, a repeat does not prolong it; keys count per
workspace, over all three paths; white space at the ends of a key is trimmed; a refused event does not use up its key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from bridge.sandbox import answers
from bridge.sandbox.answers import ApiAnswer, CallCounts, Refusal
from bridge.sandbox.call import ApiCall, ApiPath
from bridge.sandbox.checks import INVALID, LONG_ID, RESERVED, TOO_LARGE, check_full, check_short, invalid
from bridge.sandbox.memory import Clock, Kept, KeyBook, Memory, Taken
from bridge.sandbox.workspaces import Caller, Workspace, Workspaces
from bridge.suprsend.limits import DEFAULT_EVENT_BYTES, MAX_BATCH_EVENTS, MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What the sandbox enforces on sizes.

    One event is at most 102,400 bytes, the documented figure. The SDKs would let 819,200 pass and the true limit is
    unknown (contract §4), so the stricter one is the default: what passes here passes there.
    """

    event_bytes: int = DEFAULT_EVENT_BYTES
    body_bytes: int = MAX_BODY_BYTES
    events: int = MAX_BATCH_EVENTS


class Rejection(Protocol):
    """A fault that refuses chosen events of a call which is otherwise answered truly."""

    @property
    def apply(self) -> bool:
        """Whether a refused event is accepted all the same, behind the client's back."""

    @property
    def whole(self) -> bool:
        """Whether one chosen event makes the whole call be refused."""

    @property
    def refusal(self) -> Refusal: ...
    def chooses(self, event: object) -> bool: ...


_USED: Final = Refusal(409, "duplicate_request", "a request with this idempotency key was processed already")
_NO_TENANT: Final = Refusal(404, "not_found", "tenant/brand doesn't exist")
_FREED: Final[Mapping[Refusal | None, str]] = {RESERVED: "properties-free", LONG_ID: "ids-free"}
"""Refusals that are not made where a variant says so."""

_Check = Callable[[object, int, str, int], Refusal | None]
_CHECKS: Final[dict[ApiPath, _Check]] = {
    ApiPath.BULK: check_full,
    ApiPath.SINGLE: check_full,
    ApiPath.V1: check_short,
}


class _Checked(NamedTuple):
    """Per event a refusal or None; `secretly` are refused events that are taken all the same (a fault's wish)."""

    refusals: list[Refusal | None]
    secretly: frozenset[int]
    whole: Refusal | None
    """The refusal of the whole call."""


class Api:
    """One thread; nothing here waits."""

    def __init__(
        self,
        limits: SandboxLimits,
        workspaces: Workspaces,
        memory: Memory,
        clock: Clock,
        variants: frozenset[str] = frozenset(),
    ) -> None:
        self._limits = limits
        self._variants = variants
        self._workspaces = workspaces
        self._memory = memory
        self._clock = clock

    def answer(self, call: ApiCall, rejections: Sequence[Rejection] = (), *, apply: bool = True) -> ApiAnswer:
        """What SuprSend would say; with `apply` false the same words, but nothing is taken or noted."""
        count = len(call.pieces())
        caller = self._workspaces.authenticate(call)
        if isinstance(caller, Refusal):
            return answers.refused(caller, CallCounts(received=count, not_applied=count))
        whole = self._refuse_whole(call)
        if whole is not None:
            judged = _Checked([whole] * count, frozenset(), whole)
        else:
            judged = self._judge(call, caller, rejections)
        if not apply:
            return _pretend(call, judged)
        return self._take(call, caller.workspace, judged)

    def _refuse_whole(self, call: ApiCall) -> Refusal | None:
        """What is wrong with the call as such, before its events are looked at."""
        size = len(call.body)
        if size > self._limits.body_bytes:
            return Refusal(413, TOO_LARGE, f"request body is {size} bytes, must not be over {self._limits.body_bytes}")
        if not call.body.strip():
            return invalid("Request body must not be empty")
        if call.error is not None:
            return Refusal(400, INVALID, "BAD REQUEST: request body is not valid JSON")
        if call.endpoint is ApiPath.SINGLE and call.array:
            return invalid("Request body must only contain a single JSON object")
        if call.endpoint is ApiPath.BULK and not call.array:
            return invalid("Request body must be a JSON array of events")
        if not call.pieces():
            return invalid("Request body must not be empty")
        if len(call.pieces()) > self._limits.events:
            return Refusal(413, TOO_LARGE, f"{len(call.pieces())} events, at most {self._limits.events} per call")
        return None

    def _judge(self, call: ApiCall, caller: Caller, rejections: Sequence[Rejection]) -> _Checked:
        check, env, most = _CHECKS[call.endpoint], caller.env, self._limits.event_bytes
        if "short-body" in self._variants:
            check = check_short
        refusals = [check(event, len(raw), env, most) for raw, event in call.pieces()]
        if self._variants:
            refusals = [
                self._varied(event, refusal) for (_, event), refusal in zip(call.pieces(), refusals, strict=True)
            ]
        alone = call.endpoint is not ApiPath.BULK or "bulk-refused-whole" in self._variants
        own = next(filter(None, refusals), None) if alone else None
        if own is not None:
            return _Checked([own] * len(refusals), frozenset(), own)
        secretly: set[int] = set()
        for rejection in rejections:
            chosen = [at for at, (_, event) in enumerate(call.pieces()) if rejection.chooses(event)]
            chosen = [at for at in chosen if refusals[at] is None]
            if chosen and (rejection.whole or call.endpoint is not ApiPath.BULK):
                return _refuse_all(refusals, rejection)
            for at in chosen:
                refusals[at] = rejection.refusal
            secretly.update(chosen if rejection.apply else ())
        return _Checked(refusals, frozenset(secretly), None)

    def _varied(self, event: object, refusal: Refusal | None) -> Refusal | None:
        """What an event is refused for where another way was chosen."""
        if _FREED.get(refusal) in self._variants:
            return None
        if refusal is not None or not isinstance(event, dict):
            return refusal
        return _NO_TENANT if "no-tenants" in self._variants and event.get("tenant_id") else None

    def _take(self, call: ApiCall, workspace: Workspace, judged: _Checked) -> ApiAnswer:
        """Remember what is taken, and answer."""
        memory = self._memory
        pieces = call.pieces()
        now, book = self._clock.now_ms(), memory.book(workspace.key)
        number = memory.next_numbers(len(pieces))
        kept: list[Kept] = []
        records: list[bytes] = []
        for (raw, event), refusal in zip(pieces, judged.refusals, strict=True):
            if refusal is not None:
                records.append(answers.record_refused(refusal))
                if len(records) - 1 not in judged.secretly:
                    memory.refuse(event, refusal)
                    self._use_up(book, event, raw, now)
                    continue
            assert isinstance(event, dict)
            key, taken, row = _key(event), Taken.NEW, number
            if key is not None:
                taken, row = book.take(key.encode(), raw, now)
            kept.append(Kept(number, taken, key, event["event"], event["distinct_id"], workspace.key, now, raw))
            number += 1
            if refusal is None:
                records.append(self._taken(taken, b"sandbox-%x" % row if key else b"sandbox-n%x" % row))
        memory.keep(kept)
        return _worded(call, judged.whole, records, _counts(len(pieces), kept))

    def _taken(self, taken: Taken, message_id: bytes) -> bytes:
        if taken > Taken.AGAIN and "duplicate-error" in self._variants:
            return answers.record_refused(_USED)
        return answers.record_taken(message_id)

    def _use_up(self, book: KeyBook, event: object, raw: bytes, now: int) -> None:
        key = _key(event) if isinstance(event, dict) and "refusal-uses-key" in self._variants else None
        if key is not None:
            book.take(key.encode(), raw, now)


def _refuse_all(refusals: list[Refusal | None], rejection: Rejection) -> _Checked:
    fine = frozenset(at for at, refusal in enumerate(refusals) if refusal is None)
    refused: list[Refusal | None] = [refusal or rejection.refusal for refusal in refusals]
    return _Checked(refused, fine if rejection.apply else frozenset(), rejection.refusal)


def _pretend(call: ApiCall, judged: _Checked) -> ApiAnswer:
    """The same answer in form, with nothing behind it."""
    records = [
        answers.record_taken(b"sandbox-not-applied") if refusal is None else answers.record_refused(refusal)
        for refusal in judged.refusals
    ]
    count = len(records)
    return _worded(call, judged.whole, records, CallCounts(received=count, not_applied=count))


def _worded(call: ApiCall, whole: Refusal | None, records: list[bytes], counts: CallCounts) -> ApiAnswer:
    if whole is not None:
        return answers.refused(whole, counts)
    if call.endpoint is ApiPath.BULK:
        return answers.bulk(records, counts, call.pieces())
    if call.endpoint is ApiPath.V1:
        return answers.plain_ok(counts)
    return answers.refused(_USED, counts) if b'"error"' in records[0] else answers.single(records[0], counts)


def _counts(received: int, kept: list[Kept]) -> CallCounts:
    accepted = sum(event.taken <= Taken.AGAIN for event in kept)
    return CallCounts(received, accepted, len(kept) - accepted, received - len(kept))


def _key(event: dict[str, object]) -> str | None:
    key = event.get("$idempotency_key")
    return key.strip() or None if isinstance(key, str) else None


VARIANTS: Final = {
    "duplicate-error": "a key that was used is answered with an error entry (409)",
    "bulk-refused-whole": "one bad event refuses the whole bulk call (400)",
    "refusal-uses-key": "a refused event uses up its key",
    "ids-free": "a distinct_id of more than 255 characters is taken",
    "no-tenants": "an event with a tenant_id is refused: no tenant is known (404)",
    "properties-free": "property keys may begin with $ and ss_",
    "short-body": "the v2 addresses take the short body of the REST reference, too",
}
"""Names, for `--variants`, and what is another way with each."""


def unknown_variants(names: frozenset[str]) -> list[str]:
    """Those that are no variants."""
    return sorted(names - VARIANTS.keys())
