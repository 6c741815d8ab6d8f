"""Comments that cut a value, and tabs: what YAML lets pass and people did not mean."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from bridge.document.lines import COMMENT, as_quoted, is_open, line_at
from bridge.document.nodes import Scalar, Source
from bridge.findings import Finding

__all__ = ["cut_by_comments", "tab_findings"]

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
