"""From the syntax tree to the core: names are resolved, and calls become what they mean.

A function is written out at each call, its parameters being the arguments, unless it calls itself or is large: then it
becomes a `Function`, to be written once. The same holds for an argument that is large and used more than once.
Names must have been checked (`syntax/names.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bridge.jq.builtins import BUILTINS
from bridge.jq.builtins.table import ANY, NOT_CONSTANT, NUMBER, STRING
from bridge.jq.core_nodes import (
    MANY,
    MAYBE,
    ONE,
    Alternative,
    Assign,
    Binary,
    Bind,
    Binding,
    Break,
    Collect,
    Comma,
    Const,
    Core,
    Define,
    Entries,
    Facts,
    Fold,
    Function,
    Growth,
    If,
    Input,
    Invoke,
    Items,
    Label,
    Logic,
    Mark,
    Native,
    Object,
    Parameter,
    Pattern,
    Pipe,
    Special,
    Step,
    Text,
    Try,
    Variable,
)
from bridge.jq.facts import known, most, of_builtin, of_call
from bridge.jq.problems import JqProblem
from bridge.jq.runtime.arith import negate
from bridge.jq.runtime.formats import FORMATS
from bridge.jq.syntax import nodes as syntax
from bridge.jq.syntax.nodes import children, pattern_names

_HEAVY = 6
"""An argument with more nodes than this becomes a function of its own when it is used more than once."""
_LARGE = 60
"""A function without parameters and with more nodes than this becomes a Python function."""
_MOST_CALLS = 50_000
"""Calls that are written out in one expression; code of so many would be far too large."""


@dataclass(frozen=True, slots=True, eq=False)
class Macro:
    """A function that is written out wherever it is called; `scope` is that of its definition."""

    function: syntax.Function
    scope: Scope
    lowered: dict[Function | None, Core] = field(default_factory=dict)
    """What it stands for, by the Function that the call is in, where it has no parameters."""


@dataclass(slots=True, eq=False)
class Argument:
    """An argument that is an expression, with the scope of the call."""

    node: syntax.Node
    scope: Scope
    lowered: Core | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A Function and the scope of its definition."""

    function: Function
    scope: Scope


Callee = Macro | Argument | Own | Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What names mean at a place: variables, functions (`name/arity`), labels; and the Function that the place is in."""

    variables: Mapping[str, Binding] = field(default_factory=lambda: MappingProxyType({}))
    functions: Mapping[str, Callee] = field(default_factory=lambda: MappingProxyType({}))
    marks: Mapping[str, Mark] = field(default_factory=lambda: MappingProxyType({}))
    within: Function | None = None

    def with_variables(self, variables: Mapping[str, Binding]) -> Scope:
        """The scope and more variables."""
        return replace(self, variables={**self.variables, **variables})

    def with_functions(self, functions: Mapping[str, Callee]) -> Scope:
        """The scope and more functions."""
        return replace(self, functions={**self.functions, **functions})


NO_NAMES = Scope()


@dataclass(frozen=True, slots=True)
class Defs:
    """Shared functions. `functions` are in the order of their definition; `reads` are the variables each reads."""

    functions: tuple[syntax.Function, ...]
    variables: frozenset[str]
    reads: frozenset[str]

    @property
    def keys(self) -> frozenset[str]:
        """`name/arity` of every function."""
        return frozenset(function.key for function in self.functions)


NO_DEFS = Defs((), frozenset(), frozenset())


def defined(function: syntax.Function, scope: Scope) -> tuple[Scope, Function | None]:
    """The scope behind a definition, and the Function where it becomes one."""
    recursive = _calls(function.body, function.key)
    if not recursive and (function.params or _weight(function.body) <= _LARGE):
        return scope.with_functions({function.key: Macro(function, scope)}), None
    own = Function(function, recursive)
    return scope.with_functions({function.key: Own(own, scope)}), own


class Lowering:
    """Lowers one expression. Raises JqProblem for arguments that must be constants and for what is too large."""

    def __init__(self) -> None:
        self._calls = 0

    def lower(self, node: syntax.Node, scope: Scope) -> Core:
        """The expression in the core."""
        return LOWER[type(node)](self, node, scope)

    def call(self, node: syntax.Call, scope: Scope) -> Core:
        """What a call stands for."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise JqProblem("too-large", "the expression becomes too much code", 0, 1, "split it, or repeat less in it")
        callee = scope.functions.get(node.key)
        if callee is None:
            return self._builtin(node, scope)
        if isinstance(callee, Argument):
            return of_call(self._argument(callee))
        if isinstance(callee, Parameter):
            return of_call(known(Invoke(node, callee, (), scope.within)))
        if isinstance(callee, Own):
            return of_call(self._invoked(callee, node, scope))
        found = callee.lowered.get(scope.within)
        if found is None:
            found, _ = self._written_out(callee, node, scope)
            if not callee.function.params:
                callee.lowered[scope.within] = found
            else:
                found = replace(found, facts=replace(found.facts, types=ANY))
        return found

    def _argument(self, argument: Argument) -> Core:
        if argument.lowered is None:
            argument.lowered = self.lower(argument.node, argument.scope)
        return argument.lowered

    def _written_out(self, macro: Macro, node: syntax.Call, scope: Scope) -> tuple[Core, list[Facts]]:
        """The body of a function with the arguments in place, and the facts of these.

        Values are computed first, the first of them outermost.
        """
        function = macro.function
        inner = replace(macro.scope, within=scope.within)
        callees: list[Callee] = []
        layers: list[tuple[Binding, Core] | Function] = []
        for param, arg in zip(function.params, node.args, strict=True):
            name = param.removeprefix("$")
            used = _uses(function.body, name)
            callees.append(self._passed(arg, scope, used))
            if used:
                inner = inner.with_functions({f"{name}/0": callees[-1]})
            if isinstance(callees[-1], Own) and callees[-1].function.syntax.body is arg:
                layers.append(callees[-1].function)
            if param != name:
                source = self.lower(arg, scope)
                binding = Binding(source.facts.constant)
                inner = inner.with_variables({name: binding})
                layers.append((binding, source))
        body = self.lower(function.body, inner)
        found = body
        for layer in reversed(layers):
            if isinstance(layer, Function):
                found = known(Define(node, layer, found))
            else:
                found = known(Bind(node, layer[1], ((layer[0], found),)))
        args = [self._facts(callee) for callee in callees]
        args += [layer[1].facts for layer in layers if not isinstance(layer, Function)]
        facts = replace(body.facts, outputs=found.facts.outputs, constant=NOT_CONSTANT)
        return of_call(found, facts, variables=any(arg.variables for arg in args)), args

    def _passed(self, arg: syntax.Node, scope: Scope, used: int) -> Callee:
        """What a parameter is in the body: the argument, a Function where it is large, or what it names itself."""
        passed = scope.functions.get(arg.key) if isinstance(arg, syntax.Call) and not arg.args else None
        if passed is not None and not isinstance(passed, Macro):
            return passed
        if used > 1 and _weight(arg) > _HEAVY:
            return Own(Function(syntax.Function(arg.start, arg.end, "", (), arg), recursive=False), scope)
        return Argument(arg, scope)

    @staticmethod
    def _facts(callee: Callee) -> Facts:
        lowered: Core | None = None
        if isinstance(callee, Argument):
            lowered = callee.lowered
        elif isinstance(callee, Own):
            lowered = callee.function.body
        return Facts() if lowered is None else lowered.facts

    def _invoked(self, own: Own, node: syntax.Call, scope: Scope) -> Invoke:
        self._settle(own)
        args = tuple(self.lower(arg, scope) for arg in node.args)
        return known(Invoke(node, own.function, args, scope.within))

    def _settle(self, own: Own) -> None:
        """Lower the body of a Function once. One that calls itself has the fewest outputs that agree with themselves."""
        function, code = own.function, own.function.syntax
        if function.body is not None or function.lowering:
            return
        functions: dict[str, Callee] = {code.key: own} if function.recursive else {}
        variables: dict[str, Binding] = {}
        params: list[tuple[Parameter | None, Binding | None]] = []
        for param in code.params:
            name = param.removeprefix("$")
            expression = Parameter() if _uses(code.body, name) else None
            value = Binding() if param != name else None
            params.append((expression, value))
            functions |= {} if expression is None else {f"{name}/0": expression}
            variables |= {} if value is None else {name: value}
        function.params = tuple(params)
        inner = replace(own.scope.with_functions(functions).with_variables(variables), within=function)
        function.lowering = True
        try:
            function.body = self._settled(function, inner)
        finally:
            function.lowering = False

    def _settled(self, function: Function, inner: Scope) -> Core:
        for assumed in (ONE, MAYBE, MANY):
            function.outputs = assumed
            body = self.lower(function.syntax.body, inner)
            if not function.recursive:
                function.outputs = body.facts.outputs
            if body.facts.outputs <= function.outputs:
                break
        return body

    def _builtin(self, node: syntax.Call, scope: Scope) -> Core:
        builtin = BUILTINS[node.key]
        if builtin.definition is not None:
            found, facts = self._defined(builtin.definition, node, scope)
            return of_builtin(found, builtin, facts, found.facts.outputs)
        args = tuple(self.lower(arg, scope) for arg in reversed(node.args))[::-1]
        outputs = most(args) if builtin.count is None else builtin.count([arg.facts.outputs for arg in args])
        made: Any = None
        if builtin.prepare is not None:
            made = builtin.prepare(node, [arg.facts.constant for arg in args])
        facts = [arg.facts for arg in args]
        if builtin.written:
            return of_builtin(Special(node, node.key, args, made), builtin, facts, outputs)
        run, values = (made, ()) if builtin.run is None else (builtin.run, args)
        native = Native(node, run, values, budget=builtin.budget, stream=builtin.stream)
        return of_builtin(native, builtin, facts, outputs)

    def _defined(self, function: syntax.Function, node: syntax.Call, scope: Scope) -> tuple[Core, list[Facts]]:
        around, own = defined(function, NO_NAMES)
        callee = around.functions[node.key]
        if isinstance(callee, Macro):
            return self._written_out(callee, node, scope)
        assert isinstance(callee, Own)
        assert own is not None
        invoked = self._invoked(callee, node, scope)
        return known(Define(node, own, invoked)), [arg.facts for arg in invoked.args]

    def pattern(self, pattern: syntax.Pattern, scope: Scope, names: Mapping[str, Binding]) -> Pattern:
        """A pattern with the variables of `names`; its keys are computed in `scope`."""
        if isinstance(pattern, syntax.VariablePattern):
            return names[pattern.name]
        if isinstance(pattern, syntax.ArrayPattern):
            return Items(tuple(self.pattern(item, scope, names) for item in pattern.items))
        assert isinstance(pattern, syntax.ObjectPattern)
        return Entries(
            tuple(
                (
                    self.lower(key, scope),
                    None if name is None else names[name],
                    None if inner is None else self.pattern(inner, scope, names),
                )
                for key, name, inner in pattern.entries
            )
        )


def _text(low: Lowering, node: syntax.Text, scope: Scope) -> Core:
    parts = [part if isinstance(part, str) else low.lower(part, scope) for part in reversed(node.parts)]
    return known(Text(node, tuple(parts[::-1]), node.format))


def _format(_: Lowering, node: syntax.Format, __: Scope) -> Core:
    native = known(Native(node, FORMATS[node.name], (), budget=True))
    growth = Growth(1.0, 0.0)
    return replace(native, facts=replace(native.facts, types=STRING, growth=growth, collected=growth))


def _index(low: Lowering, node: syntax.Index, scope: Scope) -> Core:
    keys = (low.lower(node.key, scope),)
    return known(Step(node, "key", low.lower(node.target, scope), keys, node.optional))


def _slice(low: Lowering, node: syntax.Slice, scope: Scope) -> Core:
    bounds = (node.low, node.high)
    keys = [known(Const(node, None)) if bound is None else low.lower(bound, scope) for bound in bounds]
    return known(Step(node, "slice", low.lower(node.target, scope), tuple(keys), node.optional))


def _commas(node: syntax.Node) -> list[syntax.Node]:
    parts: list[syntax.Node] = []
    while isinstance(node, syntax.Comma):
        parts.append(node.right)
        node = node.left
    parts.append(node)
    return parts[::-1]


def _array(low: Lowering, node: syntax.Array, scope: Scope) -> Core:
    parts = [] if node.body is None else _commas(node.body)
    return known(Collect(node, tuple(low.lower(part, scope) for part in parts)))


def _object(low: Lowering, node: syntax.Object, scope: Scope) -> Core:
    entries = []
    for key, value in node.entries:
        name = low.lower(key, scope)
        if name.facts.constant is not NOT_CONSTANT and type(name.facts.constant) is not str:
            raise JqProblem("syntax", "only text can be a key", key.start, key.end, "write `(… | tostring)`")
        entries.append((name, low.lower(value, scope)))
    return known(Object(node, tuple(entries)))


def _negate(low: Lowering, node: syntax.Negate, scope: Scope) -> Core:
    body = low.lower(node.body, scope)
    native = known(Native(node, negate, (body,), dot=False))
    value = body.facts.constant
    constant = negate(value) if type(value) in (int, float) else NOT_CONSTANT
    growth = Growth(0.0, 1.0)
    facts = replace(native.facts, types=NUMBER, constant=constant, growth=growth)
    return replace(native, facts=replace(facts, collected=growth) if facts.outputs == ONE else facts)


def _binary(low: Lowering, node: syntax.Binary, scope: Scope) -> Core:
    right = low.lower(node.right, scope)
    return known(Binary(node, node.op, low.lower(node.left, scope), right))


def _if(low: Lowering, node: syntax.If, scope: Scope) -> Core:
    condition, then = low.lower(node.condition, scope), low.lower(node.then, scope)
    otherwise = known(Input(node)) if node.otherwise is None else low.lower(node.otherwise, scope)
    return known(If(node, condition, then, otherwise))


def _try(low: Lowering, node: syntax.Try, scope: Scope) -> Core:
    body = low.lower(node.body, scope)
    return known(Try(node, body, None if node.handler is None else low.lower(node.handler, scope)))


def _bind(low: Lowering, node: syntax.Bind, scope: Scope) -> Core:
    source = low.lower(node.source, scope)
    everything = {name for pattern in node.patterns for name in pattern_names(pattern)}
    nulls = scope.with_variables({name: Binding(None) for name in everything})
    takes = []
    for pattern in node.patterns:
        whole = len(node.patterns) == 1 and isinstance(pattern, syntax.VariablePattern)
        constant = source.facts.constant if whole else NOT_CONSTANT
        names = {name: Binding(constant) for name in pattern_names(pattern)}
        taken = low.pattern(pattern, scope, names)
        takes.append((taken, low.lower(node.body, nulls.with_variables(names))))
    return known(Bind(node, source, tuple(takes)))


def _fold(low: Lowering, node: syntax.Reduce | syntax.Foreach, scope: Scope) -> Core:
    source, initial = low.lower(node.source, scope), low.lower(node.initial, scope)
    names = {name: Binding() for pattern in node.patterns for name in pattern_names(pattern)}
    patterns = tuple(low.pattern(pattern, scope, names) for pattern in node.patterns)
    inner = scope.with_variables(names)
    update = low.lower(node.update, inner)
    extract: Core | None = None
    if isinstance(node, syntax.Foreach):
        extract = known(Input(node)) if node.extract is None else low.lower(node.extract, inner)
    return known(Fold(node, source, patterns, initial, update, extract))


def _define(low: Lowering, node: syntax.Define, scope: Scope) -> Core:
    inner, own = defined(node.function, scope)
    rest = low.lower(node.rest, inner)
    facts = replace(rest.facts, types=ANY, constant=NOT_CONSTANT)
    return of_call(rest if own is None else known(Define(node, own, rest)), facts, variables=rest.facts.variables)


def _label(low: Lowering, node: syntax.Label, scope: Scope) -> Core:
    mark = Mark()
    inner = replace(scope, marks={**scope.marks, node.name: mark})
    return known(Label(node, mark, low.lower(node.body, inner)))


LOWER: Mapping[type[syntax.Node], Callable[[Lowering, Any, Scope], Core]] = {
    syntax.Identity: lambda _, node, __: known(Input(node)),
    syntax.Literal: lambda _, node, __: known(Const(node, node.value)),
    syntax.Variable: lambda _, node, scope: known(Variable(node, scope.variables[node.name])),
    syntax.Text: _text,
    syntax.Format: _format,
    syntax.Index: _index,
    syntax.Slice: _slice,
    syntax.Iterate: lambda low, node, scope: known(
        Step(node, "each", low.lower(node.target, scope), (), node.optional)
    ),
    syntax.Array: _array,
    syntax.Object: _object,
    syntax.Negate: _negate,
    syntax.Pipe: lambda low, node, scope: known(Pipe(node, low.lower(node.left, scope), low.lower(node.right, scope))),
    syntax.Comma: lambda low, node, scope: known(Comma(node, tuple(low.lower(part, scope) for part in _commas(node)))),
    syntax.Binary: _binary,
    syntax.Logic: lambda low, node, scope: known(
        Logic(node, node.op, low.lower(node.left, scope), low.lower(node.right, scope))
    ),
    syntax.Alternative: lambda low, node, scope: known(
        Alternative(node, low.lower(node.left, scope), low.lower(node.right, scope))
    ),
    syntax.Assign: lambda low, node, scope: known(
        Assign(node, node.op, low.lower(node.left, scope), low.lower(node.right, scope))
    ),
    syntax.If: _if,
    syntax.Try: _try,
    syntax.Bind: _bind,
    syntax.Reduce: _fold,
    syntax.Foreach: _fold,
    syntax.Define: _define,
    syntax.Label: _label,
    syntax.Break: lambda _, node, scope: known(Break(node, scope.marks[node.name])),
    syntax.Call: Lowering.call,
}


def _calls(node: syntax.Node, key: str) -> bool:
    """Whether a function is called anywhere inside."""
    if isinstance(node, syntax.Call) and node.key == key:
        return True
    return any(_calls(child, key) for child in children(node))


def _weight(node: syntax.Node) -> int:
    """How many nodes an expression has."""
    return 1 + sum(_weight(child) for child in children(node))


def _uses(node: syntax.Node, name: str) -> int:
    """How often a parameter is called in a body."""
    own = isinstance(node, syntax.Call) and node.name == name and not node.args
    return own + sum(_uses(child, name) for child in children(node))
