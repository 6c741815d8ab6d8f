"""Run the worked examples of jq's manual through the expression engine.

    python -m scripts.proof.jq_manual MAN.TEST

The file holds blocks of a program, an input and its outputs, divided by blank lines (jq's own `tests/man.test`). Every
example runs in this process; a sample runs as real `suprsend-bridge eval` processes too. Prints how many are right, refused
(with the reasons) and wrong; exits 1 when one is wrong or fewer than 195 are right.

Called by `.ci/run`, where the file lies beside the clone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from bridge.jq import EvalBudget, JqError, JqProblem, compile_program, tojson_text
from bridge.jq.runtime.values import JSON, equal

ENOUGH = 195
EVERY = 20
"""Every so many examples, one runs as a process."""


class Example(NamedTuple):
    """One block of the file."""

    program: str
    given: str
    expected: list[str]


def read_examples(text: str) -> list[Example]:
    """The blocks of the file."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line]
        if lines:
            found.append(Example(lines[0], lines[1], lines[2:]))
    return found


def verdict(example: Example) -> tuple[str, str]:
    """`right`, `refused` or `wrong`, and why."""
    try:
        program = compile_program(example.program)
    except JqProblem as problem:
        return "refused", f"{problem.code}: {problem.message}"
    outputs: list[JSON] = []
    failure = ""
    try:
        outputs.extend(program.run(json.loads(example.given), (), EvalBudget()))
    except JqError as error:
        failure = f"error: {error}"
    expected = [json.loads(line) for line in example.expected]
    same = len(outputs) == len(expected) and all(map(equal, outputs, expected))
    if same and not failure:
        return "right", ""
    return "wrong", f"{failure} gave {[tojson_text(output) for output in outputs]}, expected {example.expected}"


def as_process(example: Example) -> str:
    """What `suprsend-bridge eval` prints for an example."""
    command = [sys.executable, "-m", "bridge.cli.eval", example.program]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        command, input=example.given, capture_output=True, text=True, check=False, cwd=root, timeout=60
    )
    return done.stdout if not done.stderr else done.stdout + done.stderr


def sample(examples: list[Example]) -> list[str]:
    """Examples whose process prints something else than what was expected."""
    failed = []
    for example in examples[::EVERY]:
        if verdict(example)[0] != "right":
            continue
        printed = as_process(example)
        try:
            values = [json.loads(line) for line in printed.splitlines()]
        except json.JSONDecodeError:
            failed.append(f"{example.program}: printed {printed!r}")
            continue
        expected = [json.loads(line) for line in example.expected]
        if len(values) != len(expected) or not all(map(equal, values, expected)):
            failed.append(f"{example.program}: printed {printed!r}")
    return failed


def main() -> int:
    """Print the count of each verdict, and what is not right."""
    examples = read_examples(Path(sys.argv[1]).read_text(encoding="utf-8"))
    counts = {"right": 0, "refused": 0, "wrong": 0}
    for example in examples:
        found, why = verdict(example)
        counts[found] += 1
        if found != "right":
            print(f"{found}: {example.program}\n    {why}")
    failed = sample(examples)
    for line in failed:
        print(f"wrong as a process: {line}")
    print(f"{counts['right']} right, {counts['refused']} refused, {counts['wrong'] + len(failed)} wrong")
    return 1 if counts["wrong"] or failed or counts["right"] < ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
