"""Mistakes that YAML reports badly or not at all: text that is not YAML, comments that cut a value, tabs."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bridge.document.nodes import Scalar, Source
from bridge.findings import Finding

__all__ = ["COMMENT", "cut_by_comments", "syntax_finding", "tab_findings"]

_QUOTES = "write the value in quotes"
_NEVER_CLOSED = "this is opened here and never closed"
_ODD_SPACE = re.compile(
    "^[ \t]*(?:- *)?[\u00a0\u2000-\u200b\u202f\u2060\u3000\ufeff]|:[\u00a0\u2000-\u200b\u202f\u3000]"
)
_BLOCK = re.compile(r":[ \t]+[|>][-+0-9]*[ \t]*$")
_NO_SPACE = re.compile(r"\s*(?:- +)?[\w.-]+:[^\s/]")

_CLEARER: tuple[tuple[str, str, str | None], ...] = (
    ("mapping values are not allowed", "`: ` makes a key here, where no key can be", "write the whole value in quotes"),
    ("found unexpected end of stream", _NEVER_CLOSED, "close it, or write the value in quotes"),
    ("ends early", "the text ends here in the middle of a list or mapping", "close it with `]` or `}`"),
    ("did not find expected node content", "a value is missing here", "is there a `,` or `[` too many?"),
    ("did not find expected alphabetic", "`*` and `&` begin an alias or anchor", _QUOTES),
    ("did not find expected comment or line", "nothing may follow here", "begin the text on the next line, indented"),
    ("could not find expected ':'", "a key must be followed by `: ` on its line", "is the `:` or a quote missing?"),
    (
        "did not find expected key",
        "this does not belong to the mapping that it stands in",
        "is the indentation right, and are all quotes and brackets closed?",
    ),
    ("did not find expected '-' indicator", "this does not belong to the list that it stands in", "begin it with `- `"),
    ("did not find expected ',' or", "a `[` or `{` list has no `,` here and does not end", "is a quote missing?"),
    ("found unknown escape character", "this escape is not known in double quotes", "write `\\\\`, or single quotes"),
    ("found a tab character", "a tab cannot indent", "indent with spaces"),
    ("block sequence entries are not allowed", "a list cannot begin here", "begin it on a line of its own"),
)
"""Part of libyaml's words → ours, and what to do."""


class _Trouble(NamedTuple):
    """What libyaml says: the problem and where, and what it was reading and where that began."""

    problem: str
    at: int
    reading: str
    began: int | None


def syntax_finding(source: Source, error: Any) -> Finding:
    """Turn the parser's error into a finding."""
    trouble = _trouble(source, error)
    index = trouble.at
    invisible = _invisible(source, index)
    if invisible is not None:
        return invisible
    if source.text[index : index + 1] == "\t":
        return source.finding("Y006", index, index + 1, "a tab cannot stand here", "indent and align with spaces")
    return _about_expression(source, trouble) or source.finding("Y005", index, index + 1, *_words(source, trouble))


def _invisible(source: Source, index: int) -> Finding | None:
    """A space that is none, in the indentation or behind a `:`, in the line of the trouble or the one before."""
    start, line = line_at(source.text, index)
    for at, text in (line_before(source.text, start), (start, line)):
        found = _ODD_SPACE.search(text)
        if found is not None:
            where = at + found.end() - 1
            message = f"an invisible character (U+{ord(source.text[where]):04X}) stands here, where a space belongs"
            return source.finding("Y003", where, where + 1, message, "write an ordinary space")
    return None


def _trouble(source: Source, error: Any) -> _Trouble:
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable")
    index = mark.index if mark is not None else 0
    began = context.index if context is not None else None
    end = len(source.text.rstrip())
    if began is not None and line_at(source.text, began)[0] < line_at(source.text, index)[0]:
        if "did not find expected ','" in problem:
            problem, index = "found unexpected end of stream", began
        elif "could not find expected ':'" in problem:
            index = began
    if index >= end:
        # At the end of the file nothing can be shown: what is still open is, or else the last character.
        opened = began is not None and began < end
        problem = "found unexpected end of stream" if opened else "ends early"
        index = began if opened and began is not None else max(0, end - 1)
    return _Trouble(problem, index, str(getattr(error, "context", None) or ""), began)


def _words(source: Source, trouble: _Trouble) -> tuple[str, str | None]:
    if "cannot start any token" in trouble.problem:
        return f"a value cannot begin with `{source.text[trouble.at : trouble.at + 1]}`", _QUOTES
    if "mapping values" in trouble.problem and ": " not in _before(source, trouble.at):
        message = "a key cannot stand here"
        return message, "is the indentation right, and does the line before have its `: `?"
    if "could not find expected ':'" in trouble.problem and _NO_SPACE.match(line_at(source.text, trouble.at)[1]):
        return "a `:` needs a space behind it to make a key", "write `key: value`"
    if "expected '-' indicator" in trouble.problem and not _before(source, trouble.at).strip():
        return _no_item(source, trouble)
    for part, message, hint in _CLEARER:
        if part in trouble.problem:
            return message, hint
    return f"the text is not YAML: {trouble.problem[:120]}", None


def _no_item(source: Source, trouble: _Trouble) -> tuple[str, str]:
    """A line where only `- ` can stand."""
    message = "this does not belong to the list that it stands in"
    if line_at(source.text, trouble.at)[1].lstrip().startswith("-"):
        return message, "write `- ` with a space"
    return message, "begin it with `- `, or indent it as the lines that it belongs to"


def _before(source: Source, index: int) -> str:
    start, line = line_at(source.text, index)
    return line[: index - start]


def _about_expression(source: Source, trouble: _Trouble) -> Finding | None:
    """Look for a `${` that YAML stumbled over: left open on the line before, or begun on the line of the trouble, or
    in what it was reading; not one that follows the trouble, since then indentation or a key is at fault.
    """
    start, line = line_at(source.text, trouble.at)
    earlier, line_earlier = line_before(source.text, start)
    if _BLOCK.search(line_earlier) and line.lstrip().startswith("${"):
        at = start + len(line) - len(line.lstrip())
        return source.finding("Y005", at, at + 1, "this does not belong to the block above it", "indent it more")
    if "${" in line_earlier and is_open(line_earlier):
        return _unquoted(source, earlier, line_earlier, trouble.at)
    if "${" in line[: trouble.at - start + 2]:
        return _unquoted(source, start, line, trouble.at)
    if trouble.began is not None and "block" not in trouble.reading:
        start, line = line_at(source.text, trouble.began)
        if "${" in line:
            return _unquoted(source, start, line, trouble.began)
    return None


def _unquoted(source: Source, start: int, line: str, index: int) -> Finding:
    hint = f"{_QUOTES}:\n{as_quoted(line)}"
    comment = COMMENT.search(line)
    if comment is not None and is_open(line[: comment.start()]):
        at = start + comment.start() + comment.group().index("#")
        message = "` #` begins a comment here, in the middle of a value with `${`"
        return source.finding("Y015", at, at + 1, message, hint)
    if not start <= index < start + len(line):
        index = start + line.index("${")
    return source.finding("Y016", index, index + 1, "YAML cannot read this value with `${` as it stands", hint)


_TAB = re.compile("\t+")
_MOST_TABS = 20
_HOLDS_JQ = re.compile(r"\$\{|(?:^|[\s(])[.$][A-Za-z_]")
"""An expression, in `${ }` or alone as in `when`."""


def cut_by_comments(source: Source, scalars: Iterable[Scalar]) -> list[Finding]:
    """Find plain values that a ` #` ended in the middle of an expression."""
    if "#" not in source.text:
        return []
    found = (_cut(source, scalar) for scalar in scalars if scalar.style == "plain")
    return [finding for finding in found if finding is not None]


def _cut(source: Source, scalar: Scalar) -> Finding | None:
    match = COMMENT.match(source.text, scalar.end.index)
    if match is None:
        return None
    unfinished = _HOLDS_JQ.search(scalar.text) is not None and is_open(scalar.text)
    if not unfinished and "${" not in match.group(1):
        return None
    at = match.start() + match.group().index("#")
    line = line_at(source.text, at)[1]
    message = "` #` begins a comment here, so that what follows is not part of the value"
    hint = f"if it should be, write the value in quotes:\n{as_quoted(line)}"
    return source.finding("Y015", at, match.end(), message, hint, "error" if unfinished else "warning")


def tab_findings(source: Source, scalars: Sequence[Scalar]) -> list[Finding]:
    """Find the tabs outside of quotes, blocks and comments: YAML lets a few of them pass, editors show them as any."""
    if "\t" not in source.text:
        return []
    kept = sorted((scalar.start.index, scalar.end.index) for scalar in scalars if scalar.style != "plain")
    comments = _comment_starts(source.text, kept)
    found: list[Finding] = []
    for match in _TAB.finditer(source.text):
        if _within(kept, match.start()) or _within(comments, match.start()):
            continue
        found.append(source.finding("Y006", match.start(), match.end(), "a tab", "use spaces"))
        if len(found) >= _MOST_TABS:
            break
    return found


def _comment_starts(text: str, kept: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    spans = (
        (match.end() - len(match.group(1)) - 1, match.end())
        for match in re.finditer(r"(?:^|[ \t])#(.*)", text, re.MULTILINE)
    )
    return [span for span in spans if not _within(kept, span[0])]


def _within(spans: Sequence[tuple[int, int]], index: int) -> bool:
    position = bisect_right(spans, (index, sys.maxsize)) - 1
    return position >= 0 and spans[position][0] <= index < spans[position][1]


COMMENT = re.compile(r"[ \t]+#([^\r\n]*)")
_VALUE_LINE = re.compile(r"""(\s*(?:-\ +)*(?:[^\s'"#:{}\[\],]+:\ +)?)(\S.*?)\s*""", re.DOTALL)
_IN_FLOW = re.compile(r"\$\{[^{}'\"]*\}")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def line_at(text: str, index: int) -> tuple[int, str]:
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    end = min((found for found in (text.find("\n", index), text.find("\r", index)) if found >= 0), default=len(text))
    return start, text[start : max(start, end)]


def line_before(text: str, start: int) -> tuple[int, str]:
    end = len(text[max(0, start - 2) : start].rstrip("\r\n"))
    return line_at(text, max(0, start - 2) + end) if start else (0, "")


def as_quoted(line: str) -> str:
    """Show a line of YAML with its value in single quotes, or in a block where it holds some itself."""
    match = _VALUE_LINE.fullmatch(line)
    if match is None or len(line) > 400:
        return "key: '${ … }'"
    before, value = match.groups()
    if value[0] in "'\"" and len(value) > 1 and value[0] == value[-1]:
        value = value[1:-1]
    elif value[0] in "'\"" and value.count(value[0]) == 1:
        value = value[1:]
    elif value.startswith(("| ", "> ")):
        value = value[2:].lstrip()
    if value[0] in "{[":
        quoted = _IN_FLOW.sub(_quoted, value)
        return f"{before.strip()} {quoted}" if quoted != value else "key: '${ … }'"
    if "'" not in value:
        return f"{before.strip()} '{value}'"
    head = before.strip()
    indent = len(head) - len(head.lstrip("- ")) + 2
    return f"{head} |\n{' ' * indent}{value}"


def _quoted(match: re.Match[str]) -> str:
    return f"'{match.group()}'"


def is_open(text: str) -> bool:
    """Say whether a quote or bracket is still open at the end of the text behind its first `${`."""
    text = text[text.find("${") + 1 :] if "${" in text else text
    stack: list[str] = []
    quoted = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "([{":
            stack.append(char)
        elif char in _PAIRS and stack and stack[-1] == _PAIRS[char]:
            stack.pop()
    return quoted or bool(stack)
