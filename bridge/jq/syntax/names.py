"""Names of a program: unknown ones are found before any code is written, and so is what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bridge.jq.builtins import BUILTINS
from bridge.jq.problems import JqProblem
from bridge.jq.refused import REFUSED
from bridge.jq.runtime.formats import FORMATS
from bridge.jq.syntax.mistakes import FOREIGN_FUNCTIONS, did_you_mean
from bridge.jq.syntax.nodes import (
    Array,
    Bind,
    Break,
    Call,
    Comma,
    Define,
    Foreach,
    Format,
    Function,
    If,
    Label,
    Literal,
    Node,
    Pipe,
    Reduce,
    Text,
    Variable,
    children,
    pattern_keys,
    pattern_names,
)

_THE_RECORD = frozenset(("value", "record", "payload", "message", "event", "body", "root", "this", "self", "json"))
"""What people call the record."""


@dataclass(frozen=True, slots=True)
class Names:
    """What is known at a place: variables, functions (`name/arity`), labels."""

    variables: frozenset[str]
    functions: frozenset[str]
    outer: frozenset[str] = frozenset()
    """The variables of the surroundings that no inner one hides."""
    labels: frozenset[str] = frozenset()

    def and_variables(self, *names: str) -> Names:
        """More variables."""
        return replace(self, variables=self.variables | set(names), outer=self.outer - set(names))

    def and_functions(self, *keys: str) -> Names:
        """More functions."""
        return replace(self, functions=self.functions | set(keys))


class Checker:
    """Walks a program; collects the variables of its surroundings that it reads."""

    def __init__(self) -> None:
        self.reads: set[str] = set()

    def check(self, node: Node, names: Names, *, last: bool = True) -> None:
        """Raise JqProblem for the first thing that is unknown or refused.

        `last` says that nothing works on the outputs of `node` any more (see `?//` below).
        """
        special = _CHECKS.get(type(node))
        if special is not None:
            special(self, node, names, last)
            return
        for child in children(node):
            self.check(child, names, last=False)

    def function(self, function: Function, names: Names) -> None:
        """Check the body of a function."""
        inner = names.and_functions(function.key)
        for param in function.params:
            name = param.removeprefix("$")
            inner = inner.and_functions(f"{name}/0")
            if param != name:
                inner = inner.and_variables(name)
        if len(set(function.params)) != len(function.params):
            message = f"`{function.name}` has two parameters with the same name"
            raise JqProblem("refused", message, function.start, function.start + 3, "give them different names")
        self.check(function.body, inner, last=False)


def _call(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Call)
    builtin = BUILTINS.get(node.key)
    if node.key not in names.functions and (builtin is None or builtin.private):
        raise unknown_function(node, names)
    for arg in node.args:
        checker.check(arg, names, last=False)


def unknown_function(node: Call, names: Names) -> JqProblem:
    """The problem of a call that means nothing: refused, another arity, misspelt."""
    end = node.start + len(node.name)
    if "::" in node.name:
        return JqProblem("refused", f"`{node.name}`: there are no modules here", node.start, end, "use `defs`")
    if node.name in REFUSED:
        return JqProblem("refused", f"`{node.name}` is refused: {REFUSED[node.name]}", node.start, end)
    arities = sorted(
        {int(key.partition("/")[2]) for key in [*names.functions, *BUILTINS] if key.partition("/")[0] == node.name}
    )
    if arities and not node.name.startswith("_"):
        given = f"{len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
        takes = " or ".join(map(str, arities)) if arities != [0] else "no"
        hint = _arguments_hint(node, arities)
        message = f"`{node.name}` takes {takes} argument{'' if arities == [1] else 's'}, not {given}"
        return JqProblem("unknown-function", message, node.start, node.end, hint)
    if node.name in FOREIGN_FUNCTIONS:
        hint = f"write {_code(FOREIGN_FUNCTIONS[node.name])}"
        return JqProblem("unknown-function", f"there is no function `{node.name}`", node.start, end, hint)
    known = {key.partition("/")[0] for key in [*names.functions, *BUILTINS] if not key.startswith("_")}
    known |= {"true", "false", "null", "if", "reduce", "foreach", "try"}
    hint = did_you_mean(node.name, known) or _field_hint(node)
    return JqProblem("unknown-function", f"there is no function `{node.name}`", node.start, end, hint)


def _arguments_hint(node: Call, arities: list[int]) -> str | None:
    if len(node.args) < arities[-1] and any(isinstance(arg, Comma) for arg in node.args):
        return "arguments are divided by `;`, not `,`"
    builtin = BUILTINS.get(f"{node.name}/{arities[-1]}")
    if builtin is not None and len(node.args) == arities[-1] + 1 and not isinstance(node.args[0], Literal):
        rest = "(…)" if arities[-1] else ""
        return f"what it works on comes from the left: `… | {node.name}{rest}`"
    return None if builtin is None else f"for example `{builtin.example[0]}`"


def _code(text: str) -> str:
    return text if "`" in text else f"`{text}`"


def _field_hint(node: Call) -> str | None:
    return None if node.args else f'write `.{node.name}` for the field, `"{node.name}"` for the text'


def _variable(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Variable)
    if node.name not in names.variables:
        key = f"${node.name}"
        if key in REFUSED:
            raise JqProblem("refused", f"`{key}` is refused: {REFUSED[key]}", node.start, node.end)
        near = did_you_mean(node.name, names.variables)
        hint = near.replace("`", "`$", 1) if near else None
        if hint is None and names.variables:
            hint = _variable_hint(node.name, names)
        raise JqProblem("unknown-variable", f"there is no variable `{key}`", node.start, node.end, hint)
    if node.name in names.outer:
        checker.reads.add(node.name)


def _variable_hint(name: str, names: Names) -> str:
    known = ", ".join(f"`${variable}`" for variable in sorted(names.variables))
    if name in _THE_RECORD:
        return f"`.` is the record's value, `.{name}` a field of it; known here: {known}"
    return f"write `.{name}` for the field; known here: {known}"


def _format(_: Checker, node: Node, __: Names, ___: bool) -> None:
    assert isinstance(node, Format)
    known_format(node.name, node)


def known_format(name: str, node: Node) -> None:
    """Raise JqProblem for a format that jq does not have."""
    if name not in FORMATS:
        near = did_you_mean(name, FORMATS)
        hint = near.replace("`", "`@", 1) if near else "known: " + ", ".join(f"`@{known}`" for known in FORMATS)
        raise JqProblem("unknown-function", f"there is no format `@{name}`", node.start, node.end, hint)


def _text(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Text)
    if node.format is not None:
        known_format(node.format, node)
    for child in children(node):
        checker.check(child, names, last=False)


def _define(checker: Checker, node: Node, names: Names, last: bool) -> None:
    assert isinstance(node, Define)
    checker.function(node.function, names)
    checker.check(node.rest, names.and_functions(node.function.key), last=last)


def _bind(checker: Checker, node: Node, names: Names, last: bool) -> None:
    assert isinstance(node, Bind)
    if len(node.patterns) > 1 and not last:
        message = "`?//` must come last: jq lets it catch errors of what follows"
        raise JqProblem("refused", message, node.start, node.end, "use one pattern, and `if` on the type")
    checker.check(node.source, names, last=False)
    inner = names
    for pattern in node.patterns:
        for key in pattern_keys(pattern):
            checker.check(key, names, last=False)
        inner = inner.and_variables(*pattern_names(pattern))
    checker.check(node.body, inner, last=last and len(node.patterns) == 1)


def _fold(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Reduce | Foreach)
    checker.check(node.source, names, last=False)
    checker.check(node.initial, names, last=False)
    inner = names
    for pattern in node.patterns:
        for key in pattern_keys(pattern):
            checker.check(key, names, last=False)
        inner = inner.and_variables(*pattern_names(pattern))
    checker.check(node.update, inner, last=False)
    if isinstance(node, Foreach) and node.extract is not None:
        checker.check(node.extract, inner, last=False)


def _label(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Label)
    checker.check(node.body, replace(names, labels=names.labels | {node.name}), last=False)


def _break(_: Checker, node: Node, names: Names, __: bool) -> None:
    assert isinstance(node, Break)
    if node.name not in names.labels:
        message = f"there is no label `${node.name}` around this `break`"
        raise JqProblem("unknown-variable", message, node.start, node.end, f"write `label ${node.name} | …` before it")


def _pipe(checker: Checker, node: Node, names: Names, last: bool) -> None:
    rest: Node = node
    while isinstance(rest, Pipe):
        checker.check(rest.left, names, last=False)
        rest = rest.right
    checker.check(rest, names, last=last)


def _comma(checker: Checker, node: Node, names: Names, last: bool) -> None:
    parts: list[Node] = []
    left = node
    while isinstance(left, Comma):
        parts.append(left.right)
        left = left.left
    for part in [left, *reversed(parts)]:
        checker.check(part, names, last=last)


def _array(checker: Checker, node: Node, names: Names, _: bool) -> None:
    assert isinstance(node, Array)
    if node.body is not None:
        checker.check(node.body, names, last=True)


def _if(checker: Checker, node: Node, names: Names, last: bool) -> None:
    assert isinstance(node, If)
    checker.check(node.condition, names, last=False)
    checker.check(node.then, names, last=last)
    if node.otherwise is not None:
        checker.check(node.otherwise, names, last=last)


_CHECKS: Mapping[type[Node], Callable[[Checker, Node, Names, bool], None]] = {
    Call: _call,
    Variable: _variable,
    Format: _format,
    Text: _text,
    Define: _define,
    Bind: _bind,
    Reduce: _fold,
    Foreach: _fold,
    Label: _label,
    Break: _break,
    Pipe: _pipe,
    Comma: _comma,
    Array: _array,
    If: _if,
}
