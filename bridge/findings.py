"""What `check`, `run` and the loaders have to say about a file: one shape, three ways to print it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple, get_args

from bridge.jsontext import OPT_INDENT_2, dumps

__all__ = [
    "FORMATS",
    "Codes",
    "Finding",
    "FindingCode",
    "FindingsError",
    "Format",
    "Severity",
    "did_you_mean",
    "has_errors",
    "in_order",
    "render",
    "visible",
]

Severity = Literal["error", "warning"]
Format = Literal["text", "json", "github"]
FORMATS: tuple[Format, ...] = get_args(Format)

_WIDEST = 160
"""Characters of a source line that are shown; of a longer one, the stretch around the place."""
_UNSEEN = frozenset({"Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (`error`) or doubtful (`warning`), and where.

    `code` is stable (`Y…` YAML, `S…` settings, `R…` rules). `path` names the file as the user gave it, or the
    environment variable; `line` and `column` count from 1, in characters; line 0 means the file as a whole, or no
    file. `end_column` is the first column behind the place, or 0 where unknown. `hint` says what to write instead.
    """

    code: str
    severity: Severity
    path: str
    line: int
    column: int
    end_column: int
    message: str
    hint: str | None = None


class FindingCode(NamedTuple):
    """What a code stands for: what is wrong, what to write instead, text that has it, and how bad it is at worst."""

    title: str
    instead: str
    example: str = ""
    severity: Severity = "error"


Codes = Mapping[str, FindingCode]
"""A table of codes; they are declared where they are found."""


class FindingsError(Exception):
    """A file (or the environment) cannot be used: `findings` has every mistake, `str()` is the text to print.

    `sources` is what `render` takes; secrets in it are hidden.
    """

    def __init__(self, findings: Sequence[Finding], sources: Mapping[str, str]) -> None:
        self.findings = in_order(findings)
        self.sources = sources
        super().__init__(render(self.findings, "text", sources).rstrip("\n"))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort as a reader works through them: by file, line and column, errors before warnings; each one once."""
    return sorted(set(findings), key=_rank)


def _rank(finding: Finding) -> tuple[bytes, int, int, bool, str, str]:
    path = finding.path.encode("utf-8", "surrogateescape")
    return (path, finding.line, finding.column, finding.severity != "error", finding.code, finding.message)


def has_errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """Name the candidate that `word` was probably meant to be, or None.

    Bounded time for any word: no comparison is made for one over 100 characters.
    """
    if len(word) > 100:
        return None
    spelled = {candidate.lower().replace("-", "_"): candidate for candidate in candidates}
    close = get_close_matches(word.lower().replace("-", "_"), spelled, n=1, cutoff=0.7)
    return spelled[close[0]] if close else None


def render(findings: Iterable[Finding], form: Format, sources: Mapping[str, str]) -> str:
    """Print the findings, sorted, as `text`, `json` or `github` (workflow commands); ends with a newline if any.

    `sources` maps a path to the text of that file, for the line with the caret; a path may be missing from it.
    """
    return _RENDERERS[form](in_order(findings), sources)


def _render_json(findings: Sequence[Finding], _sources: Mapping[str, str]) -> str:
    errors = sum(finding.severity == "error" for finding in findings)
    answer = {
        "errors": errors,
        "warnings": len(findings) - errors,
        "findings": [_scrubbed(finding) for finding in findings],
    }
    return dumps(answer, option=OPT_INDENT_2).decode() + "\n"


def _scrubbed(finding: Finding) -> dict[str, object]:
    """Replace lone surrogates, which no JSON text may hold (a path that is not UTF-8 has them)."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in asdict(finding).items()
    }


def _render_github(findings: Sequence[Finding], _sources: Mapping[str, str]) -> str:
    return "".join(_workflow_command(finding) for finding in findings)


def _workflow_command(finding: Finding) -> str:
    place = {"file": finding.path}
    if finding.line:
        place |= {"line": str(finding.line), "endLine": str(finding.line), "col": str(finding.column)}
        if finding.end_column:
            place["endColumn"] = str(finding.end_column)
    place["title"] = finding.code
    properties = ",".join(f"{name}={_escaped(value, in_property=True)}" for name, value in place.items())
    body = finding.message if finding.hint is None else f"{finding.message}\n{finding.hint}"
    return f"::{finding.severity} {properties}::{_escaped(body, in_property=False)}\n"


def _escaped(text: str, *, in_property: bool) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def _render_text(findings: Sequence[Finding], sources: Mapping[str, str]) -> str:
    lines: dict[str, list[str]] = {}
    shown: list[str] = []
    for finding in findings:
        if finding.path not in lines:
            lines[finding.path] = _lines_of(sources.get(finding.path, ""))
        shown.append(_one_text(finding, lines[finding.path]))
    return "".join(shown)


def _lines_of(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _one_text(finding: Finding, lines: Sequence[str]) -> str:
    place = visible(finding.path)
    if finding.line:
        place += f":{finding.line}:{finding.column}"
    text = f"{place}: {finding.severity}: {visible(finding.message)} [{finding.code}]\n"
    if 0 < finding.line <= len(lines) and lines[finding.line - 1].strip():
        text += _caret(lines[finding.line - 1], finding)
    if finding.hint:
        text += "".join(f"    {visible(line)}\n" for line in finding.hint.split("\n"))
    return text


def _caret(line: str, finding: Finding) -> str:
    start = min(finding.column - 1, len(line))
    end = min(max(finding.end_column - 1, start + 1), max(len(line), start + 1))
    first = 0 if len(line) <= _WIDEST else min(max(0, start - _WIDEST // 2), len(line) - _WIDEST)
    last = first + _WIDEST
    before, after = ("…" if first else ""), ("…" if last < len(line) else "")
    pad = _width(before + visible(line[first:start]))
    carets = max(1, _width(visible(line[start : min(end, last)])))
    shown = before + visible(line[first:last]) + after
    return f"    | {shown}\n    | {' ' * pad}{'^' * carets}\n"


def visible(text: str) -> str:
    """Return the text with everything that could act on a terminal, or hide in it, made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible_char, text))


def _visible_char(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if code < 0x7F:
        return char
    if 0x80 <= code < 0xA0 or unicodedata.category(char) in _UNSEEN:
        return f"<U+{code:04X}>"
    return char


def _width(text: str) -> int:
    """Count the terminal's columns: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


_RENDERERS = {"text": _render_text, "json": _render_json, "github": _render_github}
