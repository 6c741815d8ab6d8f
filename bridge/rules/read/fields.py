"""Readers of plain values in a rule file: each returns the value, or None with a finding that says what to write."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

from bridge.document import Mapping, Node, Scalar, Sequence as NodeList
from bridge.findings import Finding, did_you_mean

__all__ = ["boolean", "duration_ms", "mapping", "meant_key", "number", "one_of", "refuse_unknown", "text", "texts"]

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_OTHER_WORDS = {
    "distinct_id": "recipient recipients user user_id userid to customer_id subject receiver",
    "properties": "data payload attributes params parameters variables fields body values",
    "when": "condition conditions if filter where match matches unless",
    "for_each": "foreach each loop items forEach",
    "tenant_id": "tenant brand brand_id workspace",
    "idempotency_key": "key dedup_key dedupe_key id_key",
    "max_age": "ttl expires expire expiry timeout",
    "event": "workflow template trigger notification slug",
    "attachments": "files documents",
    "defs": "functions helpers macros",
    "filename": "name file file_name title",
    "url": "path href link uri src",
    "on_error": "onerror error errors fallback",
    "enabled": "active disabled",
    "decode": "format encoding codec type",
}
"""What others call the same."""
_MEANT = {word: key for key, words in _OTHER_WORDS.items() for word in words.split()}

_LONGEST_SHOWN = 200
_MEANT_WORDS = {
    "dlq": "dead_letter",
    "deadletter": "dead_letter",
    "dead-letter": "dead_letter",
    "ignore": "skip",
    "drop": "skip",
    "discard": "skip",
    "continue": "skip",
    "stop": "halt",
    "fail": "halt",
    "retry": "halt",
    "block": "halt",
    "text": "string",
    "raw": "bytes",
    "binary": "bytes",
    "jsonschema": "json",
    "json_schema": "json",
    "cloud_events": "cloudevents",
}
"""Words that others use, and ours."""
_CONVERT = dict.fromkeys(
    ("avro", "protobuf", "proto", "xml", "csv"), "no decoder reads it: convert it to JSON before, with Kafka Connect"
)

W = TypeVar("W", bound=str)


def _wrong(findings: list[Finding], node: Node, message: str, hint: str | None = None, code: str = "R005") -> None:
    findings.append(node.finding(code, message, hint))


def boolean(findings: list[Finding], field: str, node: Node | None, *, otherwise: bool) -> bool:
    """Read true or false; `otherwise` where there is no node or a finding was made."""
    if node is None:
        return otherwise
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    _wrong(findings, node, f"{field} must be true or false", f"write {field}: true")
    return otherwise


def number(findings: list[Finding], field: str, node: Node | None, low: int, high: int) -> int | None:
    """Read an integer between two bounds."""
    if node is None:
        return None
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    text = node.text if isinstance(node, Scalar) else ""
    hint = f"write {field}: {int(text)}" if text.isdecimal() and low <= int(text) <= high else None
    _wrong(findings, node, f"{field} must be a whole number between {low:,} and {high:,}", hint)
    return None


def text(findings: list[Finding], field: str, node: Node | None) -> str | None:
    """Read text."""
    if node is None:
        return None
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.text
    hint = f'write {field}: "{node.text[:60]}"' if isinstance(node, Scalar) and node.text else None
    _wrong(findings, node, f"{field} must be text", hint)
    return None


def one_of(findings: list[Finding], field: str, node: Node | None, words: Sequence[W], code: str = "R005") -> W | None:
    """Read one of some words."""
    if node is None:
        return None
    value = node.value if isinstance(node, Scalar) else None
    for word in words:
        if value == word:
            return word
    meant = _near_word(value, words) if isinstance(value, str) else None
    hint = f"did you mean `{meant}`?" if meant else _CONVERT.get(str(value).lower())
    _wrong(findings, node, f"{field} must be one of {', '.join(words)}", hint, code)
    return None


def texts(findings: list[Finding], field: str, node: Node, example: str) -> list[Scalar] | None:
    """Read a list of texts that is not empty; None where it is no list, or an item is no text."""
    if not isinstance(node, NodeList) or not len(node):
        shown = example
        if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.text) < _LONGEST_SHOWN:
            shown = ", ".join(node.text.replace(",", " ").split())
        _wrong(findings, node, f"{field} must be a list of texts", f"write {field}: [{shown}]")
        return None
    found = [item for item in node if isinstance(item, Scalar) and isinstance(item.value, str)]
    for item in node:
        if item not in found:
            _wrong(findings, item, f"each of {field} must be text", f"write {field}: [{example}]")
    return found if len(found) == len(node) else None


def mapping(findings: list[Finding], field: str, node: Node | None, example: str) -> Mapping | None:
    """Read a mapping."""
    if node is None or isinstance(node, Mapping):
        return node
    _wrong(findings, node, f"{field} must be keys and values", example)
    return None


def duration_ms(findings: list[Finding], field: str, node: Node | None) -> int | None:
    """Read a length of time such as `24h`, in milliseconds."""
    if node is None:
        return None
    match = _DURATION.fullmatch(node.text) if isinstance(node, Scalar) else None
    if match is None or not int(match.group(1)):
        _wrong(findings, node, f"{field} must be a number and s, m, h or d", f"for example {field}: 24h", "R030")
        return None
    return int(match.group(1)) * _MILLISECONDS[match.group(2)]


def refuse_unknown(findings: list[Finding], what: str, node: Mapping, known: Collection[str]) -> None:
    """Make a finding for each key that is not known."""
    for entry in node:
        if entry.name not in known and not entry.name.startswith("<<"):
            meant = meant_key(entry.name, known)
            hint = f"did you mean `{meant}`?" if meant else f"{what} has {_listed(known)}"
            _wrong(findings, entry.key, f"`{entry.name[:60]}` is no key of {what}", hint, "R003")


def meant_key(name: str, known: Collection[str]) -> str | None:
    """Return the known key that is this one, is called so by others, or is spelt much like it."""
    if name in known:
        return name
    meant = _MEANT.get(name) or _MEANT.get(name.lower())
    return meant if meant in known else did_you_mean(name, known)


def _near_word(value: str, words: Sequence[W]) -> str | None:
    meant = _MEANT_WORDS.get(value.lower())
    return meant if meant in words else did_you_mean(value, words)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
