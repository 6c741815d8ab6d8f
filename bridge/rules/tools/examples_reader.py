"""A `*.test.yaml` → examples, and everything wrong with it as findings: a misspelt key never makes a test pass."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from bridge.document import Document, ListNode, MappingNode, Scalar, YamlNode
from bridge.findings import Finding, did_you_mean
from bridge.flow import PlainRecord
from bridge.rules.map.faults import FAULTS
from bridge.rules.read.advice import without_echoes_in_tests
from bridge.rules.read.example_keys import ERROR, EVENT, GIVEN, OUTCOMES, SENT_ATTACHMENT, TEST, TEST_FILE
from bridge.rules.read.keys import Keys, Typed
from bridge.rules.tools.examples import Example, ExampleFile, Expected
from bridge.rules.tools.examples_given import VALUE_KEYS, GivenError, milliseconds, record_of

__all__ = ["plain", "read_examples"]

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
