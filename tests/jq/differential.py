"""Compare this engine with libjq on random programs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from bridge.jq import BudgetExceeded, EvalBudget, JqError, JqProblem, compile_program, tojson_text
from bridge.jq.runtime.values import JSON
from tests.jq.oracle import Oracle
from tests.jq.programs import Programs
from tests.jq.words import random_value

BATCH = 40
_SILENT = "libjq ran out of time or memory"
CLOSE = 1e-14
_LARGEST = 1.7976931348623157e308


@dataclass(slots=True)
class Report:
    """What came of a run."""

    compared: int = 0
    refused: int = 0
    over_budget: int = 0
    failed: int = 0
    allowed: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """One program and input on which the two differ."""

    program: str
    given: str
    ours: str | None
    theirs: str | None


def alike(a: JSON, b: JSON) -> bool:
    """Equal, numbers as doubles to 1e-14."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        a, b = max(min(a, _LARGEST), -_LARGEST), max(min(b, _LARGEST), -_LARGEST)
        return a == b or math.isclose(a, b, rel_tol=CLOSE, abs_tol=0.0)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    return type(a) is type(b) and bool(a == b)


def _negative_zero(difference: Difference) -> bool:
    own, theirs = difference.ours, difference.theirs
    return (
        own is not None and theirs is not None and own.replace("-0", "0") == _ZERO.sub("0", theirs).replace("-0", "0")
    )


def _incomplete_date(difference: Difference) -> bool:
    return "strftime(" in difference.program and None not in (difference.ours, difference.theirs)


_ZERO = re.compile(r"-0(?![.\d])")
ALLOWED: list[tuple[str, Callable[[Difference], bool]]] = [
    ("whole results are integers here, so there is no negative zero", _negative_zero),
    ("the weekday of a broken-down time without its weekday: libjq's is wrong for some dates", _incomplete_date),
]
"""Differences that are meant, each with its reason."""


def random_cases(seed: int, programs: int, values: int) -> Iterator[tuple[list[str], list[str]]]:
    """Batches of programs with inputs."""
    random = Random(seed)
    writer = Programs(random)
    left = programs
    while left > 0:
        batch = [writer.program() for _ in range(min(BATCH, left))]
        inputs = [json.dumps(random_value(random), ensure_ascii=False) for _ in range(values)]
        left -= len(batch)
        yield batch, inputs


def ours(program: str, inputs: list[str]) -> list[str | None] | None:
    """What this engine makes of a program: a text or None (it failed) for each input; None where it is refused."""
    try:
        compiled = compile_program(program)
    except JqProblem:
        return None
    found: list[str | None] = []
    for text in inputs:
        budget = EvalBudget()
        try:
            found.append(tojson_text(list(compiled.run(json.loads(text), (), budget))))
        except BudgetExceeded:
            found.append("budget")
        except JqError:
            found.append(None)
    return found


def compare(seed: int, programs: int, values: int, report: Report) -> Report:
    """Run random programs through both, and note what differs."""
    oracle = Oracle()
    try:
        for batch, inputs in random_cases(seed, programs, values):
            check(batch, inputs, oracle, report)
    finally:
        oracle.close()
    return report


def check(programs: list[str], inputs: list[str], oracle: Oracle, report: Report) -> None:
    """Run programs on inputs through both, and note what differs."""
    mine = [ours(program, inputs) for program in programs]
    kept = [at for at, found in enumerate(mine) if found is not None and "budget" not in found]
    report.refused += sum(found is None for found in mine)
    report.over_budget += sum(found is not None and "budget" in found for found in mine)
    if not kept:
        return
    answers = oracle.ask([programs[at] for at in kept], inputs)
    for at, answer in zip(kept, answers, strict=True):
        _note(programs[at], inputs, mine[at] or [], answer, report)


def _note(program: str, inputs: list[str], mine: list[str | None], answer: object, report: Report) -> None:
    if answer == "crash":
        report.allowed[_SILENT] = report.allowed.get(_SILENT, 0) + 1
        return
    if not isinstance(answer, list):
        report.differences.append(f"{program}\n    libjq: {answer}")
        return
    for given, own, theirs in zip(inputs, mine, answer, strict=True):
        report.compared += 1
        if theirs is None and own is None:
            report.failed += 1
            continue
        if own is not None and theirs is not None and (own == theirs or alike(json.loads(own), json.loads(theirs))):
            continue
        difference = Difference(program, given, own, theirs)
        reason = next((reason for reason, fits in ALLOWED if fits(difference)), None)
        if reason is not None:
            report.allowed[reason] = report.allowed.get(reason, 0) + 1
            continue
        report.differences.append(f"{program}\n    input: {given}\n    ours:  {own}\n    libjq: {theirs}")
