from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.flow import Verdict
from bridge.suprsend.answer_rules import own_words
from bridge.suprsend.answers import AnswerRule, make_judge
from tests.suprsend.test_answers import JUDGE, OK, bulk, error, items, reply

V = Verdict
PAGE = Path(__file__).parents[2] / "docs" / "runbook.md"
PLACE = "…"


def _texts() -> list[tuple[str, Verdict]]:
    table = PAGE.read_text().partition("<!-- texts -->")[2].partition("<!-- /texts -->")[0]
    rows = re.findall(r"^\| `(.+?)` \| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    return [(text, Verdict(verdict)) for text, verdict, _ in rows]


TEXTS = _texts()
NAMES = (
    "acme",
    "O'Brien",
    "i/o timeout",
    "db_error i/o timeout",
    "workspace key inactive",
    "' workspace key inactive '",
    "x'] EOF",
    "[distinct_id: x] EOF",
    "x not found",
    "default tenant/brand doesn't exist",
    "tenant 'default' not found",
    "redis eval error: EOF",
    "datacache failure during GET",
    "db_integrity_violation duplicate key value",
    "a: String is too short (0 < 4).",
    "(root): missing required property 'x'",
    "' \" ` [ ] { } : id: ",
    '" db_error i/o timeout "',
    "`workspace key inactive`",
    "x" * 250,
)
"""What a record may call a user, a tenant or a property: each of them is somebody's text, and says nothing."""


def test_the_page_has_every_text() -> None:
    """The page lists the documented texts, each with a verdict and what to do."""
    assert len(TEXTS) == 27
    assert {verdict for _, verdict in TEXTS} == {V.INVALID, V.TRANSIENT, V.SETUP, V.DOUBTFUL}


@pytest.mark.parametrize(("text", "verdict"), TEXTS)
@pytest.mark.parametrize("status", [None, 400, 404])
def test_a_documented_text_means_what_the_page_says(text: str, verdict: Verdict, status: int | None) -> None:
    """Each text has the page's verdict whatever name stands in it, with and without a status code."""
    for name in NAMES if PLACE in text else ("",):
        said = text.replace(PLACE, name)
        assert items(JUDGE(bulk(error(None, said, status)), 1), 1) == [verdict], said


@pytest.mark.parametrize(("text", "verdict"), TEXTS)
def test_a_documented_text_refuses_a_whole_call(text: str, verdict: Verdict) -> None:
    """The same for a whole call that is refused with 400: what is invalid is split, what is not is not."""
    for name in NAMES if PLACE in text else ("",):
        judged = JUDGE(reply(400, error("x", text.replace(PLACE, name))), 2)
        assert (judged.whole, judged.splittable) == (verdict, verdict is V.INVALID)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_holds_everything(name: str) -> None:
    """One record's text holds nothing and makes nothing transient, wherever the API may quote it."""
    for text in (
        f"user [distinct_id: '{name}'] not found",
        f'user "{name}" not found',
        f"user `{name}` not found",
        f"property '{name}' is wrong",
        f"tenant '{name}x' not found",
        f"{name}: Must be one of the following.",
        f"tenant/brand doesn't exist with id: {name}",
    ):
        assert items(JUDGE(bulk(error("invalid", text, 422)), 1), 1) == [V.INVALID], text


def test_a_text_of_set_up_beside_accepted_events_is_their_own_affair() -> None:
    """What would hold everything is sent again where the same answer accepted others; alone it holds."""
    inactive = error(None, "workspace key inactive", 400)
    assert items(JUDGE(bulk(OK, inactive, error("x", "y", 403)), 3), 3) == [V.ACCEPTED, V.TRANSIENT, V.TRANSIENT]
    assert items(JUDGE(bulk(inactive, error("x", "bad", 422)), 2), 2) == [V.SETUP, V.INVALID]


def test_patterns_of_the_settings_see_quoted_parts_only_where_they_have_a_quote() -> None:
    """A row without a quote is not found in a name; one with a quote sees the text as it came."""
    judge = make_judge([AnswerRule(V.SETUP, message="quota"), AnswerRule(V.TRANSIENT, message="tenant 'acme' not")])
    assert items(judge(bulk(error(None, "user 'quota' not found", 404)), 1), 1) == [V.INVALID]
    assert items(judge(bulk(error(None, "Quota of the plan exceeded", 404)), 1), 1) == [V.SETUP]
    assert items(judge(bulk(error(None, "tenant 'acme' not found", 404)), 1), 1) == [V.TRANSIENT]


@pytest.mark.parametrize(
    ("message", "own"),
    [
        ("user [distinct_id: 'a'] not found", "user [distinct_id: ''] not found"),
        ("user 'cut off", "user ''"),
        ("tenant/brand doesn't exist with id: x", "tenant/brand doesn't exist with id:"),
        ("a/b: String is too short (0 < 4).", ": String is too short (0 < 4)."),
        ("[distinct_id: O'Brien] EOF", "[] EOF"),
        ("[distinct_id: without an end", "[[distinct_id: without an end"),
        ("", ""),
    ],
)
def test_what_is_blanked(message: str, own: str) -> None:
    """Names go, SuprSend's words stay; an apostrophe inside a word is no quote."""
    assert own_words(message) == own


def test_long_hostile_texts_cost_little() -> None:
    """Two thousand quotes or brackets take no longer than two thousand letters: the test's time-out would catch it."""
    for piece in ("'", "' ", "a: A", "[distinct_id:", "id: ", '"`'):
        text = (piece * 2_000)[:2_000]
        for _ in range(200):
            own_words(text)


GATEWAYS = [
    b'{"message":"Forbidden"}',
    b'{"message":null}',
    b'{"statusCode":401,"message":"Access denied due to invalid subscription key"}',
    b'{"fault":{"faultstring":"Failed to resolve API Key","detail":{"errorcode":"oauth.v2.InvalidApiKey"}}}',
    b'{"error":{"code":403,"message":"blocked","status":"PERMISSION_DENIED"}}',
    b'{"success":false,"errors":[{"code":1020,"message":"Access denied"}]}',
    b'{"timestamp":"2026-01-01","status":403,"error":"Forbidden","path":"/v2/bulk/event/"}',
    b'{"status":"error","message":"blocked"}',
    b'{"status":"error","error":"Forbidden"}',
    b'{"status":"error","error":{"code":403,"message":"blocked"}}',
    b'{"status":"error","error":{"message":"blocked","type":"waf"},"message":"blocked"}',
    b'{"status":"error","error":{"message":"","type":""}}',
    b'{"status":"fail","message":"blocked","request_id":"1"}',
    b"<html><body>Forbidden</body></html>",
    b"Forbidden",
    b"",
]


@pytest.mark.parametrize("body", GATEWAYS)
@pytest.mark.parametrize("status", [400, 401, 403, 413, 422, 429])
def test_what_a_gateway_says_is_not_suprsends(status: int, body: bytes) -> None:
    """JSON or a page of something in between refuses no event for good, and behind it the call may have been applied."""
    judged = JUDGE(reply(status, body), 2)
    expected = {429: V.THROTTLED, 413: V.OVERSIZED}.get(status, V.SETUP)
    assert (judged.whole, judged.items, judged.applied) == (expected, None, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429])
def test_suprsends_own_refusal_of_a_call_says_that_nothing_was_applied(status: int) -> None:
    """The clock of the 24 hours stands still behind SuprSend's own words, and behind nothing that was cut."""
    own = error("forbidden", "not for this key")
    assert not JUDGE(reply(status, own), 2).applied
    assert JUDGE(reply(status, own, error="reset"), 2).applied
    assert JUDGE(reply(503, own), 2).applied
    assert JUDGE(reply(400, error("db_error", "i/o timeout")), 2).applied


@pytest.mark.parametrize("word", ["dns", "tls", "proxy", "connect", "timeout", "reset", "protocol"])
def test_without_a_status_the_wire_says_whether_it_may_have_been_applied(word: str) -> None:
    """Whatever the verdict: what was not sent was not applied, and what was sent may have been."""
    assert not JUDGE(reply(0, error=word, applied=False), 2).applied
    assert JUDGE(reply(0, error=word), 2).applied


def test_results_per_record_say_what_was_applied() -> None:
    """Where each event that goes again was refused by its own result, none of them was applied."""
    assert not JUDGE(bulk(OK, error("x", "slow down", 429)), 2).applied
    assert not JUDGE(bulk(error("x", "y", 401)), 1).applied
    assert JUDGE(bulk(OK, error("internal_error", "x", 500)), 2).applied
    assert JUDGE(bulk(OK, None), 2).applied
