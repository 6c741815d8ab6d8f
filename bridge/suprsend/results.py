"""What a client reports, in the shapes of the official SDKs (contract §5c)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, TypedDict, cast

from bridge.jsontext import loads
from bridge.suprsend.sending import Result


class TrackResult(TypedDict):
    """What became of one event; `message` is SuprSend's message id, or what was wrong."""

    success: bool
    status: Literal["success", "fail"]
    status_code: int
    message: str


class FailedRecord(TypedDict):
    """An event that was not accepted, as it was sent."""

    record: dict[str, object]
    error: str
    code: int


class BulkResult(TypedDict):
    """What became of many events; `failed_records` in the order in which they were appended."""

    status: Literal["success", "fail", "partial"]
    total: int
    success: int
    failure: int
    failed_records: list[FailedRecord]
    warnings: list[str]


class Sent(NamedTuple):
    """One event's bytes and what became of them."""

    body: bytes
    result: Result


def track_result(result: Result) -> TrackResult:
    """Report one event."""
    return {
        "success": result.accepted,
        "status": "success" if result.accepted else "fail",
        "status_code": result.status_code,
        "message": result.message,
    }


def bulk_result(sent: Iterable[Sent]) -> BulkResult:
    """Report many events; none at all is a success, as in the SDKs."""
    total = 0
    failed: list[FailedRecord] = []
    for body, result in sent:
        total += 1
        if not result.accepted:
            record = cast("dict[str, object]", loads(body))
            failed.append({"record": record, "error": result.message, "code": result.status_code})
    return {
        "status": "success" if not failed else "fail" if len(failed) == total else "partial",
        "total": total,
        "success": total - len(failed),
        "failure": len(failed),
        "failed_records": failed,
        "warnings": [],
    }
