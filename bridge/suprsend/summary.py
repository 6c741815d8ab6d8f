"""The bulk answer that SuprSend's page shows: counts, and the failed events by their own JSON (contract §5c). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ACCEPTED: Final = {"status": "success", "status_code": 202}


def in_order(value: object, keys: Sequence[str]) -> list[object] | None:
    """One result per sent event, in the order of their keys and in the shape of `records`; None where in doubt.

    Read only where `total` is what was sent, `success` and `failure` add up to it, as many are listed as failed, and
    each of those is exactly one sent event, by a key that no other has.
    """
    if not isinstance(value, dict) or not keys or not _agree(value, len(keys)):
        return None
    places = {key: place for place, key in enumerate(keys)}
    results: list[object] = [_ACCEPTED] * len(keys)
    for failed in value["failed_records"]:
        record = failed.get("record") if isinstance(failed, dict) else None
        key = record.get("$idempotency_key") if isinstance(record, dict) else None
        place = places.get(key) if isinstance(key, str) and keys.count(key) == 1 else None
        if place is None or results[place] is not _ACCEPTED:
            return None
        results[place] = {"status": "error", "status_code": failed.get("code"), "error": failed.get("error")}
    return results


def _agree(value: dict[str, object], sent: int) -> bool:
    total, success, failure = (value.get(name) for name in ("total", "success", "failure"))
    listed = value["failed_records"]
    if not all(type(count) is int and count >= 0 for count in (total, success, failure)):
        return False
    whole = {"success": True, "partial": failure != 0, "fail": success == 0}
    return (
        total == sent
        and isinstance(success, int)
        and isinstance(failure, int)
        and success + failure == total
        and isinstance(listed, list)
        and len(listed) == failure
        and whole.get(str(value.get("status")), False)
    )
