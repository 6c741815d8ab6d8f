"""What is known of an expression before it runs: how many outputs, which types, whether it is a constant."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.jq.builtins import BUILTINS
from bridge.jq.emit.code import Place
from bridge.jq.emit.scope import Bound, Callee, Closure, Lazy, Macro, Passed, Scope
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    ArrayPattern,
    Assign,
    Binary,
    Bind,
    Break,
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
    children,
)

ONE, MAYBE, MANY = 0, 1, 2
"""Exactly one output (or an error); at most one; any number."""

NO_PLACE = Place([], 0)


def is_recursive(function: Function) -> bool:
    """Whether a function may call itself (a call of its name and arity anywhere inside it)."""
    return _calls(function.body, function.key)


def _calls(node: Node, key: str) -> bool:
    if isinstance(node, Call) and node.key == key:
        return True
    return any(_calls(child, key) for child in children(node))


def weight(node: Node) -> int:
    """How many nodes an expression has."""
    return 1 + sum(weight(child) for child in children(node))


def uses(node: Node, name: str) -> int:
    """How often a parameter is called in a body."""
    own = isinstance(node, Call) and node.name == name and not node.args
    return own + sum(uses(child, name) for child in children(node))


class Analysis:
    """Counts outputs; remembers what it found for the expressions of one program."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], int] = {}
        self._scopes: dict[tuple[int, int], Scope] = {}
        self._kept: list[object] = []
        self._assumed: dict[int, int] = {}
        self._lazy_counts: dict[int, int] = {}

    def count(self, node: Node, scope: Scope) -> int:
        """ONE, MAYBE or MANY."""
        key = (id(node), id(scope.functions))
        found = self._counts.get(key)
        if found is None:
            self._kept.append((node, scope.functions))
            found = _COUNT[type(node)](self, node, scope)
            self._counts[key] = found
        return found

    def most(self, nodes: tuple[Node | None, ...], scope: Scope) -> int:
        """The count of expressions whose outputs are combined."""
        return max((self.count(node, scope) for node in nodes if node is not None), default=ONE)

    def defined(self, node: Define, scope: Scope) -> Scope:
        """The scope behind a `def`, for analysis only."""
        key = (id(node), id(scope.functions))
        found = self._scopes.get(key)
        if found is None:
            function = node.function
            callee: Callee = Macro(function, scope)
            if is_recursive(function):
                callee = Lazy(function, scope, NO_PLACE, recursive=True)
            found = scope.with_functions({function.key: callee})
            self._kept.append((node, scope.functions))
            self._scopes[key] = found
        return found

    def body_scope(self, callee: Macro, call: Call, scope: Scope) -> Scope:
        """The scope of a macro's body at one call, for analysis only."""
        key = (id(call), id(scope.functions))
        found = self._scopes.get(key)
        if found is None:
            functions: dict[str, Callee] = {}
            for param, arg in zip(callee.function.params, call.args, strict=True):
                name = param.removeprefix("$")
                functions[f"{name}/0"] = Closure(arg, scope)
            found = callee.scope.with_functions(functions)
            self._kept.append((call, scope.functions))
            self._scopes[key] = found
        return found

    def lazy_count(self, lazy: Lazy) -> int:
        """The outputs of a function whose parameters may give any number of them."""
        key = id(lazy.function)
        if key in self._assumed:
            return self._assumed[key]
        known = self._lazy_counts.get(id(lazy))
        if known is None:
            known = self._lazy_count(lazy, key)
            if not self._assumed:
                self._lazy_counts[id(lazy)] = known
                self._kept.append(lazy)
        return known

    def _lazy_count(self, lazy: Lazy, key: int) -> int:
        scope = self.lazy_scope(lazy)
        if not lazy.recursive:
            return self.count(lazy.function.body, scope)
        outside = self._counts
        for assumed in (ONE, MAYBE):
            self._assumed[key] = assumed
            self._counts = {}
            found = self.count(lazy.function.body, scope)
            self._counts = outside
            del self._assumed[key]
            if found <= assumed:
                return assumed
        return MANY

    @staticmethod
    def lazy_scope(lazy: Lazy) -> Scope:
        """The scope of a Lazy function's body, for analysis only."""
        functions: dict[str, Callee] = {lazy.function.key: lazy} if lazy.recursive else {}
        for param in lazy.function.params:
            name = param.removeprefix("$")
            functions[f"{name}/0"] = Passed("", "")
        return lazy.scope.with_functions(functions)

    def call(self, node: Call, scope: Scope) -> int:
        callee = scope.functions.get(node.key)
        if isinstance(callee, Closure):
            return self.count(callee.node, callee.scope)
        if isinstance(callee, Passed):
            return MANY
        if callee is None:
            builtin = BUILTINS.get(node.key)
            if builtin is None:
                return MANY
            if builtin.count is not None:
                return builtin.count([self.count(arg, scope) for arg in node.args])
            if builtin.definition is None:
                return self.most(node.args, scope)
            callee = builtin_callee(builtin.definition)
        values = [arg for param, arg in zip(callee.function.params, node.args, strict=True) if param[0] == "$"]
        inner = (
            self.lazy_count(callee)
            if isinstance(callee, Lazy)
            else self.count(callee.function.body, self.body_scope(callee, node, scope))
        )
        return max(self.most(tuple(values), scope), inner)


_BUILTIN_CALLEES: dict[int, Macro | Lazy] = {}


def builtin_callee(function: Function) -> Macro | Lazy:
    """The callee of a built-in that is defined in jq."""
    found = _BUILTIN_CALLEES.get(id(function))
    if found is None:
        scope = Scope.empty()
        found = Lazy(function, scope, NO_PLACE, recursive=True) if is_recursive(function) else Macro(function, scope)
        _BUILTIN_CALLEES[id(function)] = found
    return found


def _one(_: Analysis, __: Node, ___: Scope) -> int:
    return ONE


def _all_children(analysis: Analysis, node: Node, scope: Scope) -> int:
    return analysis.most(children(node), scope)


def _index(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Index | Slice)
    found = analysis.most(children(node), scope)
    return max(found, MAYBE) if node.optional else found


def _alternative(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Alternative)
    left, right = analysis.count(node.left, scope), analysis.count(node.right, scope)
    return right if left != MANY else MANY


def _assign(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Assign)
    return ONE if node.op == "|=" else analysis.count(node.right, scope)


def _if(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, If)
    return analysis.most((node.condition, node.then, node.otherwise), scope)


def _try(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Try)
    body = analysis.count(node.body, scope)
    if node.handler is None:
        return max(body, MAYBE)
    handler = analysis.count(node.handler, scope)
    return max(body, handler) if body != MANY else MANY


def _bind(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Bind)
    keys = max((_pattern(analysis, pattern, scope) for pattern in node.patterns), default=ONE)
    found = max(keys, analysis.most((node.source, node.body), scope))
    return found if len(node.patterns) == 1 else max(found, MANY)


def _pattern(analysis: Analysis, pattern: Pattern, scope: Scope) -> int:
    if isinstance(pattern, ArrayPattern):
        return max(_pattern(analysis, item, scope) for item in pattern.items)
    if isinstance(pattern, ObjectPattern):
        return max(
            max(analysis.count(key, scope), ONE if inner is None else _pattern(analysis, inner, scope))
            for key, _, inner in pattern.entries
        )
    return ONE


def _reduce(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Reduce)
    return analysis.count(node.initial, scope)


def _define(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Define)
    return analysis.count(node.rest, analysis.defined(node, scope))


def _call(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Call)
    return analysis.call(node, scope)


def _label(analysis: Analysis, node: Node, scope: Scope) -> int:
    assert isinstance(node, Label)
    return max(MAYBE, analysis.count(node.body, scope))


_COUNT: Mapping[type[Node], Callable[[Analysis, Node, Scope], int]] = {
    Identity: _one,
    Literal: _one,
    Variable: _one,
    Format: _one,
    Array: _one,
    Text: _all_children,
    Object: _all_children,
    Negate: _all_children,
    Binary: _all_children,
    Logic: _all_children,
    Pipe: _all_children,
    Index: _index,
    Slice: _index,
    Iterate: lambda _, __, ___: MANY,
    Comma: lambda _, __, ___: MANY,
    Foreach: lambda _, __, ___: MANY,
    Break: lambda _, __, ___: MAYBE,
    Alternative: _alternative,
    Assign: _assign,
    If: _if,
    Try: _try,
    Bind: _bind,
    Reduce: _reduce,
    Define: _define,
    Call: _call,
    Label: _label,
}

__all__ = ["MANY", "MAYBE", "ONE", "Analysis", "Bound"]
