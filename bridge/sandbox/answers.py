"""What the sandbox answers, in the shapes of the contract (contract §5a)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bridge.jsontext import dumps

JSON = "application/json; charset=utf-8"


class Refusal(NamedTuple):
    """Why an event or a whole call is not taken.

    The status codes and types of refused events are not documented (contract §5b); these are the sandbox's choice.
    """

    status_code: int
    type: str
    message: str


class CallCounts(NamedTuple):
    """What became of the events of one call; `received` is the sum of the others.

    `not_applied` are those that nobody looked at: of a call that was not authenticated, or that a fault swallowed.
    """

    received: int = 0
    accepted: int = 0
    repeats: int = 0
    refused: int = 0
    not_applied: int = 0


NOTHING: Final = CallCounts()


class ApiAnswer(NamedTuple):
    """An HTTP answer, whole and well-formed, before a fault spoils it."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = {}
    counts: CallCounts = NOTHING
    pieces: Sequence[tuple[bytes, object]] = ()
    """The events that a bulk answer is about, as they came."""


def refused(refusal: Refusal, counts: CallCounts = NOTHING) -> ApiAnswer:
    """The whole call is refused: `{"status":"error","error":{…}}` and no `records`."""
    error = {"message": refusal.message, "type": refusal.type}
    return ApiAnswer(refusal.status_code, dumps({"status": "error", "error": error}), counts=counts)


def single(record: bytes, counts: CallCounts) -> ApiAnswer:
    """202 of `/v2/event/`, documented without the record's `status_code` (contract §5a)."""
    return ApiAnswer(202, record.replace(b',"status_code":202', b""), counts=counts)


def plain_ok(counts: CallCounts) -> ApiAnswer:
    """202 and the JSON string `"OK"` of `/event/`, as documented."""
    return ApiAnswer(202, b'"OK"', counts=counts)


def bulk(records: list[bytes], counts: CallCounts, pieces: Sequence[tuple[bytes, object]]) -> ApiAnswer:
    """207 of `/v2/bulk/event/`: `status` stays `success` whatever the records say (contract §5a)."""
    return ApiAnswer(207, b'{"status":"success","records":[' + b",".join(records) + b"]}", counts=counts, pieces=pieces)


def record_refused(refusal: Refusal) -> bytes:
    """One refused record of a bulk answer."""
    error = {"message": refusal.message, "type": refusal.type}
    return dumps({"status": "error", "status_code": refusal.status_code, "error": error})


def record_taken(message_id: bytes) -> bytes:
    """One accepted record of a bulk answer."""
    return b'{"status":"success","message_id":"%b","status_code":202}' % message_id
