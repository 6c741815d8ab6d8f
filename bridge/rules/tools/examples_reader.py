"""Files of tests → examples: which files they are, what they say, and the record that each describes.

`record_of` also serves a line of `suprsend-bridge map --envelope`. Only `test_paths` and `load_examples` read files.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from bridge.document import Document, ListNode, MappingNode, Scalar, YamlNode, read
from bridge.findings import Finding, did_you_mean
from bridge.flow import Headers, PlainRecord
from bridge.jq import JqError
from bridge.jq.dates.calendar import parse_time
from bridge.jsontext import dumps
from bridge.rules.map.faults import FAULTS
from bridge.rules.read.advice import without_echoes_in_tests
from bridge.rules.read.example_keys import ERROR, EVENT, GIVEN, OUTCOMES, SENT_ATTACHMENT, TEST, TEST_FILE
from bridge.rules.read.keys import Keys, Typed
from bridge.rules.tools.examples import Example, ExampleFile, Expected

__all__ = [
    "LARGEST_RECORD",
    "VALUE_KEYS",
    "GivenError",
    "load_examples",
    "milliseconds",
    "plain",
    "read_examples",
    "record_of",
    "test_paths",
]

VALUE_KEYS: Final = tuple(name for name, key in GIVEN.items() if key.one_of)
"""Ways of saying what is in a record; one of them."""
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class GivenError(ValueError):
    """Keys and values that make no record; `key` is the one that is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def record_of(given: Mapping[str, Any], file: bytes | None = None) -> PlainRecord:
    """Make the record that keys and values describe; `file` is the content of the file that `file` names.

    `value` is JSON, `text` and `base64` are the bytes themselves, `tombstone: true` is none; `timestamp` is
    milliseconds or RFC 3339. Raises GivenError.
    """
    for key in given:
        if key not in GIVEN:
            raise GivenError(key, f"a record has no `{key[:60]}`; it has {', '.join(GIVEN)}")
    topic = given.get("topic")
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise GivenError("topic", "a record needs `topic`, the name of a topic")
    return PlainRecord(
        topic,
        _whole(given, "partition"),
        _whole(given, "offset"),
        _value(given, file),
        key=_bytes("key", given.get("key")),
        timestamp=milliseconds("timestamp", given.get("timestamp")),
        headers=_headers(given.get("headers")),
    )


def _whole(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key, 0)
    if type(value) is not int or not 0 <= value < 2**63:
        raise GivenError(key, f"`{key}` must be a whole number, 0 or more")
    return value


def _value(given: Mapping[str, Any], file: bytes | None) -> bytes | None:
    ways = [key for key in VALUE_KEYS if key in given]
    if len(ways) != 1:
        named = ways[1] if ways else "value"
        raise GivenError(named, f"a record has one of {', '.join(f'`{key}`' for key in VALUE_KEYS)}")
    way, value = ways[0], given[ways[0]]
    if way == "value":
        return dumps(value)
    if way == "tombstone":
        if value is not True:
            raise GivenError(way, "write `tombstone: true`, or give a value")
        return None
    if way == "file":
        if file is None:
            raise GivenError(way, "there is no such file")
        return file
    if not isinstance(value, str):
        raise GivenError(way, f"`{way}` must be text")
    if way == "text":
        return value.encode()
    try:
        return b64decode(value, validate=True)
    except (Base64Error, ValueError):
        raise GivenError(way, "this is not base64") from None


def _bytes(name: str, value: Any) -> bytes | None:
    """Text as it is; any other value as JSON, for topics with `key: json`."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else dumps(value)


def milliseconds(name: str, value: Any) -> int:
    """Read a time: milliseconds since 1970, or RFC 3339 as text; -1 for none. Raises GivenError."""
    if value is None:
        return -1
    if type(value) is int and value >= 0:
        return value
    if isinstance(value, str):
        try:
            return round(float(parse_time(value)) * 1000)
        except JqError:
            pass
    raise GivenError(name, f'`{name}` must be milliseconds since 1970, or a time such as "2026-01-31T12:00:00Z"')


def _headers(value: Any) -> Headers | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(text is None or isinstance(text, str) for text in value.values()):
        raise GivenError("headers", "`headers` must be names and texts: {content-type: application/json}")
    return [(name, None if text is None else text.encode()) for name, text in value.items()]


ReadFile = Callable[[str], bytes | None]


def read_examples(document: Document, rules: Collection[str], read: ReadFile) -> tuple[ExampleFile, list[Finding]]:
    """Read a composed file; `rules` are the names that there are, `read` gives the content of a file beside it."""
    reader = _Reader(rules, read)
    reader.findings += document.findings
    root = document.root
    examples: tuple[Example, ...] = ()
    if isinstance(root, MappingNode):
        examples = reader.file(root)
    elif document.complete:
        hint = "begin with `tests:` and a list of tests"
        message = "a file of tests is keys and values"
        source = document.source
        reader.findings.append(
            root.finding("T001", message, hint)
            if root is not None
            else Finding("T001", "error", source.path, 0, 0, 0, "the file is empty", hint)
        )
    findings = without_echoes_in_tests(document.source, reader.findings)
    return ExampleFile(document.source.path, document.source, examples), findings


def plain(node: YamlNode) -> Any:
    """Turn nodes into JSON values."""
    if isinstance(node, MappingNode):
        return {entry.name: plain(entry.value) for entry in node}
    if isinstance(node, ListNode):
        return [plain(item) for item in node]
    return node.value


class _Reader:
    def __init__(self, rules: Collection[str], read: ReadFile) -> None:
        self.findings: list[Finding] = []
        self._rules = rules
        self._read = read
        self._names: dict[str, int] = {}
        self._shared_is_wrong = False

    def _add(self, node: YamlNode, code: str, message: str, hint: str | None = None) -> None:
        self.findings.append(node.finding(code, message, hint))

    def _unknown(self, what: str, node: MappingNode, known: Keys) -> set[str]:
        """Find keys that are not known; returns those that were meant, whose absence is not told then."""
        found: set[str] = set()
        for entry in node:
            if entry.name not in known:
                meant = did_you_mean(entry.name, known)
                hint = f"did you mean `{meant}`?" if meant else f"{what} has {', '.join(known)}"
                if known is TEST and entry.name in GIVEN:
                    meant, hint = "given", "write it below `given`"
                self._add(entry.key, "T002", f"`{entry.name[:60]}` is no key of {what}", hint)
                found |= set() if meant is None else {meant}
        return found

    def file(self, root: MappingNode) -> tuple[Example, ...]:
        meant = self._unknown("a file of tests", root, TEST_FILE)
        version = root.get("version")
        if version is not None and not (isinstance(version, Scalar) and version.value == 1):
            self._add(version, "T004", "this version of test files is not known", "write version: 1")
        shared = self._mapping("given", root.get("given"), "for example given: {topic: orders.v1}")
        self._shared_is_wrong = shared is None and root.get("given") is not None
        if shared is not None:
            self._unknown("`given`", shared, GIVEN)
        tests = root.get("tests")
        if tests is None and "tests" in meant:
            return ()
        if not isinstance(tests, ListNode):
            where: YamlNode = root if tests is None else tests
            code = "T003" if tests is None else "T004"
            self._add(where, code, "the file has no list of `tests`", "add tests: and `- name: …` below it")
            return ()
        made = (self._test(item, shared) for item in tests)
        return tuple(example for example in made if example is not None)

    def _mapping(self, key: str, node: YamlNode | None, example: str) -> MappingNode | None:
        if node is None or isinstance(node, MappingNode):
            return node
        self._add(node, "T004", f"`{key}` must be keys and values", example)
        return None

    def _test(self, node: YamlNode, shared: MappingNode | None) -> Example | None:
        if not isinstance(node, MappingNode):
            self._add(node, "T004", "a test is keys and values", "write - name: a paid order")
            return None
        before = len(self.findings)
        meant = self._unknown("a test", node, TEST)
        name = "" if "name" in meant else self._name(node)
        given = node.get("given")
        own = self._mapping("given", given, "for example given: {topic: orders.v1, value: {…}}")
        if given is None and shared is None and "given" not in meant:
            self._add(node, "T003", "the test has no `given`", "add given: {topic: orders.v1, value: {…}}")
        record = None
        if own is not None or (given is None and "given" not in meant):
            record = self._record(own, shared)
        at = self._at(node.get("at"))
        outcome, expected = self._expect(node)
        if record is None or len(self.findings) > before:
            return None
        return Example(name, record, at, outcome, expected, node, node.entry("expect"))

    def _name(self, node: MappingNode) -> str:
        name = node.get("name")
        if not isinstance(name, Scalar) or not isinstance(name.value, str) or not name.value.strip():
            if isinstance(name, Scalar) and name.text and not isinstance(name.value, str):
                self._add(name, "T004", "the name must be text", f'write name: "{name.text[:60]}"')
            else:
                self._add(name or node, "T003", "a test needs a `name`", "add name: a paid order")
            return ""
        first = self._names.setdefault(name.text, name.start.line)
        if first != name.start.line:
            self._add(name, "T007", f"the test in line {first} has this name, too", "give each its own")
        return name.text

    def _record(self, own: MappingNode | None, shared: MappingNode | None) -> PlainRecord | None:
        """Make the record of `given`, what all tests share under it."""
        entries = {entry.name: entry for part in (shared, own) if part is not None for entry in part}
        if own is not None and any(own.get(key) is not None for key in VALUE_KEYS):
            for key in VALUE_KEYS:
                if own.get(key) is None:
                    entries.pop(key, None)
        given = {key: plain(entry.value) for key, entry in entries.items()}
        file = self._read(given["file"]) if isinstance(given.get("file"), str) else None
        try:
            return record_of(given, file)
        except GivenError as error:
            entry = entries.get(error.key)
            where: YamlNode | None = own if own is not None else shared
            if (entry is None and where is None) or (error.key == "topic" and self._shared_is_wrong):
                return None
            code = "T002" if error.key not in GIVEN else "T006"
            if code == "T006" or own is None:
                self._add(entry.value if entry is not None else where, code, str(error))  # type: ignore[arg-type]
            else:
                self._unknown("`given`", own, GIVEN)
            return None

    def _at(self, node: YamlNode | None) -> int | None:
        if node is None:
            return None
        try:
            return milliseconds("at", plain(node))
        except GivenError as error:
            self._add(node, "T004", str(error))
            return None

    def _expect(self, test: MappingNode) -> tuple[str | None, tuple[Expected, ...]]:
        node = test.get("expect")
        if node is None:
            return None, ()
        if isinstance(node, Scalar):
            if node.value not in OUTCOMES:
                meant = did_you_mean(node.text, OUTCOMES)
                hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(OUTCOMES)}"
                self._add(node, "T005", f"`{node.text[:60]}` is no outcome of a record", hint)
                return None, ()
            return node.text, ()
        items = node if isinstance(node, ListNode) else (node,)
        made = [self._expected(item) for item in items]
        return None, tuple(expected for expected in made if expected is not None)

    def _expected(self, node: YamlNode) -> Expected | None:
        if not isinstance(node, MappingNode) or (node.get("event") is None) == (node.get("error") is None):
            hint = "write - event: order_placed, or - error: text_null"
            self._add(node, "T003", "each of `expect` is an event or an error", hint)
            return None
        is_event = node.get("event") is not None
        self._unknown("an expected event" if is_event else "an expected error", node, EVENT if is_event else ERROR)
        for entry in node:
            self._typed(entry.name, entry.value)
        self._words(node)
        keys = {entry.name: plain(entry.value) for entry in node}
        partial = keys.pop("match", "exact") == "partial"
        if keys.get("expired") is False:
            del keys["expired"]
        return Expected("event" if is_event else "error", keys, partial)

    def _typed(self, key: str, node: YamlNode) -> None:
        declared = EVENT.get(key, ERROR.get(key))
        if declared is None or not isinstance(declared.kind, Typed):
            return
        wanted, words, _schema = declared.kind
        value = plain(node)
        if type(value) is not wanted:
            self._add(node, "T004", f"`{key}` must be {words}", "put it in quotes" if wanted is str else None)
        elif key == "match" and value not in ("exact", "partial"):
            self._add(node, "T004", f"`{key}` must be {words}")
        elif key == "attachments" and isinstance(node, ListNode):
            for item in node:
                if isinstance(item, MappingNode):
                    self._unknown("an attachment", item, SENT_ATTACHMENT)
                else:
                    self._add(item, "T004", "an attachment is {url: …, filename: …}")

    def _words(self, node: MappingNode) -> None:
        """Rules and codes that there are not would never match."""
        for key, known, what in (("rule", self._rules, "rule"), ("error", FAULTS, "code of an error")):
            word = node.get(key)
            if isinstance(word, Scalar) and isinstance(word.value, str) and word.value not in known:
                meant = did_you_mean(word.value, known)
                hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(list(known)[:12])}"
                self._add(word, "T005", f"there is no {what} `{word.value[:60]}`", hint)


LARGEST_RECORD: Final = 16 * 1024 * 1024
_SUFFIXES: Final = (".test.yaml", ".test.yml")


def test_paths(directory: Path) -> list[Path]:
    """List the tests of a directory (not those below it), by name, bytewise. Raises OSError."""
    found = (path for path in directory.iterdir() if path.name.endswith(_SUFFIXES) and not path.name.startswith("."))
    return sorted((path for path in found if not path.is_dir()), key=lambda path: os.fsencode(path.name))


def load_examples(path: Path, rules: Collection[str]) -> tuple[ExampleFile, list[Finding]]:
    """Read one file of tests; `rules` are the names of the rules that there are. Never raises."""

    def beside(name: str) -> bytes | None:
        try:
            with (path.parent / name).open("rb") as file:
                content = file.read(LARGEST_RECORD + 1)
        except (OSError, ValueError):
            return None
        return content if len(content) <= LARGEST_RECORD else None

    return read_examples(read(path), rules, beside)
