"""What came out of tests, written: into their own file as `expect` (`updated`), or as JUnit's XML for CI (`junit`). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from bridge.document import EntryNode, ListNode, MappingNode, Scalar, Source, YamlNode
from bridge.document.scalars import resolve
from bridge.jq import tojson_text
from bridge.rules.tools.examples import Made, Ran

__all__ = ["junit", "updated"]

_PLAIN: Final = re.compile(r"[A-Za-z0-9_/€](?:[A-Za-z0-9_./@€%+-]| (?=[A-Za-z0-9_./@€%+-]))*")
_UNPRINTABLE: Final = re.compile(
    "[^ -~\xa1-\u1fff\u2010-\u2027\u2030-\u205e\u20a0-\ud7ff\uf900-\ufdff\U00010000-\U0003ffff]"
)
"""What YAML forbids or an editor hides; much that is neither is escaped with it."""


def updated(source: Source, ran: Sequence[Ran]) -> str:
    """Return the text of the file with `expect` of each of these tests replaced (or added)."""
    text = source.text
    for one in sorted(ran, key=lambda one: one.example.node.start.index, reverse=True):
        entry = one.example.expect
        if entry is None:
            text = _added(text, one)
        else:
            start = entry.key.start
            end = _end_of_line(text, _last(entry.value))
            lines = _lines(one, " " * (start.column - 1))
            text = text[: start.index] + "\n".join(lines).lstrip() + text[end:]
    return text


def _added(text: str, one: Ran) -> str:
    node = one.example.node
    pad = " " * (node.entries[0].key.start.column - 1)
    end = _end_of_line(text, _last(node))
    return text[:end] + "\n" + "\n".join(_lines(one, pad)) + text[end:]


def _last(node: YamlNode | EntryNode) -> int:
    """Where the last character of a value stands: the end of a block may lie behind comments that are not its own."""
    if isinstance(node, EntryNode):
        return _last(node.value)
    if isinstance(node, Scalar):
        text = node.source.text[node.start.index : node.end.index]
        return node.start.index + len(text.rstrip())
    parts: tuple[YamlNode | EntryNode, ...] = node.entries if isinstance(node, MappingNode) else node.items
    flow = node.source.text[node.start.index : node.start.index + 1] in "[{"
    assert isinstance(node, MappingNode | ListNode)
    return node.end.index if flow or not parts else _last(parts[-1])


def _end_of_line(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _lines(one: Ran, pad: str) -> Iterator[str] | list[str]:
    if not one.made:
        return [f"{pad}expect: {one.outcome}"]
    lines = [f"{pad}expect:"]
    for made in one.made:
        lines += [f"{pad}  {line}" for line in _entry(made)]
    return lines


def _entry(made: Made) -> list[str]:
    keys = dict(made.keys)
    if made.kind == "event" and not made.own_key:
        del keys["idempotency_key"]
    if keys.get("properties") == {}:
        del keys["properties"]
    body = list(_mapping(keys))
    return ["- " + body[0], *("  " + line for line in body[1:])]


def _mapping(value: dict[str, Any]) -> Iterator[str]:
    for key, part in value.items():
        name = _scalar(key)
        if isinstance(part, dict) and part:
            yield f"{name}:"
            yield from (f"  {line}" for line in _mapping(part))
        elif isinstance(part, list) and part:
            yield f"{name}:"
            yield from (f"  {line}" for line in _list(part))
        else:
            yield f"{name}: {_scalar(part)}"


def _list(value: list[Any]) -> Iterator[str]:
    for part in value:
        if isinstance(part, dict) and part:
            body = list(_mapping(part))
            yield f"- {body[0]}"
            yield from (f"  {line}" for line in body[1:])
        else:
            yield f"- {_scalar(part)}"


def _scalar(value: Any) -> str:
    """Write a value so that our own reading of YAML gives it back, and others' too."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and resolve(value) == value:
        return value
    return _UNPRINTABLE.sub(_escaped, tojson_text(value))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suites: Sequence[tuple[str, Sequence[Ran]]]) -> str:
    """Write the results of files of tests, each with its path."""
    total = sum(len(ran) for _, ran in suites)
    failed = sum(bool(one.differences) for _, ran in suites for one in ran)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites tests="{total}" failures="{failed}">']
    for path, ran in suites:
        failures = sum(bool(one.differences) for one in ran)
        lines.append(f'  <testsuite name={_quoted(path)} tests="{len(ran)}" failures="{failures}">')
        lines += [_case(path, one) for one in ran]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _case(path: str, one: Ran) -> str:
    line = one.example.node.start.line
    head = (
        f'    <testcase classname={_quoted(path)} name={_quoted(one.example.name)} file={_quoted(path)} line="{line}"'
    )
    if not one.differences:
        return head + "/>"
    first = _quoted(one.differences[0])
    return (
        f"{head}>\n      <failure message={first}>{_xml_text(chr(10).join(one.differences))}</failure>\n    </testcase>"
    )


def _quoted(text: str) -> str:
    return quoteattr(_NO_XML.sub("\ufffd", text))


def _xml_text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))
