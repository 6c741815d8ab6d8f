"""No secret on the screen: the text of a settings file as messages may show it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.document import CODES, Document, ListNode, MappingNode, Source, YamlNode
from bridge.findings import Finding
from bridge.settings.passthrough import ALLOWED
from bridge.settings.rows import former_places, section_at, settings_table
from bridge.settings.suprsend import AnswerRow

__all__ = ["masked"]

_KEY = re.compile(r"(?P<key>[\w.-]{1,64})['\"]?[ \t]{0,64}:[ \t]{0,64}(?P<value>[^\r\n]*)")
_SECRET = re.compile(r"(?i)password|secret|token|api_key|workspace_key|proxy|jaas|credential")
_NO_SECRETS = ("_file", "token_endpoint", ".location")
_INK = re.compile(r"[^\s][^\r\n]*")


def masked(document: Document, findings: Iterable[Finding]) -> tuple[list[Finding], str]:
    """Return the findings and the text of the file with every value hidden that is, or could be, a secret.

    Hidden are the values of keys that are named like one, and those of keys that do not exist (a misspelt
    `password` is no better on a screen); where the YAML could not be read to its end, all but what stands behind a
    known key. Findings of the YAML itself quote what they found: on a hidden line they say only what kind of mistake
    it is.
    """
    source = document.source
    spans = [*_behind_keys(source)]
    if document.complete:
        spans += _of_nodes(document.root, ())
    else:
        spans += _without_key(source.text)
    chars = list(source.text)
    lines: set[int] = set()
    for start, end in spans:
        first, last = source.place(start).line, source.place(max(start, end - 1)).line
        lines.update(range(first, last + 1))
        chars[start:end] = ["*" if not char.isspace() else char for char in chars[start:end]]
    quiet = [
        replace(
            finding,
            message=CODES[finding.code].title.rstrip(".").lower(),
            hint="write the value in single quotes, or use the `_file` key",
        )
        if finding.code in CODES and finding.line in lines
        else finding
        for finding in findings
    ]
    return quiet, "".join(chars)


def _is_secret(key: str) -> bool:
    return _SECRET.search(key) is not None and not key.lower().endswith(_NO_SECRETS)


def _behind_keys(source: Source) -> Iterator[tuple[int, int]]:
    """Find what stands behind each key to be hidden, to the end of its line and over the lines that belong to it.

    By the text, since nodes are not there for what YAML dropped: comments, and the second of two equal keys.
    """
    places = [*settings_table(), *former_places()]
    known = {name for path in places for name in path} | set(AnswerRow.model_fields) | set(ALLOWED)
    position = 0
    while match := _KEY.search(source.text, position):
        position = match.start("value")
        if match["key"] in known and not _is_secret(match["key"]):
            continue
        column = source.place(match.start()).column
        line = source.text[match.start() - column + 1 : match.start()]
        position = _end_of_value(source.text, match.end(), len(line) - len(line.lstrip(" -")))
        yield match.start("value"), position


def _without_key(text: str) -> Iterator[tuple[int, int]]:
    """Find the lines that have no key: they may go on with a value that began above."""
    for match in _INK.finditer(text):
        if _KEY.search(match.group()) is None:
            yield match.span()


def _end_of_value(text: str, end: int, indent: int) -> int:
    """A value goes on over the lines behind it that are indented more than its key, and blank ones."""
    deeper = r"[ \t]{" + str(indent + 1) + r",}[^\r\n]*"
    further = re.compile(r"(?:\r\n|\r|\n)(?:" + deeper + r"|[ \t]*(?=[\r\n]|\Z))")
    while (match := further.match(text, end)) and match.end() > end:
        end = match.end()
    return end


def _of_nodes(node: YamlNode | None, path: tuple[str | int, ...]) -> Iterator[tuple[int, int]]:
    """Find the values of keys that do not exist or are secrets, wherever they end."""
    section = section_at(path)
    if isinstance(node, ListNode):
        for index, item in enumerate(node):
            yield from _of_nodes(item, (*path, index))
    if not isinstance(node, MappingNode):
        return
    former = {old[len(path)] for old in former_places() if old[: len(path)] == path and len(old) > len(path)}
    known = former | set(section.model_fields if section is not None else ())
    if not known:
        return
    for entry in node:
        if entry.name in known and not _is_secret(entry.name):
            yield from _of_nodes(entry.value, (*path, entry.name))
        else:
            yield entry.value.start.index, entry.value.end.index
