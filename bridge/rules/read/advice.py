"""Better advice than the engine can give, which knows neither rules nor what people write instead of jq. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.document import Source
from bridge.findings import Finding, did_you_mean
from bridge.jq import JqProblem
from bridge.jq.builtins import BUILTINS
from bridge.rules.map.scope import VARIABLES

__all__ = ["advice", "with_expressions", "without_echoes", "without_echoes_in_tests"]

_HYPHENATED: Final = re.compile(r"[A-Za-z_][\w-]*$")
_PATH: Final = re.compile(r"[\w.\[\]]*")
_BRACES: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_YAML_ECHOES: Final = frozenset(("Y005", "Y008", "Y010", "Y016"))
_SHAPE_ECHOES: Final = frozenset(("R005", "R023", "R029", "T003", "T004", "T005", "T006"))
_MEANT: Final = re.compile(r"did you mean `([a-z_]+)`\?")
_LONGEST_RULE: Final = 40
"""Lines."""
_EXTRA: Final = {
    "now": "the record's own time is `$timestamp`, in milliseconds",
    "env": "write the value itself, or a rule of its own for each environment",
    "input": "`.` is the record; there is no other",
    "inputs": "`.` is the record; there is no other",
    "debug": "leave it out: `suprsend-bridge explain` shows the value of each part",
    "stderr": "leave it out: `suprsend-bridge explain` shows the value of each part",
    "halt": "write `empty` to leave a value out, or a `when`",
    "round": "`fixed(2)` gives two decimals, as text: `19.90`",
}


def advice(problem: JqProblem, text: str) -> str | None:
    """Return what to write instead, where more is known than the problem's own hint."""
    start, end = problem.start, problem.end
    found = text[start:end]
    if (
        text.startswith("{")
        and text.rstrip().endswith("}")
        and _PATH.fullmatch(text[1:].strip().removesuffix("}").strip())
    ):
        return f"one pair of braces is enough: ${{ {_path(text.strip()[1:-1].strip())} }}"
    name = re.match(r"[A-Za-z_]\w*", found)
    word = "" if name is None else name.group()
    if problem.message.startswith("there is no zone `"):
        meant = _zone(found.strip('"'))
        return problem.hint if meant is None else f'did you mean `"{meant}"`?'
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


def _zone(name: str) -> str | None:
    """The zone that was probably meant: of this spelling, or with this city."""
    from importlib.resources import files

    known = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    asked = name.lower().replace(" ", "_")
    for zone in known:
        if zone.lower() == asked or zone.lower().rpartition("/")[2] == asked:
            return zone
    return did_you_mean(name, known)


def with_expressions(text: str) -> str:
    """Write a text that was meant to hold an expression: `{{ name }}` or `.name` as `${ .name }`."""
    if "{{" not in text:
        name = re.match(r"\$([A-Za-z_]\w*)", text)
        if name is not None and name[1] not in VARIABLES:
            text = f".{text[1:]}"
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
    """Say whether a missing key (shown at its rule's name) may be the unknown one."""
    return abs(missing.line - unknown.line) < _LONGEST_RULE or "the file has no" in missing.message


def without_echoes_in_tests(source: Source, findings: Iterable[Finding]) -> list[Finding]:
    """Leave one finding for one mistake of YAML in a file of tests, whose values are all literal."""
    found = list(_without_braces(source, list(findings), of_tests=True))
    nothing = {one.line for one in found if one.code == "Y008"}
    return [one for one in found if not (one.line in nothing and one.code in _SHAPE_ECHOES)]


def _without_braces(source: Source, findings: list[Finding], *, of_tests: bool = False) -> Iterator[Finding]:
    lines = source.text.splitlines()
    shown: dict[int, Finding] = {}
    for finding in findings:
        line = lines[finding.line - 1] if 0 < finding.line <= len(lines) else ""
        braces = _BRACES.search(line)
        if braces is not None and "${" not in line and finding.code in _YAML_ECHOES and finding.line not in shown:
            column = braces.start() + 1
            message = "`{{ … }}` is another language's: expressions stand in `${ }`"
            hint = f"write ${{ {_path(braces.group(1))} }}"
            if of_tests:
                message = "`{{ … }}` is a mapping to YAML"
                hint = f"write it in quotes: '{braces.group()}'"
            shown[finding.line] = Finding(
                "T004" if of_tests else "R016",
                "error",
                finding.path,
                finding.line,
                column,
                braces.end() + 1,
                message,
                hint,
            )
    yield from shown.values()
    yield from (one for one in findings if not (one.line in shown and one.code in _YAML_ECHOES | _SHAPE_ECHOES))
