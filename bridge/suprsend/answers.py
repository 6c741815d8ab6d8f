"""From a reply to verdicts: what SuprSend says of a call and of each event in it. Total: nothing raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridge.flow import Judge, Judged, Reply, Verdict
from bridge.jsontext import JSONDecodeError, loads
from bridge.suprsend.answer_rules import AnswerRule, AnswerRuleError, Row, TableRow, answer_table, own_words, rows
from bridge.suprsend.causes import of_answer, of_attempt
from bridge.suprsend.shapes import clean, described, in_order, is_foreign, longest, read_body, shape_of

__all__ = ["AnswerRule", "AnswerRuleError", "TableRow", "answer_table", "is_foreign", "make_judge", "shape_of"]

_MAX_TEXT: Final = 300
_ACCEPTED: Final = (
    rb'\{"status":"success",(?:"status_code":202,"message_id":"[ !#-\[\]-~]*+"'
    rb'|"message_id":"[ !#-\[\]-~]*+","status_code":202)\}'
)
_ALL_ACCEPTED: Final = re.compile(rb'\{"status":"success","records":\[%b(?:,%b)*+\]\}' % (_ACCEPTED, _ACCEPTED))
"""The whole of the usual answer, in the two orders that are documented: what fits needs no parser."""

_REFUSED: Final = frozenset({Verdict.INVALID, Verdict.TOO_LARGE})
_SPLIT: Final = _REFUSED | {Verdict.OVERSIZED}
_NOT_TAKEN: Final = _REFUSED | {Verdict.SETUP, Verdict.THROTTLED}
"""Where SuprSend itself says one of these, the events were not taken."""

_ERRORS: Final[Mapping[str, tuple[Verdict, str]]] = {
    "timeout": (Verdict.TRANSIENT, "no whole answer before the deadline"),
    "connect": (Verdict.TRANSIENT, "no connection could be made"),
    "dns": (Verdict.SETUP, "the host of base_url is unknown; check base_url and the DNS"),
    "tls": (Verdict.SETUP, "TLS failed; check ca_file, the client certificate and base_url"),
    "proxy": (Verdict.SETUP, "the proxy refused or is unknown; check proxy"),
    "reset": (Verdict.TRANSIENT, "the connection broke before the answer was whole"),
    "answer_too_large": (Verdict.UNKNOWN, "the answer is larger than any of SuprSend's"),
    "protocol": (Verdict.UNKNOWN, "the answer is no HTTP"),
}
"""What an attempt without a status means, by the words of `flow.Reply`."""


def make_judge(extra: Sequence[AnswerRule] = ()) -> Judge:
    """Make the function that classifies replies: rows of settings first, then the built-in table.

    The judge is pure and total and may be called by any thread. `whole` is the verdict of all events where `items`
    is None; with `items` it is the verdict that all share, or ACCEPTED where they differ (the call itself was taken).
    The keys of what was sent are asked for only where an answer names events by them.
    """
    table = rows(tuple(extra))
    calls = tuple(row for row in table if row.of != "record")
    records = tuple(row for row in table if row.of != "call")

    def judge(reply: Reply, n: int, keys: Callable[[], Sequence[str]] = tuple, /) -> Judged:
        if reply.error is None and 200 <= reply.status <= 299:
            if _all_accepted(reply.body, n):
                return Judged(Verdict.ACCEPTED, None, None, str(reply.status), "", splittable=False)
        elif reply.status == 0:
            return _without_status(reply)
        value, shape = read_body(reply.body, n)
        if shape in ("records", "summary") and reply.error is None and 200 <= reply.status <= 299:
            found = value["records"] if shape == "records" else in_order(value, keys())  # type: ignore[index]
            if found is not None:
                return _by_record(records, found, reply)
        return _by_call(calls, reply, n, value, shape)

    return judge


def _all_accepted(body: bytes, n: int) -> bool:
    """Whether a well-formed answer says of exactly n records that each was accepted: the quick way for the usual case.

    False means "look closer". The counts make sure that no object holds a key twice (the parser keeps the last).
    """
    if len(body) > longest(n) or b"\\" in body:
        return False
    if _ALL_ACCEPTED.fullmatch(body):
        # No text in it can hold a quote, so that the answer and each record begin with one of these.
        return body.count(b'{"status":"success"') == n + 1
    try:
        value = loads(body)
        records = value["records"]
        return (
            type(records) is list
            and len(records) == n
            and n > 0
            and [record["status"] for record in records].count("success") == n
            and [record["status_code"] for record in records].count(202) == n
            and body.count(b'"status"') == n + ("status" in value)
            and body.count(b'"status_code"') == n
            and body.count(b'"records"') == 1
            and b'"error"' not in body
        )
    except (JSONDecodeError, TypeError, KeyError, IndexError):
        return False


def _without_status(reply: Reply) -> Judged:
    word = reply.error or "protocol"
    verdict, message = _ERRORS.get(word, _ERRORS["protocol"])
    told = of_attempt(reply, message)
    return Judged(verdict, None, None, word, told, splittable=False, applied=reply.applied)


def _by_call(calls: Sequence[Row], reply: Reply, n: int, value: object, shape: str) -> Judged:
    """The verdict of a whole call. A cut answer says no more than its status does."""
    cut = reply.error is not None
    if cut:
        value, shape = None, reply.error or ""
    _code, type_, message = _error_of(value) if shape == "error" else (-1, "", "")
    verdict = _first(calls, reply.status, type_, message, shape)
    if cut and verdict in (Verdict.ACCEPTED, *_REFUSED):
        verdict = Verdict.UNKNOWN
    said = _said(type_, message)
    told = said if said and verdict in _REFUSED else of_answer(reply, described(shape), said)
    applied = reply.applied and not (shape == "error" and verdict in _NOT_TAKEN)
    return Judged(verdict, None, None, str(reply.status), told, verdict in _SPLIT and n > 1, applied, said)


def _by_record(records: Sequence[Row], found: Sequence[object], reply: Reply) -> Judged:
    """The verdict of each record of a readable answer.

    Where others were accepted the set-up is right: whatever is wrong with one of them is its own, and may pass.
    """
    items: list[Verdict] = []
    details: list[tuple[str, str]] = []
    for record in found:
        verdict, code, message = _of_record(records, record)
        items.append(verdict)
        details.append((code, message))
    if Verdict.ACCEPTED in items:
        items = [Verdict.TRANSIENT if verdict is Verdict.SETUP else verdict for verdict in items]
    first = items[0]
    applied = not all(verdict in _NOT_TAKEN or verdict is Verdict.ACCEPTED for verdict in items)
    if all(verdict is first for verdict in items):
        code, message = details[0]
        if first is Verdict.ACCEPTED:
            return Judged(first, None, None, str(reply.status), "", splittable=False)
        if first is Verdict.SETUP and message:
            message = of_answer(reply._replace(status=int(code) if code.isdigit() else reply.status), "", message)
        return Judged(first, items, details, code, message, splittable=False, applied=applied)
    failed = sum(verdict is not Verdict.ACCEPTED for verdict in items)
    text = f"{failed} of {len(items)} events were not accepted"
    return Judged(Verdict.ACCEPTED, items, details, str(reply.status), text, splittable=False, applied=applied)


def _of_record(records: Sequence[Row], record: object) -> tuple[Verdict, str, str]:
    """One record: verdict, code and message. What is not as documented is unknown, never success."""
    if not isinstance(record, dict):
        return Verdict.UNKNOWN, "malformed", "the result of this event is no JSON object"
    status = record.get("status")
    code = _number(record.get("status_code"))
    if status == "success":
        if 200 <= code <= 299 and "error" not in record:
            return Verdict.ACCEPTED, str(code), ""
        return Verdict.UNKNOWN, "malformed", "success, but with an error, or with a status_code that is no success"
    if status not in ("error", "fail") or 0 <= code <= 399:
        return Verdict.UNKNOWN, "malformed", "the result of this event is neither success nor an error"
    _code, type_, message = _error_of(record)
    verdict = _first(records, code, type_, message, "")
    if verdict in _REFUSED and not type_ and not message:
        return Verdict.UNKNOWN, "malformed", "refused without an error that says why"
    return verdict, str(code) if code >= 0 else type_ or "error", _said(type_, message)


def _said(type_: str, message: str) -> str:
    """An error in SuprSend's own words, bounded; empty where it has none."""
    return (f"{type_}: {message}" if type_ and message else type_ or message)[:_MAX_TEXT]


def _first(table: Sequence[Row], status: int, type_: str, message: str, shape: str) -> Verdict:
    words = own_words(message)
    for row in table:
        if row.fits(status, type_, message, words, shape):
            return row.verdict
    return Verdict.UNKNOWN


def _error_of(value: object) -> tuple[int, str, str]:
    """`status_code` (-1 where there is none), type and message of an error in either documented form, as clean text."""
    if not isinstance(value, dict):
        return -1, "", ""
    error = value.get("error")
    held = error if isinstance(error, dict) else value
    message = held.get("message")
    if not isinstance(message, str) and isinstance(error, str):
        message = error
    return _number(value.get("status_code")), clean(held.get("type")), clean(message)


def _number(value: object) -> int:
    """A `status_code` as number or numeric text (contract §5a), else -1."""
    if isinstance(value, float) and value.is_integer() and 100 <= value <= 999:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 100 <= value <= 999 else -1
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return _number(int(value))
    return -1
