"""Better advice than the engine can give, which knows neither rules nor what people write instead of jq. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.document import Source
from bridge.findings import Finding
from bridge.rules.jq import JqProblem
from bridge.rules.jq.builtins import BUILTINS
from bridge.rules.scope import VARIABLES

__all__ = ["advice", "with_expressions", "without_echoes"]

_HYPHENATED: Final = re.compile(r"[A-Za-z_][\w-]*$")
_PATH: Final = re.compile(r"[\w.\[\]]*")
_BRACES: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_YAML_ECHOES: Final = frozenset(("Y005", "Y008", "Y010", "Y016"))
_SHAPE_ECHOES: Final = frozenset(("R005", "R023", "R029"))
_MEANT: Final = re.compile(r"did you mean `([a-z_]+)`\?")
_LONGEST_RULE: Final = 40
"""Lines."""
_EXTRA: Final = {
    "now": "the record's own time is `$timestamp`, in milliseconds",
    "round": "`fixed(2)` gives two decimals, as text: `19.90`",
}


def advice(problem: JqProblem, text: str) -> str | None:
    """Return what to write instead, where more is known than the problem's own hint."""
    start, end = problem.start, problem.end
    found = text[start:end]
    name = re.match(r"[A-Za-z_]\w*", found)
    word = "" if name is None else name.group()
    if problem.code == "unknown-function":
        return _function(problem, text, word)
    if word in _EXTRA:
        return _EXTRA[word]
    if text.startswith("$.", start):
        rest = _PATH.match(text, start + 1)
        return f"write `{rest.group() if rest else '.field'}`: `.` is the record"
    if text[:start].endswith(".") and found.startswith("$"):
        return f"write `{found}` without the dot"
    if re.fullmatch(r"_[0-9]+", found) and text[:start][-1:].isdigit():
        return "write numbers without `_`"
    if problem.hint is None and "expected `end`" in problem.message:
        return "write `if … then … else … end`"
    return problem.hint


def with_expressions(text: str) -> str:
    """Write a text that was meant to hold an expression: `{{ name }}` or `.name` as `${ .name }`."""
    if "{{" not in text:
        return f"${{ {text} }}"
    return _BRACES.sub(lambda match: f"${{ {_path(match[1])} }}", text)


def _path(inner: str) -> str:
    inner = inner or ".field"
    return inner if inner.startswith((".", "$")) else f".{inner}"


def _function(problem: JqProblem, text: str, word: str) -> str | None:
    before = text[: problem.start]
    if before.endswith("-") and (left := _HYPHENATED.search(before[:-1])) and before[: left.start()].endswith("."):
        whole = left.group() + "-" + (re.match(r"[\w-]*", text[problem.start :]) or [""])[0]
        target = before[: left.start() - 1].rstrip()
        base = (re.search(r"\$?[\w.\[\]]*$", target) or [""])[0]
        return f'write `{base or "."}["{whole}"]`: a name with `-` stands in quotes'
    if word in VARIABLES:
        return f"write `${word}`"
    if " takes " not in problem.message:
        return problem.hint
    if word in _EXTRA:
        return _EXTRA[word]
    operand = re.match(r"\s+([.$][\w.\[\]]*)", text[problem.end :])
    if operand is not None and " not 0 arguments" in problem.message:
        return f"write `{word}({operand.group(1)})`: arguments stand in ( )"
    examples = [builtin.example[0] for builtin in BUILTINS.values() if builtin.name == word]
    return problem.hint or (f"for example `{examples[-1]}`" if examples else None)


def without_echoes(source: Source, findings: Iterable[Finding]) -> list[Finding]:
    """Leave one finding for one mistake.

    What YAML makes of a `{{ … }}` without quotes becomes one finding that says it; a key that is missing because it
    is misspelt is not missed.
    """
    found = list(_without_braces(source, list(findings)))
    for finding in [one for one in found if one.code == "R003"]:
        meant = _MEANT.search(finding.hint or "")
        if meant is None:
            continue
        word = f" has no `{meant[1]}`"
        missing = [one for one in found if one.code == "R004" and one.message.endswith(word) and _near(one, finding)]
        if missing:
            found.remove(min(missing, key=lambda one, line=finding.line: abs(one.line - line)))  # type: ignore[misc]
    return found


def _near(missing: Finding, unknown: Finding) -> bool:
    """Say whether a missing key (told at its rule's name) may be the unknown one."""
    return abs(missing.line - unknown.line) < _LONGEST_RULE or "the file has no" in missing.message


def _without_braces(source: Source, findings: list[Finding]) -> Iterator[Finding]:
    lines = source.text.splitlines()
    told: dict[int, Finding] = {}
    for finding in findings:
        line = lines[finding.line - 1] if 0 < finding.line <= len(lines) else ""
        braces = _BRACES.search(line)
        if braces is not None and "${" not in line and finding.code in _YAML_ECHOES and finding.line not in told:
            column = braces.start() + 1
            message = "`{{ … }}` is another language's: expressions stand in `${ }`"
            hint = f"write ${{ {_path(braces.group(1))} }}"
            told[finding.line] = Finding(
                "R016", "error", finding.path, finding.line, column, braces.end() + 1, message, hint
            )
    yield from told.values()
    yield from (one for one in findings if not (one.line in told and one.code in _YAML_ECHOES | _SHAPE_ECHOES))
