"""From a reply to verdicts: what SuprSend says of a call and of each event in it. Total: nothing raises."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridge.flow import Judge, Judged, Reply, Verdict
from bridge.jsontext import JSONDecodeError, loads
from bridge.suprsend.answer_rules import AnswerRule, AnswerRuleError, Row, TableRow, answer_table, rows
from bridge.suprsend.causes import BOM, of_answer, of_attempt
from bridge.suprsend.summary import in_order
from bridge.suprsend.wording import own_words

__all__ = ["AnswerRule", "AnswerRuleError", "TableRow", "answer_table", "is_foreign", "make_judge", "shape_of"]

_BASE_BYTES: Final = 64 * 1024
_BYTES_PER_EVENT: Final = 4 * 1024
"""An answer beyond base + n times this is not read: parsed JSON takes up to thirty times its bytes."""

_MAX_TEXT: Final = 300
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"\x78\xda", b"\x78\x01")

_ACCEPTED: Final = (
    rb'\{"status":"success",(?:"status_code":202,"message_id":"[ !#-\[\]-~]*+"'
    rb'|"message_id":"[ !#-\[\]-~]*+","status_code":202)\}'
)
_ALL_ACCEPTED: Final = re.compile(rb'\{"status":"success","records":\[%b(?:,%b)*+\]\}' % (_ACCEPTED, _ACCEPTED))
"""The whole of the usual answer, in the two orders that are documented: what fits needs no parser."""

_FOREIGN: Final = frozenset({"html", "not_json", "compressed", "too_long", "duplicate_keys"})
"""Shapes that no API means."""

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
        value, shape = _read(reply.body, n)
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
    if len(body) > _BASE_BYTES + n * _BYTES_PER_EVENT or b"\\" in body:
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
    told = said if said and verdict in _REFUSED else of_answer(reply, _described(shape), said)
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
        return Verdict.UNKNOWN, "malformed", "success, but with an error or without a status_code of success"
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
    return _number(value.get("status_code")), _clean(held.get("type")), _clean(message)


def _clean(text: object) -> str:
    """Text of the other side, bounded and on one line."""
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text[:2_000]).strip()


def _number(value: object) -> int:
    """A `status_code` as number or numeric text (contract §5a), else -1."""
    if isinstance(value, float) and value.is_integer() and 100 <= value <= 999:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 100 <= value <= 999 else -1
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return _number(int(value))
    return -1


def _read(body: bytes, n: int) -> tuple[object, str]:
    """Parse a body and name its shape (`answer_rules.SHAPES`)."""
    if len(body) > _BASE_BYTES + n * _BYTES_PER_EVENT:
        return None, "too_long"
    if body.startswith(_COMPRESSED):
        return None, "compressed"
    text = body.removeprefix(BOM).strip()
    if text in (b"", b"OK"):
        return None, "ok" if text else "empty"
    try:
        value = loads(text)
    except JSONDecodeError:
        return None, "html" if text.startswith(b"<") else "not_json"
    if not _unambiguous(text):
        return None, "duplicate_keys"
    return value, _shape(value, n)


def _unambiguous(text: bytes) -> bool:
    """Whether no object of a JSON text holds a key twice: two readers would see two answers."""

    def once(pairs: list[tuple[str, object]]) -> None:
        if len(dict(pairs)) != len(pairs):
            raise ValueError

    try:
        json.loads(text, object_pairs_hook=once, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


def _shape(value: object, n: int) -> str:
    if isinstance(value, dict):
        return _shape_of_object(value, n)
    if isinstance(value, str):
        return "ok" if value == "OK" else "string"
    return "array" if isinstance(value, list) else "scalar"


def _shape_of_object(value: dict[str, object], n: int) -> str:
    if "records" in value:
        records = value["records"]
        return "records" if isinstance(records, list) and len(records) == n > 0 else "records_wrong_count"
    status = value.get("status")
    taken = status == "success" and "error" not in value and isinstance(value.get("message_id"), str)
    if n == 1 and taken and value["message_id"]:
        return "message_id"
    if status in ("error", "fail") and _is_own_error(value):
        return "error"
    if "failed_records" in value:
        return "summary"
    return "message" if isinstance(value.get("message"), str) else "object"


def shape_of(body: bytes, n: int) -> str:
    """What the body of an answer to n events looks like: a name of `answer_rules.SHAPES`."""
    return _read(body, n)[1]


def is_foreign(body: bytes, n: int) -> bool:
    """Whether a body is nothing that an API could have meant by it: a page, text, half of something."""
    return shape_of(body, n) in _FOREIGN


def _is_own_error(value: Mapping[str, object]) -> bool:
    """Whether an object with a failed `status` has SuprSend's form: JSON of gateways looks much like it."""
    if "error" not in value:
        return value.keys() == {"status", "message"} and value["status"] == "fail" and bool(_clean(value["message"]))
    error = value["error"]
    if not isinstance(error, dict) or not error.keys() <= {"message", "type"} or "message" in value:
        return False
    return all(isinstance(text, str) for text in error.values()) and any(map(_clean, error.values()))


def _described(shape: str) -> str:
    return _DESCRIPTIONS.get(shape, shape)


_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "ok": "OK",
    "records": "results per event",
    "message_id": "a message_id",
    "html": "a page instead of JSON",
    "message": "JSON that is not SuprSend's",
    "object": "JSON that is not SuprSend's",
    "array": "JSON that is not SuprSend's",
    "string": "JSON that is not SuprSend's",
    "scalar": "JSON that is not SuprSend's",
    "not_json": "text that is no JSON",
    "empty": "an empty body",
    "compressed": "a compressed body that was not asked for",
    "too_long": "a body too long for so few events",
    "records_wrong_count": "another number of records than were sent",
    "summary": "counts and failed records that do not agree with what was sent",
    "duplicate_keys": "JSON with a key twice",
    "reset": "a body that was cut",
    "timeout": "a body that was not whole before the deadline",
    "answer_too_large": "a body beyond the limit",
}
