"""A directory of rule files → RuleSet and findings: all that is wrong, all at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from bridge.document import LARGEST, Document, Source, compose
from bridge.findings import Codes, Finding, FindingCode, in_order
from bridge.jq import Defs, JqProblem, compile_defs
from bridge.rules.map.scope import DEF_VARIABLES
from bridge.rules.model import RuleSet
from bridge.rules.read.advice import without_echoes
from bridge.rules.read.cross_rule import across
from bridge.rules.read.expressions import JQ_CODES
from bridge.rules.read.file_reader import read_file

__all__ = ["CODES", "SHARED_DEFS", "Loaded", "is_rule_file", "load_rules", "load_texts", "rule_paths"]

CODES: Final[Codes] = {
    "R001": FindingCode("The rules cannot be read, or there are none.", "Name a directory with `*.yaml` files."),
}

SHARED_DEFS: Final = "defs.jq"
_SUFFIXES: Final = (".yaml", ".yml")
_TESTS: Final = (".test.yaml", ".test.yml")
_ALMOST: Final = (".yaml", ".yml", ".yalm", ".ymal", ".ylm", ".yaml.txt", ".yml.txt")
"""Ends of names of what was probably meant to hold rules, in small letters."""


class Loaded(NamedTuple):
    """Rules and what is wrong with them. With an error among the findings the rules are for further messages only.

    `sources` maps each path to its text, for printing findings.
    """

    rules: RuleSet
    findings: tuple[Finding, ...]
    sources: dict[str, str]


def is_rule_file(name: str) -> bool:
    """Say whether a file of a rules directory holds rules: `*.yaml` or `*.yml`, no tests, not hidden."""
    return name.endswith(_SUFFIXES) and not name.endswith(_TESTS) and not name.startswith(".")


def rule_paths(directory: Path) -> list[Path]:
    """List the rule files of a directory (not those below it), by name, bytewise. Raises OSError."""
    found = [path for path in directory.iterdir() if is_rule_file(path.name) and not path.is_dir()]
    return sorted(found, key=lambda path: os.fsencode(path.name))


def load_rules(path: Path) -> Loaded:
    """Load a directory of rules, or one rule file alone (with the `defs.jq` beside it). Never raises.

    Paths in findings are as `path` is given. Reads files; everything else is pure.
    """
    try:
        if not path.is_dir() and path.name.endswith(_TESTS):
            message = "this is a file of tests, not of rules"
            finding = Finding("R001", "error", str(path), 0, 0, 0, message, "name the directory, or a file of rules")
            return Loaded(RuleSet((), ""), (finding,), {})
        paths = rule_paths(path) if path.is_dir() else [path]
        shared_path = (path if path.is_dir() else path.parent) / SHARED_DEFS
        shared = _bytes(shared_path) if shared_path.is_file() else None
        loaded = load_texts([(str(one), _bytes(one)) for one in paths], shared, str(path), str(shared_path))
        left = _not_read(path)
        if not paths and left:
            # What is there is said instead of what is not.
            return loaded._replace(findings=tuple(replace(one, severity="error") for one in in_order(left)))
        return loaded._replace(findings=tuple(in_order([*loaded.findings, *left])))
    except OSError as error:
        reason = error.strerror or "not a usable path"
        where = str(error.filename or path)
        finding = Finding(
            "R001", "error", where, 0, 0, 0, f"the rules cannot be read: {reason}", "name their directory"
        )
        return Loaded(RuleSet((), ""), (finding,), {})


def _not_read(path: Path) -> list[Finding]:
    """Files and directories that look as if they held rules, and are not read."""
    found = []
    for one in path.iterdir() if path.is_dir() else ():
        name = one.name.lower()
        if name.startswith(".") or is_rule_file(one.name) or one.name.endswith(_TESTS):
            continue
        if one.is_dir():
            holds = os.access(one, os.R_OK | os.X_OK) and any(is_rule_file(inner.name) for inner in one.iterdir())
            message = "this directory holds rules that are not read: directories below are left out"
            hint = "put the files beside the others, or name this directory"
        else:
            holds = name.endswith(_ALMOST)
            message = "this file is not read: rules are in files named *.yaml or *.yml"
            hint = "rename it, or move it away"
        if holds:
            found.append(Finding("R001", "warning", str(one), 0, 0, 0, message, hint))
    return found


def _bytes(path: Path) -> bytes:
    """Read a file. Raises OSError; also for what is none: a pipe would never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def load_texts(
    files: Sequence[tuple[str, bytes]], shared: bytes | None = None, directory: str = "", shared_path: str = SHARED_DEFS
) -> Loaded:
    """Load rules from `(path, content)` pairs in their order, and the content of `defs.jq`. Pure; never raises."""
    findings: list[Finding] = []
    sources: dict[str, str] = {}
    if not files:
        hint = "rules are in files named *.yaml or *.yml"
        findings.append(Finding("R001", "error", directory, 0, 0, 0, "there are no rule files here", hint))
    defs = _shared_defs(shared, shared_path, findings, sources)
    read = []
    for path, content in files:
        document: Document = compose(content, path)
        sources[path] = document.source.text
        rule_file, found = read_file(document, defs)
        read.append(rule_file)
        findings += without_echoes(document.source, found)
    findings += across(read)
    rules = RuleSet(tuple(read), _hash(files, shared))
    return Loaded(rules, tuple(in_order(findings)), sources)


def _shared_defs(content: bytes | None, path: str, findings: list[Finding], sources: dict[str, str]) -> Defs | None:
    """Compile `defs.jq`; no functions where there is no such file, None where it does not compile."""
    try:
        text = "" if content is None else content.decode()
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 text (byte {error.start})"
        findings.append(Finding("R001", "error", path, 0, 0, 0, message, "save it as UTF-8"))
        return None
    if content is not None:
        sources[path] = text
    if len(text) > LARGEST:
        message = f"the file is larger than {LARGEST:,} bytes"
        findings.append(Finding("R001", "error", path, 0, 0, 0, message, "keep functions that are used"))
        return None
    try:
        return compile_defs(text, variables=DEF_VARIABLES)
    except JqProblem as problem:
        code = JQ_CODES.get(problem.code, "R019")
        findings.append(Source(path, text).finding(code, problem.start, problem.end, problem.message, problem.hint))
        return None


def _hash(files: Sequence[tuple[str, bytes]], shared: bytes | None) -> str:
    """Digest names and contents in order: the same files give the same hash on every machine, wherever they are."""
    digest = blake2b(b"rules1", digest_size=16)
    named = [(os.path.basename(path), content) for path, content in files]  # noqa: PTH119 - a name, not a file
    for name, content in [*named, *([] if shared is None else [(SHARED_DEFS, shared)])]:
        for part in (os.fsencode(name), content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
