from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from bridge.flow import Judged, Reply, Verdict
from bridge.suprsend.answers import AnswerRule, AnswerRuleError, answer_table, make_judge
from bridge.suprsend.shapes import SHAPES

JUDGE = make_judge()
OK = {"status": "success", "message_id": "m", "status_code": 202}
V = Verdict


def reply(status: int, body: object = b"", **more: Any) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    whole = Reply(status, None, None, data, applied=True, seconds=0.1)
    return whole._replace(**more)


def bulk(*records: object, status: int = 207) -> Reply:
    return reply(status, {"status": "success", "records": list(records)})


def error(type_: str | None = None, message: str | None = None, code: object = None) -> dict[str, object]:
    held: dict[str, object] = {"status": "error"}
    if code is not None:
        held["status_code"] = code
    said = {name: value for name, value in (("type", type_), ("message", message)) if value is not None}
    return held | ({"error": said} if said else {})


def items(judged: Judged, n: int) -> list[Verdict]:
    return [judged.whole] * n if judged.items is None else list(judged.items)


@pytest.mark.parametrize("status", [200, 202, 207])
def test_all_accepted(status: int) -> None:
    """A 2xx with exactly one success per event accepts the call as a whole."""
    judged = JUDGE(bulk(*[OK] * 100, status=status), 100)
    assert (judged.whole, judged.items, judged.code) == (V.ACCEPTED, None, str(status))


def test_each_record_is_decided_for_itself() -> None:
    """In a mixed answer whose top says success, every record has its own verdict, code and message, in order."""
    judged = JUDGE(
        bulk(
            OK,
            error("not_found", "user [distinct_id: 'x'] not found", 404),
            {**OK, "status_code": "202"},
            error("internal_error", "oops", 500),
            error(None, "slow down", "429"),
            error(None, "too big", 413),
            error(None, "db_error x: i/o timeout", 400),
            "nonsense",
        ),
        8,
    )
    assert judged.items is not None
    assert judged.details is not None
    assert list(judged.items) == [
        V.ACCEPTED, V.INVALID, V.ACCEPTED, V.TRANSIENT, V.THROTTLED, V.TOO_LARGE, V.TRANSIENT, V.UNKNOWN,
    ]  # fmt: skip
    assert judged.details[1] == ("404", "not_found: user [distinct_id: 'x'] not found")
    assert (judged.whole, judged.splittable) == (V.ACCEPTED, False)
    assert judged.message == "6 of 8 events were not accepted"


@pytest.mark.parametrize(
    ("record", "verdict"),
    [
        ({"status": "success", "message_id": "m"}, V.UNKNOWN),
        ({"status": "success", "status_code": 404}, V.UNKNOWN),
        ({"status": "success", "status_code": "2020"}, V.UNKNOWN),
        ({"status": "success", "status_code": True}, V.UNKNOWN),
        ({"status": "success", "status_code": 10**40}, V.UNKNOWN),
        ({"status": "success", "status_code": 202, "error": {"message": "x"}}, V.UNKNOWN),
        ({"status": "Success", "status_code": 202}, V.UNKNOWN),
        ({"status": ["success"], "status_code": 202}, V.UNKNOWN),
        ({"status_code": 202}, V.UNKNOWN),
        ({}, V.UNKNOWN),
        (None, V.UNKNOWN),
        ([], V.UNKNOWN),
        (error("x", "y", 202), V.UNKNOWN),
        (error("x", "y", 302), V.UNKNOWN),
        (error(None, None, 400), V.UNKNOWN),
        (error(None, None, 503), V.TRANSIENT),
        (error("not_found", "gone"), V.INVALID),
        (error(None, "tenant/brand doesn't exist with id: x"), V.INVALID),
        (error(None, "redis eval error: EOF"), V.TRANSIENT),
        (error(None, "datacache failure during GET"), V.TRANSIENT),
        (error(None, "(root): missing required property 'x'", 400), V.INVALID),
        (error("odd", "odd"), V.UNKNOWN),
        ({"status": "fail", "message": "bad", "status_code": 422}, V.INVALID),
        ({"status": "error", "error": "bad", "status_code": 422}, V.INVALID),
        (error("x", "y", 401), V.SETUP),
        (error("x", "y", 408), V.TRANSIENT),
    ],
)
def test_one_record(record: object, verdict: Verdict) -> None:
    """One record means what the table says; what is not as documented is unknown.

    Beside one that was accepted, what would be the set-up's fault is its own.
    """
    assert items(JUDGE(bulk(record), 1), 1) == [verdict]
    beside = V.TRANSIENT if verdict is V.SETUP else verdict
    assert items(JUDGE(bulk(OK, record), 2), 2) == [V.ACCEPTED, beside]


SAID = {"status": "error", "error": {"type": "x", "message": "y"}}
FAILED = {"status": "fail", "message": "y"}
HTML = b"<html><body>Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("answer", "verdict", "splittable"),
    [
        (reply(202, b"OK"), V.ACCEPTED, False),
        (reply(202, b'"OK"\n'), V.ACCEPTED, False),
        (reply(200, b"OK"), V.UNKNOWN, False),
        (reply(200, HTML), V.UNKNOWN, False),
        (reply(204), V.UNKNOWN, False),
        (reply(200, {"status": "success", "message_id": "m"}), V.UNKNOWN, False),
        (reply(200, {"message": "accepted"}), V.UNKNOWN, False),
        (reply(200, SAID), V.UNKNOWN, False),
        (bulk(OK), V.UNKNOWN, False),
        (bulk(OK, OK, OK), V.UNKNOWN, False),
        (bulk(), V.UNKNOWN, False),
        (reply(207, {"status": "success", "records": {"0": OK, "1": OK}}), V.UNKNOWN, False),
        (reply(400, SAID), V.INVALID, True),
        (reply(422, FAILED), V.INVALID, True),
        (reply(413, SAID), V.TOO_LARGE, True),
        (reply(400, HTML), V.SETUP, False),
        (reply(413, HTML), V.OVERSIZED, True),
        (reply(413, {"message": "Request Too Long"}), V.OVERSIZED, True),
        (reply(413, b"", error="reset"), V.OVERSIZED, True),
        (reply(422, {"message": "y"}), V.SETUP, False),
        (reply(400, b""), V.SETUP, False),
        (reply(401, SAID), V.SETUP, False),
        (reply(403, HTML), V.SETUP, False),
        (reply(404, FAILED), V.SETUP, False),
        (reply(405), V.SETUP, False),
        (reply(301), V.SETUP, False),
        (reply(408, SAID), V.TRANSIENT, False),
        (reply(425, HTML), V.TRANSIENT, False),
        (reply(429, SAID), V.THROTTLED, False),
        (reply(500, SAID), V.TRANSIENT, False),
        (reply(503, HTML), V.TRANSIENT, False),
        (reply(503, {"status": "success", "records": [OK, OK]}), V.TRANSIENT, False),
        (reply(400, {"status": "success", "records": [OK, OK]}), V.SETUP, False),
        (reply(400, {"status": "error", "error": {"message": "db_error sql: database is closed"}}), V.TRANSIENT, False),
        (reply(400, {"status": "error", "error": {"message": "workspace key inactive"}}), V.SETUP, False),
        (reply(700), V.UNKNOWN, False),
        (reply(0, error="timeout"), V.TRANSIENT, False),
        (reply(0, error="connect", applied=False), V.TRANSIENT, False),
        (reply(0, error="reset"), V.TRANSIENT, False),
        (reply(0, error="dns", applied=False), V.SETUP, False),
        (reply(0, error="tls", applied=False), V.SETUP, False),
        (reply(0, error="proxy", applied=False), V.SETUP, False),
        (reply(0, error="protocol"), V.UNKNOWN, False),
        (reply(0, error="never heard of"), V.UNKNOWN, False),
        (reply(0), V.UNKNOWN, False),
        (reply(202, b"OK", error="reset"), V.UNKNOWN, False),
        (reply(207, {"status": "success", "records": [OK, OK]}, error="reset"), V.UNKNOWN, False),
        (reply(400, SAID, error="timeout"), V.SETUP, False),
        (reply(503, b"<", error="reset"), V.TRANSIENT, False),
        (reply(401, b"<", error="answer_too_large"), V.SETUP, False),
    ],
)
def test_whole_call(answer: Reply, verdict: Verdict, splittable: bool) -> None:
    """A whole call of two events means what the table says, and is split only when refused in SuprSend's words."""
    judged = JUDGE(answer, 2)
    assert (judged.whole, judged.items, judged.splittable) == (verdict, None, splittable)
    assert judged.message or verdict is V.ACCEPTED


def test_one_event_alone() -> None:
    """The answer of the single end point accepts one event; a refusal of one event cannot be split further."""
    assert JUDGE(reply(202, {"status": "success", "message_id": "m"}), 1).whole is V.ACCEPTED
    assert JUDGE(reply(202, {"status": "success", "message_id": ""}), 1).whole is V.UNKNOWN
    refused = JUDGE(reply(400, SAID), 1)
    assert (refused.whole, refused.splittable, refused.code, refused.message) == (V.INVALID, False, "400", "x: y")


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"success","records":[{"status":"error","status_code":404,"status":"success","status_code":202}]}',
        b'{"records":[{"status":"success","status_code":404,"status_code":202}]}',
        b'{"records":[],"records":[{"status":"success","status_code":202}]}',
        b'{"records":[{"status":"fail","status":"success","status_code":202}]}',
        rb'{"records":[{"status":"fail","st\u0061tus":"success","status_code":202}]}',
        b'{"status":"success","status":"success","message_id":"m"}',
    ],
)
def test_a_key_twice_is_never_success(body: bytes) -> None:
    """JSON in which an object has a key twice says two things, so it accepts nothing."""
    assert items(JUDGE(reply(207, body), 1), 1) == [V.UNKNOWN]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"status":"success","records":' + b"[" * 900 + b"]" * 900 + b"}",
        b"9" * 60_000,
        b'{"status_code":' + b"9" * 60_000 + b"}",
        b"\xff\xfe\x00",
        b'"\\ud800"',
        b"NaN",
        b"\x1f\x8b" + b"\0" * 100,
        b"[]," * 2_000_000,
        b" " * 1_000_000,
    ],
)
@pytest.mark.parametrize("status", [0, 200, 207, 400, 503])
def test_hostile_bodies_are_no_success(body: bytes, status: int) -> None:
    """Deep, huge, broken and compressed bodies are classified like any other, and accept nothing."""
    for n in (0, 1, 100):
        assert V.ACCEPTED not in items(JUDGE(reply(status, body), n), n)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
codes = st.sampled_from([200, 202, "202", 302, 400, 404, 429, 500, "503", 0, -1, 2020, None, True, 202.5, "abc"])
near_records: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"status": st.sampled_from(["success", "error", "fail", "SUCCESS", "", None]) | json_values},
    optional={
        "status_code": codes | json_values,
        "message_id": json_values,
        "error": st.fixed_dictionaries({}, optional={"type": json_values, "message": json_values}) | json_values,
    },
)
near_bodies: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["success", "error", "fail"]) | json_values,
        "records": st.lists(near_records | st.just(OK) | json_values, max_size=5) | json_values,
        "error": json_values,
        "message": json_values,
        "message_id": json_values,
    },
)
statuses = st.sampled_from([0, 100, 200, 202, 204, 207, 299, 301, 400, 401, 404, 413, 422, 429, 500, 503, 999])
errors = st.sampled_from([None, None, None, "timeout", "reset", "dns", "answer_too_large", "?"])


def _really_accepted(answer: Reply, n: int) -> list[bool]:
    """An oracle by the letter of the contract, written apart from the judge."""
    none = [False] * n
    if answer.error is not None or not 200 <= answer.status <= 299:
        return none
    text = answer.body.strip()
    if text in (b"OK", b'"OK"'):
        return [answer.status == 202] * n
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return none
    if not isinstance(value, dict):
        return none
    records = value.get("records", [])
    if "records" not in value and n == 1 and value.get("status") == "success" and "error" not in value:
        return [isinstance(value.get("message_id"), str) and value["message_id"] != ""]
    if not isinstance(records, list) or len(records) != n:
        return none
    return [
        isinstance(record, dict)
        and record.get("status") == "success"
        and str(record.get("status_code")).removesuffix(".0") in {str(code) for code in range(200, 300)}
        and "error" not in record
        for record in records
    ]


@given(near_bodies | json_values, statuses, errors, st.integers(0, 5), st.binary(max_size=2))
@example({"status": "success", "records": [OK, OK]}, 207, None, 2, b"")
def test_no_false_success(body: Any, status: int, word: str | None, n: int, cut: bytes) -> None:
    """An event is accepted exactly when a well-formed answer of n records says so; the judge never raises."""
    data = json.dumps(body).encode()
    for answer in (reply(status, data, error=word), reply(status, data[: len(data) - len(cut)] + cut, error=word)):
        judged = JUDGE(answer, n)
        found = items(judged, n)
        assert len(found) == n
        assert [verdict is V.ACCEPTED for verdict in found] == _really_accepted(answer, n)
        assert judged.details is None or len(judged.details) == n
        assert judged.items is None or not judged.splittable


@given(st.binary(max_size=300), statuses, errors, st.integers(0, 3))
def test_any_bytes_are_judged(body: bytes, status: int, word: str | None, n: int) -> None:
    """Any bytes under any status give a verdict, and no success but the documented ones."""
    answer = reply(status, body, error=word)
    found = items(JUDGE(answer, n), n)
    assert [verdict is V.ACCEPTED for verdict in found] == _really_accepted(answer, n)


@given(st.data())
def test_a_changed_byte_never_accepts_more(data: st.DataObject) -> None:
    """Changing a byte of a mixed answer never turns a failed event into an accepted one unless it reads so."""
    records = [OK, error("not_found", "x", 404), {**OK, "status_code": "202"}]
    body = bytearray(json.dumps({"status": "success", "records": records}).encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    answer = reply(207, bytes(body))
    accepted = [verdict is V.ACCEPTED for verdict in items(JUDGE(answer, 3), 3)]
    assert all(truly or not found for found, truly in zip(accepted, _really_accepted(answer, 3), strict=True))


USUAL = (
    b'{"status":"success","message_id":"01-ab","status_code":202}',
    b'{"status":"success","status_code":202,"message_id":"}],{:202"}',
)


@given(st.lists(st.sampled_from(USUAL), min_size=1, max_size=4), st.integers(0, 5), st.data())
def test_the_usual_answer_accepts_what_it_says_and_no_more(records: list[bytes], n: int, data: st.DataObject) -> None:
    """An answer as the API writes it accepts as many events as it has records; a changed byte accepts no more."""
    body = bytearray(b'{"status":"success","records":[%b]}' % b",".join(records))
    assert items(JUDGE(reply(207, bytes(body)), len(records)), len(records)) == [V.ACCEPTED] * len(records)
    wrong = n if n != len(records) else n + 1
    assert V.ACCEPTED not in items(JUDGE(reply(207, bytes(body)), wrong), wrong)
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    answer = reply(207, bytes(body))
    accepted = [verdict is V.ACCEPTED for verdict in items(JUDGE(answer, len(records)), len(records))]
    assert all(
        truly or not found for found, truly in zip(accepted, _really_accepted(answer, len(records)), strict=True)
    )


def test_rules_of_settings_come_first() -> None:
    """A row of settings decides before the built-in table: for calls, for records, by shape and by message."""
    judge = make_judge(
        [
            AnswerRule(V.INVALID, status=404, message="tenant .* not found"),
            AnswerRule(V.ACCEPTED, status="2xx", shape="message"),
            AnswerRule(V.TRANSIENT, type="odd"),
        ]
    )
    told = {"status": "error", "error": {"type": "x", "message": "Tenant acme not found"}}
    assert judge(reply(404, told), 2)[0:1] + judge(reply(404, told), 2)[5:6] == (V.INVALID, True)
    assert judge(reply(404, {"status": "error", "error": {"type": "x", "message": "else"}}), 2).whole is V.SETUP
    assert judge(reply(200, {"message": "accepted"}), 2).whole is V.ACCEPTED
    assert items(judge(bulk(OK, error("odd", "y", 400)), 2), 2) == [V.ACCEPTED, V.TRANSIENT]
    assert judge(bulk(OK), 2).whole is V.UNKNOWN


def test_no_rule_makes_a_cut_answer_whole() -> None:
    """An answer that was cut is never accepted or refused, even where a row of settings goes by the status alone."""
    judge = make_judge([AnswerRule(V.ACCEPTED, status=200), AnswerRule(V.INVALID, status=404)])
    assert judge(reply(200, b"x"), 2).whole is V.ACCEPTED
    assert judge(reply(200, b"x", error="reset"), 2).whole is V.UNKNOWN
    assert judge(reply(404, b"x", error="timeout"), 2).whole is V.UNKNOWN


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "needs a status"),
        ({"status": 99}, "100 to 599"),
        ({"status": "4x"}, "such as 4xx"),
        ({"status": True}, "100 to 599"),
        ({"message": "("}, "RE2"),
        ({"message": "(?=x)"}, "RE2"),
        ({"message": ""}, "not empty"),
        ({"message": "x" * 501}, "501 characters"),
        ({"type": ""}, "type must be"),
        ({"shape": "records"}, "record by record"),
        ({"shape": "records_wrong_count"}, "record by record"),
        ({"shape": "jason"}, "shape must be one of"),
        ({"status": 404, "verdict": "fine"}, "verdict must be one of"),
    ],
)
def test_impossible_rules_are_refused(arguments: dict[str, Any], says: str) -> None:
    """A row that cannot be meant is refused when settings load, with what to write instead."""
    with pytest.raises(AnswerRuleError, match=says):
        AnswerRule(**{"verdict": V.INVALID} | arguments)


def test_a_hostile_message_costs_little() -> None:
    """A pattern that would take other engines for ever is linear here: the test's time-out would catch it."""
    judge = make_judge([AnswerRule(V.INVALID, message="(a+)+$")])
    assert judge(reply(400, {"status": "error", "error": {"message": "a" * 60_000 + "b"}}), 2).whole is V.INVALID


def test_the_table_can_be_printed() -> None:
    """The table for the documentation names a verdict and a reason in each row, and only known shapes."""
    table = answer_table()
    assert len(table) > 20
    assert {row.verdict for row in table} == set(V)
    assert all(row.why and row.of in ("call", "record", "both") for row in table)
    assert {row.shape for row in table} - {""} <= set(SHAPES)
