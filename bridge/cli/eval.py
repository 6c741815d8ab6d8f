"""`suprsend-bridge eval`: one jq expression on JSON values from standard input, with the engine that rules use."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from bridge.jq import JSON, JqProblem, Program

BAD_INPUT, DOES_NOT_COMPILE, RUN_TIME = 2, 3, 5
_SPACE = " \t\r\n"
_PAIRS = ("--arg", "--argjson")
_PAIR = "\0"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_OPTION = re.compile(r"-[^A-Za-z-]")
"""How an expression begins that is no option: `-1`, `-(.a)`."""


class _Pairs(TyperCommand):
    """Lets `--arg` and `--argjson` take a name and a value, as in jq."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the two into one before the options are read."""
        joined: list[str] = []
        rest = iter(args)
        for word in rest:
            if word == "--":
                joined += [word, *rest]
            elif _NO_OPTION.match(word):
                joined.append(f" {word}")
            elif word in _PAIRS:
                joined += [word, _PAIR.join(part for part in (next(rest, None), next(rest, None)) if part is not None)]
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)


command = typer.Typer(add_completion=False, rich_markup_mode=None)


@command.command("eval", cls=_Pairs)
def evaluate(
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help="The expression, as between `${` and `}` of a rule.")
    ],
    arg: Annotated[
        list[str] | None,
        typer.Option("--arg", metavar="NAME VALUE", help="Give the variable $NAME this text. May be repeated."),
    ] = None,
    argjson: Annotated[
        list[str] | None,
        typer.Option(
            "--argjson", metavar="NAME JSON", help="Give the variable $NAME this JSON value. May be repeated."
        ),
    ] = None,
    *,
    null_input: Annotated[bool, typer.Option("-n", "--null-input", help="Read nothing: the input is null.")] = False,
    raw_output: Annotated[bool, typer.Option("-r", "--raw-output", help="Print texts without quotes.")] = False,
) -> None:
    """Evaluate one expression for each JSON value on standard input; print the results, one per line.

    Exit status: 0; 5 after an error while it ran (the other inputs are still read); 3 when the expression does not
    compile or is refused; 2 when standard input is not JSON.

    Example: echo '{"total": 1999}' | suprsend-bridge eval '.total / 100'
    """
    variables = _variables(_split(arg), _split(argjson))
    if expression.startswith(" -"):
        expression = expression[1:]
    program = _compiled(expression, tuple(variables))
    raise typer.Exit(_evaluated(program, tuple(variables.values()), null_input=null_input, raw=raw_output))


def _say(text: str) -> None:
    sys.stderr.write(f"bridge: error: {text}\n")


def _split(pairs: list[str] | None) -> list[tuple[str, str]]:
    """Names and values of the variables."""
    found = []
    for pair in pairs or []:
        name, separator, value = pair.partition(_PAIR)
        if not separator or _NAME.fullmatch(name.removeprefix("$")) is None:
            _say("--arg and --argjson take the name of a variable and its value: --arg name value")
            raise typer.Exit(BAD_INPUT)
        found.append((name.removeprefix("$"), value))
    return found


def _variables(texts: list[tuple[str, str]], values: list[tuple[str, str]]) -> dict[str, JSON]:
    from bridge.jq import EvalBudget, JqError
    from bridge.jq.runtime.printing import fromjson

    found: dict[str, JSON] = dict(texts)
    for name, text in values:
        try:
            found[name] = fromjson(text, EvalBudget())
        except JqError as problem:
            _say(f"--argjson {name}: not a JSON value: {problem}")
            raise typer.Exit(BAD_INPUT) from None
    return found


def _compiled(expression: str, variables: tuple[str, ...]) -> Program:
    from bridge.jq import JqProblem, compile_program

    try:
        return compile_program(expression, variables=variables)
    except JqProblem as problem:
        if problem.code == "unknown-variable" and problem.hint is None:
            name = expression[problem.start + 1 : problem.end]
            hint = f"give it a value: --arg {name} text, or --argjson {name} '{{}}'"
            problem = JqProblem(problem.code, problem.message, problem.start, problem.end, hint)
        _say(shown_problem(expression, problem))
        raise typer.Exit(DOES_NOT_COMPILE) from None


def shown_problem(expression: str, problem: JqProblem) -> str:
    """A problem with its place: the message, the line with a caret under it, the hint."""
    start = min(problem.start, len(expression))
    line_start = expression.rfind("\n", 0, start) + 1
    line_end = expression.find("\n", start)
    line = expression[line_start : len(expression) if line_end < 0 else line_end]
    number = expression.count("\n", 0, start) + 1
    column = start - line_start
    width = max(1, min(problem.end, line_start + len(line)) - start)
    before = "".join("\t" if char == "\t" else " " for char in line[:column])
    text = f"{number}:{column + 1}: {problem.message}\n  {line}\n  {before}{'^' * width}"
    return text if problem.hint is None else f"{text}\n  {problem.hint}"


def read_values(text: str) -> Iterator[JSON]:
    """JSON values with any white space between them. Raises ValueError with the place of what is none."""
    from bridge.jq.runtime.printing import read_value

    at = _skip(text, 0)
    while at < len(text):
        value, at = read_value(text, at)
        yield value
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _inputs(*, null_input: bool) -> Iterator[JSON]:
    if null_input:
        yield None
        return
    data = sys.stdin.buffer.read()
    yield from read_values(data.decode("utf-8").removeprefix("\ufeff"))


def _evaluated(program: Program, args: tuple[JSON, ...], *, null_input: bool, raw: bool) -> int:
    from bridge.jq import EvalBudget, JqError, tojson_text

    status = 0
    budget = EvalBudget()
    inputs = _inputs(null_input=null_input)
    try:
        for value in inputs:
            budget.reset()
            try:
                for output in program.run(value, args, budget):
                    text = output if raw and type(output) is str else tojson_text(output, EvalBudget())
                    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
            except JqError as problem:
                sys.stdout.flush()
                _say(str(problem))
                status = RUN_TIME
    except UnicodeDecodeError as problem:
        _say(f"standard input is not UTF-8 at byte {problem.start + 1}")
        status = BAD_INPUT
    except ValueError as problem:
        _say(f"standard input is not JSON: {problem}")
        status = BAD_INPUT
    sys.stdout.flush()
    return status


def main() -> None:
    """Run this command alone."""
    command(prog_name="suprsend-bridge eval")


if __name__ == "__main__":
    main()
