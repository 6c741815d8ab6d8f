"""Readers of plain values in a rule file: each returns the value, with a finding where it is wrong that says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.document import ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Codes, Finding, FindingCode
from bridge.rules.read.keys import A_RULE, Flag, Key, Keys, Kind, Length, Line, Whole, Word, meant_key

__all__ = ["CODES", "PLAIN", "mapping", "plain", "refuse_unknown", "text", "texts"]

CODES: Final[Codes] = {
    "R003": FindingCode(
        "A key that is not known here.",
        "Use one of the keys that the message lists.",
        "propertys: {total: '${ .total }'}",
    ),
    "R005": FindingCode("A value has the wrong type.", "Write what the message asks for.", "final: 'true'"),
    "R008": FindingCode(
        "A topic has no such setting, or the setting no such word.",
        "Use one of the words that the message lists.",
        "topics: {orders.v1: {decode: avro}}\n" + A_RULE,
    ),
    "R030": FindingCode("This is no length of time.", "Write a number and s, m, h or d: `24h`.", "max_age: 24 hours"),
}

_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_MILLISECONDS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_LONGEST_SHOWN = 200


def _wrong(findings: list[Finding], node: YamlNode, message: str, hint: str | None = None, code: str = "R005") -> None:
    findings.append(node.finding(code, message, hint))


def plain(findings: list[Finding], name: str, kind: Kind, node: YamlNode | None) -> Any:
    """Read the value of a key whose kind says it all; what the kind says where there is none, or it is wrong."""
    return _READERS[type(kind)](findings, name, kind, node)


def _flag(findings: list[Finding], name: str, kind: Flag, node: YamlNode | None) -> bool:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    if node is not None:
        _wrong(findings, node, f"{name} must be true or false", f"write {name}: true")
    return kind.otherwise


def _whole(findings: list[Finding], name: str, kind: Whole, node: YamlNode | None) -> int:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and kind.low <= value <= kind.high:
        return value
    if node is not None:
        text = node.text if isinstance(node, Scalar) else ""
        hint = f"write {name}: {int(text)}" if text.isdecimal() and kind.low <= int(text) <= kind.high else None
        _wrong(findings, node, f"{name} must be a whole number between {kind.low:,} and {kind.high:,}", hint)
    return kind.otherwise


def _word(findings: list[Finding], name: str, kind: Word, node: YamlNode | None) -> str:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in kind.words:
        return value
    if node is not None:
        meant = kind.meant(value) if isinstance(value, str) else None
        hint = f"did you mean `{meant}`?" if meant else kind.refused.get(str(value).lower())
        _wrong(findings, node, f"{name} must be one of {', '.join(kind.words)}", hint, kind.code)
    return kind.words[0]


def _length(findings: list[Finding], name: str, _kind: Length, node: YamlNode | None) -> int | None:
    match = _DURATION.fullmatch(node.text) if isinstance(node, Scalar) else None
    if match is not None and int(match.group(1)):
        return int(match.group(1)) * _MILLISECONDS[match.group(2)]
    if node is not None:
        _wrong(findings, node, f"{name} must be a number and s, m, h or d", f"for example {name}: 24h", "R030")
    return None


def _line(findings: list[Finding], name: str, _kind: Line, node: YamlNode | None) -> str:
    return text(findings, name, node) or ""


_READERS: Final[Mapping[type, Callable[..., Any]]] = {
    Flag: _flag,
    Whole: _whole,
    Word: _word,
    Length: _length,
    Line: _line,
}
PLAIN: Final = frozenset(_READERS)
"""The kinds of keys that `plain` reads."""


def text(findings: list[Finding], name: str, node: YamlNode | None) -> str | None:
    """Read text."""
    if node is None:
        return None
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return node.text
    hint = f'write {name}: "{node.text[:60]}"' if isinstance(node, Scalar) and node.text else None
    _wrong(findings, node, f"{name} must be text", hint)
    return None


def texts(findings: list[Finding], field: str, node: YamlNode, key: Key) -> list[Scalar] | None:
    """Read a list of texts that is not empty; None where it is no list, or an item is no text."""
    if not isinstance(node, ListNode) or not len(node):
        shown = key.example.strip("[]")
        if isinstance(node, Scalar) and isinstance(node.value, str) and len(node.text) < _LONGEST_SHOWN:
            shown = ", ".join(node.text.replace(",", " ").split())
        _wrong(findings, node, f"{field} must be a list of texts", f"write {field}: [{shown}]")
        return None
    found = [item for item in node if isinstance(item, Scalar) and isinstance(item.value, str)]
    for item in node:
        if item not in found:
            _wrong(findings, item, f"each of {field} must be text", f"write {field}: {key.example}")
    return found if len(found) == len(node) else None


def mapping(findings: list[Finding], field: str, node: YamlNode | None, example: str) -> MappingNode | None:
    """Read a mapping."""
    if node is None or isinstance(node, MappingNode):
        return node
    _wrong(findings, node, f"{field} must be keys and values", example)
    return None


def refuse_unknown(findings: list[Finding], what: str, node: MappingNode, keys: Keys) -> None:
    """Make a finding for each key that is not known."""
    for entry in node:
        if entry.name not in keys and not entry.name.startswith("<<"):
            meant = meant_key(entry.name, keys)
            hint = f"did you mean `{meant}`?" if meant else f"{what} has {', '.join(keys)}"
            _wrong(findings, entry.key, f"`{entry.name[:60]}` is no key of {what}", hint, "R003")
