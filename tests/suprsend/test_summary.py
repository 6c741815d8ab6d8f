from __future__ import annotations

from typing import Any

import pytest

from bridge.flow import Verdict
from tests.suprsend.test_answers import JUDGE, items, reply

V = Verdict
KEYS = ("a", "b", "c")


def failed(key: object, code: object = 404, error: object = "user not found") -> dict[str, Any]:
    return {"record": {"$idempotency_key": key, "event": "placed"}, "error": error, "code": code}


def summary(*listed: object, **more: object) -> dict[str, Any]:
    """The answer that SuprSend's page shows, to a call of three events."""
    failure = len(listed)
    status = "success" if not failure else "fail" if failure == len(KEYS) else "partial"
    held = {"status": status, "total": 3, "success": 3 - failure, "failure": failure, "failed_records": list(listed)}
    return {**held, "warnings": [], **more}


def verdicts(body: object, keys: tuple[str, ...] = KEYS) -> list[Verdict]:
    return items(JUDGE(reply(207, body), len(keys), lambda: keys), len(keys))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (summary(), [V.ACCEPTED] * 3),
        (summary(failed("b")), [V.ACCEPTED, V.INVALID, V.ACCEPTED]),
        (summary(failed("c", 500), failed("a", "422")), [V.INVALID, V.ACCEPTED, V.TRANSIENT]),
        (summary(failed("b", 400, "db_error i/o timeout")), [V.ACCEPTED, V.TRANSIENT, V.ACCEPTED]),
        (summary(failed("b", 404, None)), [V.ACCEPTED, V.UNKNOWN, V.ACCEPTED]),
        (summary(*map(failed, KEYS)), [V.INVALID] * 3),
        (summary(failed("b"), status="success"), [V.ACCEPTED, V.INVALID, V.ACCEPTED]),
    ],
)
def test_a_summary_that_agrees_is_read_event_by_event(body: object, expected: list[Verdict]) -> None:
    """What is not listed as failed was accepted; what is listed has its own verdict, found by its key."""
    assert verdicts(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        summary(total=4),
        summary(total=2, success=2),
        summary(failed("b"), success=3),
        summary(failed("b"), success=1),
        summary(failed("b"), failure=2, success=1),
        summary(failed("d")),
        summary(failed("b"), failed("b")),
        summary(failed(None)),
        summary(failed(["b"])),
        summary({"error": "x", "code": 400}),
        summary("b"),
        summary(None),
        summary(total=True, success=True),
        summary(total="3"),
        summary(success=4, failure=-1),
        summary(failed_records={}),
        summary(failed_records=None),
        summary(status="fail"),
        summary(status="partial"),
        summary(status="queued"),
        summary(failed("b"), status="fail"),
        {name: value for name, value in summary().items() if name != "total"},
    ],
)
def test_a_summary_that_does_not_agree_says_nothing(body: object) -> None:
    """Wrong counts, a foreign key, the same event twice: the whole call is unknown, and sent again."""
    judged = JUDGE(reply(207, body), 3, lambda: KEYS)
    assert (judged.whole, judged.items, judged.applied) == (V.UNKNOWN, None, True)


def test_a_key_that_two_events_have_tells_nobody_apart() -> None:
    """Two events of one key in a call: a failure by that key is nobody's, one by another key is."""
    assert verdicts(summary(failed("a")), ("a", "a", "c")) == [V.UNKNOWN] * 3
    assert verdicts(summary(failed("c")), ("a", "a", "c")) == [V.ACCEPTED, V.ACCEPTED, V.INVALID]


def test_keys_are_asked_for_only_where_they_are_needed() -> None:
    """Every other answer is judged without them; without them a summary says nothing."""

    def never() -> tuple[str, ...]:
        raise AssertionError

    ok = {"status": "success", "message_id": "m", "status_code": 202}
    assert JUDGE(reply(207, {"status": "success", "records": [ok] * 3}), 3, never).whole is V.ACCEPTED
    assert JUDGE(reply(400, summary()), 3, never).whole is V.SETUP
    assert JUDGE(reply(207, summary()), 3).whole is V.UNKNOWN
    assert JUDGE(reply(207, summary(), error="reset"), 3, never).whole is V.UNKNOWN
