"""What types the values of an expression can have, and which parts of it can only fail.

It knows what is certain and nothing more: where a type is not known every type is possible, and only what fails for
all of them is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from bridge.jq.builtins import BUILTINS
from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NULL, NUMBER, OBJECT, STRING
from bridge.jq.runtime.values import type_name
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    ArrayPattern,
    Assign,
    Binary,
    Bind,
    Call,
    Comma,
    Define,
    Foreach,
    Format,
    Function,
    Identity,
    If,
    Index,
    Iterate,
    Label,
    Literal,
    Logic,
    Negate,
    Node,
    Object,
    ObjectPattern,
    Pattern,
    Pipe,
    Reduce,
    Slice,
    Text,
    Try,
    Variable,
    VariablePattern,
    children,
)
from bridge.rules.lint.signatures import ARGUMENTS, INPUTS, OF_ELEMENTS, OPERATORS, Types

__all__ = ["COMPARISONS", "NONE", "Around", "Remark", "Report", "asks_type", "kinds", "types_of"]

NONE: Final[Types] = frozenset()
"""The types of what never has a value."""
_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "text",
    "array": "an array",
    "object": "an object",
}


class Remark(NamedTuple):
    """Something about a part of an expression, between two offsets. `fails` says that the part can only fail."""

    start: int
    end: int
    message: str
    hint: str | None
    fails: bool


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around an expression: types of its variables, the functions that it may call."""

    variables: Mapping[str, Types]
    functions: Mapping[str, Function | None] = field(default_factory=dict)
    """`name/arity` → the function, or None for a parameter that is one."""
    depth: int = 0

    def with_variables(self, types: Mapping[str, Types]) -> Around:
        return replace(self, variables={**self.variables, **types})


Report = Callable[[Remark], None]


def kinds(types: Types) -> str:
    """Name types for a message: `text or a number`."""
    return " or ".join(_WORDS[name] for name in _WORDS if name in types)


COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">="))
_DONE: Final = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided", "%": "divided"}
_DEEPEST: Final = 4
"""Calls of functions that are followed into each other."""


def types_of(node: Node, given: Types, around: Around, report: Report) -> Types:
    """Return the types that the outputs of an expression can have for inputs of the types `given`.

    `report` gets a remark for every part that can only fail, or compares what is never equal. An empty answer means
    that there is no output.
    """
    if not given:
        return NONE
    rule = _RULES.get(type(node))
    return ANY if rule is None else rule(node, given, around, report)


def _silent(_remark: Remark) -> None:
    pass


def _fails(report: Report, node: Node, message: str, hint: str | None = None) -> Types:
    report(Remark(node.start, node.end, message, hint, fails=True))
    return ANY


def _text(node: Text, given: Types, around: Around, report: Report) -> Types:
    for part in children(node):
        types_of(part, given, around, report)
    return STRING


def _index(node: Index, given: Types, around: Around, report: Report) -> Types:
    target = types_of(node.target, given, around, report)
    key = types_of(node.key, given, around, report)
    if not target or not key or node.optional:
        return ANY
    if target == NULL and key & (STRING | NUMBER):
        return NULL
    fits = (
        bool("object" in target and "string" in key)
        or bool("array" in target and key & (NUMBER | ARRAY | OBJECT))
        or bool("null" in target and key & (STRING | NUMBER | OBJECT))
    )
    if fits:
        return ANY
    if key == STRING:
        name = node.key.value if isinstance(node.key, Literal) else "…"
        hint = f"write `.[].{name}` for the field of each element" if target == ARRAY else None
        return _fails(report, node, f"`.{name}` can only fail: there are no fields in {kinds(target)}", hint)
    return _fails(report, node, f"this can only fail: {kinds(target)} cannot be looked up with {kinds(key)}")


def _slice(node: Slice, given: Types, around: Around, report: Report) -> Types:
    target = types_of(node.target, given, around, report)
    for bound in (node.low, node.high):
        if bound is not None:
            types_of(bound, given, around, report)
    found = target & (ARRAY | STRING | NULL)
    if target and not found and not node.optional:
        return _fails(report, node, f"this can only fail: {kinds(target)} cannot be cut")
    return found or ANY


def _iterate(node: Iterate, given: Types, around: Around, report: Report) -> Types:
    target = types_of(node.target, given, around, report)
    if target and not target & (ARRAY | OBJECT) and not node.optional:
        return _fails(report, node, f"`[]` can only fail: there are no elements in {kinds(target)}")
    return ANY


def _array(node: Array, given: Types, around: Around, report: Report) -> Types:
    if node.body is not None:
        types_of(node.body, given, around, report)
    return ARRAY


def _object(node: Object, given: Types, around: Around, report: Report) -> Types:
    for key, value in node.entries:
        types = types_of(key, given, around, report)
        if types and "string" not in types:
            _fails(report, key, f"a key must be text, and this is {kinds(types)}", "write `(… | tostring)`")
        types_of(value, given, around, report)
    return OBJECT


def _negate(node: Negate, given: Types, around: Around, report: Report) -> Types:
    types = types_of(node.body, given, around, report)
    if types and "number" not in types:
        _fails(report, node, f"`-` can only fail: {kinds(types)} cannot be negated")
    return NUMBER


def _pipe(node: Pipe, given: Types, around: Around, report: Report) -> Types:
    return types_of(node.right, types_of(node.left, given, around, report), around, report)


def _comma(node: Comma, given: Types, around: Around, report: Report) -> Types:
    return types_of(node.left, given, around, report) | types_of(node.right, given, around, report)


def _binary(node: Binary, given: Types, around: Around, report: Report) -> Types:
    left = types_of(node.left, given, around, report)
    right = types_of(node.right, given, around, report)
    if not left or not right:
        return NONE
    if node.op in COMPARISONS:
        _compare(node, left, right, report)
        return BOOLEAN
    rows = OPERATORS[node.op]
    if node.op in ("*", "/"):
        for side in (node.left, node.right):
            if isinstance(side, Literal) and isinstance(side.value, str) and _is_number(side.value):
                message = f"{_shown_text(side)} is text: `{node.op}` does something else with texts than with numbers"
                report(Remark(side.start, side.end, message, f"write {side.value} without quotes", fails=False))
    if node.op in ("/", "%") and isinstance(node.right, Literal) and node.right.value == 0 and right == NUMBER:
        return _fails(report, node, "this can only fail: nothing can be divided by 0")
    found = [result for one, other, result in rows if one & left and other & right]
    if node.op == "+":
        found += [right] if "null" in left else []
        found += [left] if "null" in right else []
    if not found:
        hint = 'write `"…\\(…)…"` to put a value into text' if node.op == "+" and "string" in left | right else None
        message = f"this can only fail: {kinds(left)} and {kinds(right)} cannot be {_DONE[node.op]}"
        return _fails(report, node, message, hint)
    return frozenset().union(*found)


def _compare(node: Binary, left: Types, right: Types, report: Report) -> None:
    if node.op in ("==", "!=") and not left & right:
        message = (
            f"this is always {'false' if node.op == '==' else 'true'}: it compares {kinds(left)} with {kinds(right)}"
        )
        report(Remark(node.start, node.end, message, "compare values of one type", fails=False))
    for side, other in ((node.left, right), (node.right, left)):
        digits = isinstance(side, Literal) and isinstance(side.value, str) and _is_number(side.value)
        if digits and node.op not in ("==", "!=") and other != STRING:
            assert isinstance(side, Literal)
            message = "every text is greater than every number"
            hint = f"write {side.value} without quotes to compare numbers"
            report(Remark(side.start, side.end, message, hint, fails=False))


def _shown_text(node: Literal) -> str:
    return f'`"{node.value}"`'


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()


def _logic(node: Logic, given: Types, around: Around, report: Report) -> Types:
    types_of(node.left, given, around, report)
    types_of(node.right, given, around, report)
    return BOOLEAN


def _alternative(node: Alternative, given: Types, around: Around, report: Report) -> Types:
    left = types_of(node.left, given, around, report)
    right = types_of(node.right, given, around, report)
    return (left - NULL) | right


def _assign(node: Assign, given: Types, around: Around, report: Report) -> Types:
    types_of(node.left, given, around, report)
    types_of(node.right, ANY if node.op == "|=" else given, around, report)
    if isinstance(node.left, Identity):
        return ANY
    return given | ((ARRAY | OBJECT) if "null" in given else NONE)


def _if(node: If, given: Types, around: Around, report: Report) -> Types:
    types_of(node.condition, given, around, report)
    # What is asked for its type may not be what it seems in a branch.
    inner = _silent if asks_type(node.condition) else report
    then = types_of(node.then, given, around, inner)
    return then | (given if node.otherwise is None else types_of(node.otherwise, given, around, inner))


def asks_type(node: Node) -> bool:
    """Say whether a condition looks at a type: what follows may then be for one type alone."""
    return (isinstance(node, Call) and node.key == "type/0") or any(map(asks_type, children(node)))


def _try(node: Try, given: Types, around: Around, report: Report) -> Types:
    types = types_of(node.body, given, around, _silent)
    return types if node.handler is None else types | types_of(node.handler, ANY, around, report)


def _bind(node: Bind, given: Types, around: Around, report: Report) -> Types:
    source = types_of(node.source, given, around, report)
    return types_of(node.body, given, around.with_variables(_bound(node.patterns, source)), report)


def _bound(patterns: tuple[Pattern, ...], source: Types) -> dict[str, Types]:
    if len(patterns) == 1 and isinstance(patterns[0], VariablePattern):
        return {patterns[0].name: source or ANY}
    found: dict[str, Types] = {}
    for pattern in patterns:
        found.update(dict.fromkeys(_names(pattern), ANY))
    return found


def _names(pattern: Pattern | None) -> list[str]:
    if isinstance(pattern, VariablePattern):
        return [pattern.name]
    if isinstance(pattern, ArrayPattern):
        return [name for item in pattern.items for name in _names(item)]
    if isinstance(pattern, ObjectPattern):
        found = [name for _key, variable, _inner in pattern.entries if (name := variable)]
        return found + [name for _key, _variable, inner in pattern.entries for name in _names(inner)]
    return []


def _fold(node: Reduce | Foreach, given: Types, around: Around, report: Report) -> Types:
    source = types_of(node.source, given, around, report)
    types_of(node.initial, given, around, report)
    inner = around.with_variables(_bound(node.patterns, source))
    types_of(node.update, ANY, inner, report)
    if isinstance(node, Foreach) and node.extract is not None:
        types_of(node.extract, ANY, inner, report)
    return ANY


def _define(node: Define, given: Types, around: Around, report: Report) -> Types:
    known = {**around.functions, node.function.key: node.function}
    return types_of(node.rest, given, replace(around, functions=known), report)


def _call(node: Call, given: Types, around: Around, report: Report) -> Types:
    if node.key in around.functions:
        return _own(node, around.functions[node.key], given, around, report)
    builtin = BUILTINS.get(node.key)
    if builtin is None:
        return ANY
    needs = INPUTS.get(node.key)
    if needs is not None and not needs & given:
        takes = f"it takes {kinds(needs)}"
        _fails(report, node, f"`{node.name}` can only fail: its input is {kinds(given)}, and {takes}")
    inner = ANY if node.key in OF_ELEMENTS else given
    arguments = [types_of(argument, inner, around, report) for argument in node.args]
    for argument, found, wanted in zip(node.args, arguments, ARGUMENTS.get(node.key, ()), strict=False):
        if found and not found & wanted:
            message = f"`{node.name}` can only fail: this argument is {kinds(found)}, and it takes {kinds(wanted)}"
            _fails(report, argument, message)
    special = _SPECIAL.get(node.key)
    return builtin.types if special is None else special(node, given, arguments)


def _own(node: Call, function: Function | None, given: Types, around: Around, report: Report) -> Types:
    """Follow a call of the file's own function, if it has no parameters."""
    for argument in node.args:
        types_of(argument, ANY, around, report)
    if function is None or function.params or around.depth >= _DEEPEST:
        return ANY
    failures: list[Remark] = []
    inner = replace(around, depth=around.depth + 1)
    types = types_of(function.body, given, inner, failures.append)
    if any(failure.fails for failure in failures) and given != ANY:
        _fails(report, node, f"`{node.name}` can only fail on {kinds(given)}", failures[0].message)
    return types


def _selected(node: Call, given: Types, _arguments: list[Types]) -> Types:
    return ANY if asks_type(node) else given


_Special = Callable[[Call, Types, list[Types]], Types]
_SPECIAL: Final[Mapping[str, _Special]] = {
    "empty/0": lambda _node, _given, _arguments: NONE,
    "error/0": lambda _node, _given, _arguments: NONE,
    "error/1": lambda _node, _given, _arguments: NONE,
    "select/1": _selected,
    "first/1": lambda _node, _given, arguments: arguments[0],
    "last/1": lambda _node, _given, arguments: arguments[0],
    "limit/2": lambda _node, _given, arguments: arguments[1],
    "skip/2": lambda _node, _given, arguments: arguments[1],
    "values/0": lambda _node, given, _arguments: given - NULL,
    "del/1": lambda _node, given, _arguments: given,
    "map_values/1": lambda _node, given, _arguments: given & (ARRAY | OBJECT) or ANY,
    "strings/0": lambda _node, _given, _arguments: STRING,
}

_Rule = Callable[..., Types]
_RULES: Final[Mapping[type[Node], _Rule]] = {
    Identity: lambda _node, given, _around, _report: given,
    Literal: lambda node, _given, _around, _report: frozenset((type_name(node.value),)),
    Text: _text,
    Format: lambda _node, _given, _around, _report: STRING,
    Index: _index,
    Slice: _slice,
    Iterate: _iterate,
    Array: _array,
    Object: _object,
    Negate: _negate,
    Pipe: _pipe,
    Comma: _comma,
    Binary: _binary,
    Logic: _logic,
    Alternative: _alternative,
    Assign: _assign,
    If: _if,
    Try: _try,
    Bind: _bind,
    Reduce: _fold,
    Foreach: _fold,
    Define: _define,
    Call: _call,
    Variable: lambda node, _given, around, _report: around.variables.get(node.name, ANY),
    Label: lambda node, given, around, report: types_of(node.body, given, around, report),
}
