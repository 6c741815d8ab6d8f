"""YAML text → nodes, from the events of PyYAML's C parser: the only module that imports yaml.

Events instead of `yaml.compose`: tags, anchors and aliases are still visible in them, and nesting can be refused at
the first level too many, before anything recurses.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from bridge.document.codes import DEEPEST, LARGEST, MOST_FINDINGS, MOST_NODES
from bridge.document.mistakes import COMMENT, cut_by_comments, syntax_finding, tab_findings
from bridge.document.nodes import (
    Document,
    EntryNode,
    ListNode,
    MappingNode,
    Place,
    Plain,
    Scalar,
    Source,
    Style,
    YamlNode,
)
from bridge.document.scalars import Trap, resolve
from bridge.findings import Finding, in_order, visible

__all__ = ["compose", "read"]

_NO_TAG = "leave it out; quotes make a text"
_STYLES: dict[str, Style] = {"": "plain", "'": "single", '"': "double", "|": "literal", ">": "folded"}
_QUOTE_IT = "write it in quotes"
_NO_VALUE = 'write the value, `null`, or `""` for an empty text'


def read(path: Path, name: str | None = None) -> Document:
    """Read and compose a file; a file that cannot be read gives a document with one finding (`Y001`).

    `name` is how findings name the file (the path as given, where None).
    """
    name = str(path) if name is None else name
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not a usable path"
        return _unreadable(name, f"the file cannot be read: {reason}")
    return compose(data, name)


def _unreadable(name: str, message: str) -> Document:
    finding = Finding("Y001", "error", name, 0, 0, 0, message)
    return Document(Source(name, ""), None, (finding,), complete=False)


def compose(data: bytes | str, path: str) -> Document:
    """Compose the text of the file `path`. Never raises for any text; bounded in time and memory.

    Everything wrong with the YAML is in `findings` of the document, all at once as far as the text can be read.
    """
    source, findings = _decode(data, path)
    if findings:
        return Document(source, None, tuple(findings), complete=False)
    builder = _Builder(source)
    complete = builder.run()
    found = builder.findings
    if complete:
        found += tab_findings(source, builder.scalars) + cut_by_comments(source, builder.scalars)
    return Document(source, builder.root, tuple(in_order(found)[:MOST_FINDINGS]), complete)


class _Stop(Exception):  # noqa: N818 (no error: control flow)
    """The rest of the text is not looked at; a finding says why."""


class _Open:
    """A list or mapping that has begun; `keys` is None for a list."""

    __slots__ = ("children", "event", "key", "keys", "repeated")

    def __init__(self, event: Any, keys: dict[str, Scalar] | None) -> None:
        self.event = event
        self.children: list[Any] = []
        self.keys = keys
        self.key: Scalar | None = None
        self.repeated: Finding | None = None
        """The first key that was there twice."""


class _Builder:
    """Builds the nodes of one text; keeps its own stack, so that depth costs no recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: YamlNode | None = None
        self.findings: list[Finding] = []
        self.scalars: list[Scalar] = []
        self._stack: list[_Open] = []
        self._count = 0
        self._documents = 0

    def run(self) -> bool:
        """Compose; returns whether the whole text was read."""
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._end_mapping,
            yaml.SequenceEndEvent: self._end_sequence,
            yaml.DocumentStartEvent: self._document,
        }
        try:
            for event in yaml.parse(self.source.text, Loader=yaml.CSafeLoader):
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        except yaml.YAMLError as error:
            wrong = syntax_finding(self.source, error)
            # What stands behind it was read as something else than it is.
            self.findings = [one for one in self.findings if one.line < wrong.line]
            self.findings.append(wrong)
            return False
        except _Stop:
            return False
        return True

    def _document(self, event: Any) -> None:
        self._documents += 1
        if event.version or event.tags:
            self._add("Y014", event, "directives (`%YAML`, `%TAG`) are not used here", "leave the line out")
        if self._documents > 1:
            self._add("Y014", event, "a second document begins here", "one file holds one document: split the file")
            raise _Stop

    def _begin(self, event: Any) -> None:
        self._properties(event)
        if len(self._stack) >= DEEPEST:
            self._add("Y004", event, f"lists and mappings are nested more than {DEEPEST} deep")
            raise _Stop
        self._stack.append(_Open(event, {} if isinstance(event, yaml.MappingStartEvent) else None))

    def _end_mapping(self, event: Any) -> None:
        done = self._stack.pop()
        start, end = _place(done.event.start_mark), _place(event.end_mark)
        self._put(MappingNode(tuple(done.children), start, end, self.source))

    def _end_sequence(self, event: Any) -> None:
        done = self._stack.pop()
        start, end = _place(done.event.start_mark), _place(event.end_mark)
        self._put(ListNode(tuple(done.children), start, end, self.source))

    def _alias(self, event: Any) -> None:
        message = f"the alias `*{event.anchor}` is not followed here"
        key = self._stack[-1].key if self._stack else None
        if key is None or key.text != "<<":
            hint = "write the value out again; rules share values through `defaults` and `defs`"
            self._add("Y012", event, message, hint)
        self._put(Scalar(None, "", "plain", _place(event.start_mark), _place(event.end_mark), self.source))

    def _scalar(self, event: Any) -> None:
        self._properties(event)
        style = _STYLES[event.style or ""]
        start, end = _place(event.start_mark), _place(event.end_mark)
        if not self._stack and not event.value and style == "plain":
            return
        value = resolve(event.value) if style == "plain" and event.value else event.value
        if isinstance(value, Trap):
            scalar = Scalar(event.value, event.value, style, start, end, self.source)
            is_key = bool(self._stack) and self._stack[-1].keys is not None and self._stack[-1].key is None
            self.findings.append(_trap_finding(scalar, value, is_key=is_key))
        elif style == "plain" and not event.value:
            scalar = Scalar(None, "", style, start, end, self.source)
            if event.tag is None and event.anchor is None:
                self.findings.append(self._nothing(scalar))
        else:
            scalar = Scalar(value, event.value, style, start, end, self.source)
        self.scalars.append(scalar)
        self._put(scalar)

    def _nothing(self, scalar: Scalar) -> Finding:
        key = self._stack[-1].key if self._stack else None
        if key is None:
            return scalar.finding("Y008", "there is no value here", _NO_VALUE)
        if key.text.startswith((".", "$")) and self._stack[-1].event.flow_style:
            message = f"`{{ {_short(key.text)} }}` is a mapping to YAML"
            return key.finding("Y008", message, f"write an expression as ${{ {_short(key.text)} }}")
        hint = _NO_VALUE
        if COMMENT.match(self.source.text, key.end.index + 1):
            hint = "` #` begins a comment: write the value in quotes if it is one"
        return key.finding("Y008", f"there is no value behind `{_short(key.text)}:`", hint)

    def _properties(self, event: Any) -> None:
        """Refuse tags and anchors, and bound the number of nodes and findings."""
        self._count += 1
        if self._count > MOST_NODES:
            self._add("Y004", event, f"there are more than {MOST_NODES:,} values in this file", "split the file")
            raise _Stop
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = f"jq has no `!`: write ({tag[1:61]} | not)" if tag.startswith("!.") else _NO_TAG
            self._add("Y011", event, f"the tag `{tag[:60]}` is not used here", hint)
        if event.anchor is not None:
            message = f"the anchor `&{event.anchor}` is not used here"
            self._add("Y012", event, message, "leave it out, and write the value out again where it is needed")

    def _put(self, node: YamlNode) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if top.keys is None:
            top.children.append(node)
        elif top.key is None:
            top.key = self._key(node)
        else:
            if top.key.text not in top.keys:
                top.keys[top.key.text] = top.key
                top.children.append(EntryNode(top.key, node))
            top.key = None
        if len(self.findings) >= MOST_FINDINGS:
            raise _Stop

    def _key(self, node: YamlNode) -> Scalar:
        """Check a key; returns it as text. One that is there already is dropped with its value."""
        if not isinstance(node, Scalar):
            self.findings.append(node.finding("Y010", "a key must be text, not a list or a mapping"))
            return Scalar("", "", "plain", node.start, node.end, self.source)
        key: Plain = node.value
        if node.style == "plain" and node.text == "<<":
            self.findings.append(node.finding("Y013", "the merge key `<<` is not used here", "write the keys out"))
        elif not isinstance(key, str) and node.text:
            hint = f'{_QUOTE_IT}: "{node.text}"'
            self.findings.append(node.finding("Y010", f"a key must be text, and `{node.text}` is not", hint))
        keys = self._stack[-1].keys or {}
        first = keys.get(node.text)
        if first is not None:
            self._repeated(node, first)
        return (
            node
            if isinstance(key, str)
            else Scalar(node.text, node.text, node.style, node.start, node.end, self.source)
        )

    def _repeated(self, node: Scalar, first: Scalar) -> None:
        """A key that is there twice; several of them in an item of a list are an item whose dash was forgotten."""
        top = self._stack[-1]
        message = f"the key `{_short(node.text)}` is there twice: it was set in line {first.start.line} already"
        twice = node.finding("Y009", message, "keep one of the two")
        in_list = len(self._stack) > 1 and self._stack[-2].keys is None
        if top.repeated is None or not in_list:
            top.repeated = top.repeated or twice
            self.findings.append(twice)
        elif top.repeated in self.findings:
            where = top.repeated
            message = "this key and those behind it are there twice: does a new item of the list begin here?"
            self.findings.remove(where)
            self.findings.append(replace(where, message=message, hint="begin it with `- `, as the item before"))

    def _add(self, code: str, event: Any, message: str, hint: str | None = None) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        self.findings.append(self.source.finding(code, start, end, message, hint))


def _trap_finding(scalar: Scalar, trap: Trap, *, is_key: bool) -> Finding:
    text = _short(scalar.text)
    quoted = f'"{text}"'
    hint = f"{_QUOTE_IT} if it is text: {quoted}"
    if is_key:
        hint = f"{_QUOTE_IT}: {quoted}"
    elif trap.instead is not None:
        hint = f"write {trap.instead} if you mean that, or {quoted} if it is text"
    elif trap.reads_as.startswith("a number"):
        hint += "; a number is written as in JSON (0.5, 1000)"
    return scalar.finding("Y007", f"`{text}` is {trap.reads_as} to some YAML readers and text to others", hint)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1, mark.index)


_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What YAML forbids, and the line separators that YAML takes for line ends and editors do not."""
_MOST_SHOWN = 20
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def _decode(data: bytes | str, path: str) -> tuple[Source, list[Finding]]:
    """Decode a file; a byte order mark at the beginning is left out. With findings the text is for showing only."""
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        message = f"the file is larger than {LARGEST // (1024 * 1024)} MiB"
        return Source(path, ""), [Finding("Y004", "error", path, 0, 0, 0, message, "split it into several files")]
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    source = Source(path, text.removeprefix("\ufeff"))
    if isinstance(data, bytes):
        wrong = _wrong_bytes(data, source)
        if wrong is not None:
            return source, [wrong]
    return source, [_forbidden(source, match) for match in islice(_FORBIDDEN.finditer(source.text), _MOST_SHOWN)]


def _wrong_bytes(data: bytes, source: Source) -> Finding | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"the file is not UTF-8 text: byte 0x{data[error.start]:02X} cannot stand here"
        if data.startswith(_WIDE_BOMS):
            message = "the file is not UTF-8 text: it begins like UTF-16 or UTF-32"
        return source.finding("Y002", len(before), len(before) + 1, message, "save the file as UTF-8")
    return None


def _forbidden(source: Source, match: re.Match[str]) -> Finding:
    code = ord(match.group())
    written = f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
    message = f"the character {visible(match.group())} (U+{code:04X}) cannot stand in a YAML file"
    hint = f'leave it out, or write it as {written} in double quotes: "{written}"'
    return source.finding("Y003", match.start(), match.end(), message, hint)
