"""The values of a rule as generated code: names of Python variables that hold what the serialiser prints right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from bridge.jq import Budget, Defs, number_text
from bridge.jq.emit.analysis import MAYBE, ONE
from bridge.jq.emit.code import Code
from bridge.jq.emit.generator import Generator, Sink
from bridge.jq.emit.growth import swells
from bridge.jq.emit.reads import prefetch, reads
from bridge.jq.emit.scope import Bound, Scope
from bridge.jq.emit.singles import field
from bridge.jq.facts import types_of
from bridge.jq.program import NO_DEFS, scope_of
from bridge.jq.runtime.budget import OUTPUTS, STEPS, TEXT
from bridge.jq.runtime.support import NAMESPACE
from bridge.jq.syntax.nodes import Logic, Node
from bridge.jsontext import Fragment
from bridge.rules.map.body import CARE, PLAIN_LEAST, PLAIN_MOST, exact, exact_computed, exact_json
from bridge.rules.map.shapes import built_list, built_object, literal_path, may_compute
from bridge.rules.model import Computed, Expression, Fields, Fixed, Items, Text, Value
from bridge.suprsend.limits import reserved

__all__ = ["Again", "ValueWriter"]

_DEEPEST_BUILT = 20
"""Objects that an expression builds more deeply than this are looked through for their depth."""


class Again(Exception):  # noqa: N818 - no error: it asks for the general path
    """The fast path is not made for this record: the general path does it."""


def as_part(value: Any) -> str:
    """Return a boolean or number as text, as jq prints it; anything else is the general path's."""
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int or (type(value) is float and isfinite(value)):
        return number_text(value)
    raise Again


def refuse_names(properties: dict[str, Any]) -> None:
    """Ask for the general path where a computed property has a reserved name."""
    for name in properties:
        if reserved(name):
            raise Again


class ValueWriter:
    """Writes values into a `Code`; one per rule."""

    def __init__(self) -> None:
        self.code = Code(NAMESPACE)
        self.budget = Budget(STEPS // 2, OUTPUTS // 2, TEXT // 2)
        self.code.namespace.update(Again=Again, B=self.budget)
        self.generator = Generator(self.code)
        self._scope = Scope.empty()

    def keep(self, expression: str) -> str:
        """Assign an expression to a fresh name."""
        return self.generator.keep(expression)

    def enter(self, variables: Mapping[str, str], defs: Defs | None) -> None:
        """Begin a function: its variables of the language by their Python names, and the functions of the rules."""
        bound = {name: Bound(python) for name, python in variables.items()}
        self._scope = scope_of(self.generator, bound, defs if defs is not None else NO_DEFS)

    def prefetch(self, expressions: Iterable[Expression]) -> None:
        """Write one reading of all fields of the record that several expressions begin with."""
        prefetch(self.generator, [expression.program.node for expression in expressions], self._scope, "v")

    def _node(self, expression: Expression) -> tuple[Node, Scope]:
        return expression.program.node, self._scope

    def needs_object(self, expressions: Iterable[Expression]) -> None:
        """Write that the record is an object, where one of the expressions begins by reading a field of it."""
        if any(reads(expression.program.node, self._scope) for expression in expressions):
            self._must_be_object("v")

    def _must_be_object(self, name: str) -> None:
        if self.code.remembered("dict", name) is None:
            self.code.line(f"if type({name}) is not dict: raise Again")
            self.code.remember(name, "dict", name)

    def needs_objects(self, value: Value) -> None:
        """Write that all on the way to a value are objects, where it cannot be null: with anything else it would be."""
        names = literal_path(value.expression.program.node) if isinstance(value, Computed) else None
        if names is None:
            return
        self._must_be_object("v")
        target = "v"
        for name in names:
            target = field(self.generator, target, repr(name))
            self._must_be_object(target)

    def returns_unless(self, expression: Expression, otherwise: str) -> bool:
        """Write `otherwise` behind the tests of an expression that is true or false; False for any other expression."""
        node, scope = self._node(expression)
        if not expression.program.types <= {"boolean"} or not self.generator.single(node, scope):
            return False
        for test in _tests(node):
            self.code.line(f"if not ({self.generator.condition(test, scope, 'v')}): {otherwise}")
        return True

    def outputs(self, expression: Expression) -> str:
        """Write the list of all outputs of an expression."""
        node, scope = self._node(expression)
        name = self.keep("[]")
        self.generator.each(node, scope, "v", Sink(lambda value: self.code.line(f"{name}.append({value})"), cheap=True))
        return name

    def computed(self, expression: Expression) -> str:
        """Write an expression: the name holds its value, or NOTHING. Two outputs ask for the general path."""
        node, scope = self._node(expression)
        count = self.generator.count(node, scope)
        if count == ONE:
            name = self.generator.one(node, scope, "v")
            return name if name.isidentifier() else self.keep(name)
        if count == MAYBE:
            return self.generator.first(node, scope, "v", "NOTHING")
        name = self.keep("NOTHING")

        def take(value: str) -> None:
            self.code.line(f"if {name} is not NOTHING: raise Again")
            self.code.line(f"{name} = {value}")

        self.generator.each(node, scope, "v", Sink(take))
        return name

    def _is_single(self, expression: Expression) -> bool:
        return self.generator.single(*self._node(expression))

    def value(self, value: Value, *, level: int | None) -> tuple[str, bool]:
        """Write any value: its name, and whether it may be NOTHING.

        `level` is how deep it stands in the properties, to make what the serialiser prints right; None leaves values
        as they are.
        """
        if isinstance(value, Fixed):
            return self.code.const(value.value if level is None else _fixed(value.value)), False
        if isinstance(value, Computed):
            if level is not None:
                built = self._part(value.expression.program.node, "v", level)
                if built is not None:
                    return built, False
            name = self.computed(value.expression)
            if level is not None:
                name = self._exact(value.expression.program.node, name, level)
            return name, not self._is_single(value.expression)
        if isinstance(value, Text):
            return self._mixed(value), False
        inner = None if level is None else level + 1
        return (self._fields(value, inner) if isinstance(value, Fields) else self._items(value, inner)), False

    def _exact(self, node: Node, name: str, level: int) -> str:
        if types_of(node, self._scope) <= {"string", "boolean", "null"}:
            return name
        safe = self.keep(name)
        if may_compute(node):
            self._care(safe, f"{self.code.thing(exact_computed)}({safe}, {level})")
        else:
            with self.code.block(f"if type({safe}) is not str and type({safe}) is not int"):
                self._care(safe, f"{self.code.thing(exact)}({safe}, {level})")
        return safe

    def _care(self, name: str, call: str) -> None:
        """Write the call where a value needs it: a number is usually printed right as it is."""
        with self.code.block(f"if type({name}) is float"):
            usual = f"{PLAIN_LEAST!r} <= {name} < {PLAIN_MOST!r} and {name} % 1.0"
            self.code.line(f"if not ({usual}): {name} = {call}")
        self.code.line(f"elif type({name}) in {self.code.thing(CARE)}: {name} = {call}")

    def _part(self, node: Node, v: str, level: int) -> str | None:
        """Write an expression that builds objects, or a list of objects, of single values, each made right by itself.

        So what is built need not be looked through again. None for any other expression.
        """
        if level > _DEEPEST_BUILT or swells(node, self._scope, self.generator.analysis):
            return None
        found = built_list(node, self._scope)
        if found is None:
            return self._new_object(node, v, level)
        source, item = found
        if not self._builds(item):
            return None
        whole = self.keep("[]")
        append = self.keep(f"{whole}.append")

        def add(value: str) -> None:
            self.code.line(f"{append}({self._new_object(item, value, level + 1)})")

        self._each(source, v, add)
        return whole

    def _each(self, source: Sequence[Node], v: str, then: Callable[[str], None]) -> None:
        if not source:
            then(v)
            return
        self.generator.each(source[0], self._scope, v, Sink(lambda value: self._each(source[1:], value, then)))

    def _builds(self, node: Node) -> bool:
        parts = built_object(node, any_names=True)
        return parts is not None and all(self.generator.single(part, self._scope) for _, part in parts)

    def _new_object(self, node: Node, v: str, level: int) -> str | None:
        parts = built_object(node, any_names=True)
        if parts is None or not self._builds(node):
            return None
        prefetch(self.generator, [part for _, part in parts], self._scope, v)
        made = []
        for key, part in parts:
            name = self._part(part, v, level + 1)
            if name is None:
                name = self._exact(part, self.generator.one(part, self._scope, v), level + 1)
            made.append((key, name, False))
        return self._object(made)

    def _mixed(self, text: Text) -> str:
        parts: list[str] = []
        for part in text.parts:
            if isinstance(part, str):
                parts.append(repr(part))
                continue
            name = self.computed(part)
            if not part.program.types <= {"string"} or not self._is_single(part):
                name = self.keep(name)
                self.code.line(f"if type({name}) is not str: {name} = {self.code.thing(as_part)}({name})")
            parts.append(f"f'{{{name}}}'" if name.isidentifier() else name)
        return self.keep(" ".join(parts))

    def text(self, value: Value, *, integers: bool) -> str:
        """Write a value that must be text, as text (not yet trimmed); nothing asks for the general path."""
        return self.as_text(self.value(value, level=None)[0], integers=integers)

    def as_text(self, name: str, *, integers: bool) -> str:
        """Write the check that a value is text; an integer becomes it where `integers` says so."""
        text = self.keep(name)
        with self.code.block(f"if type({text}) is not str"):
            if integers:
                self.code.line(f"if type({text}) is not int: raise Again")
                self.code.line(f"{text} = str({text})")
            else:
                self.code.line("raise Again")
        return text

    def _fields(self, fields: Fields, level: int | None) -> str:
        made = [(name, *self.value(value, level=level)) for name, value in fields.entries]
        return self._object(made)

    def _object(self, made: list[tuple[str, str, bool]]) -> str:
        """Write an object of parts that are written already, in their order; what may be NOTHING is left out then."""
        sure = next((number for number, (_, _, optional) in enumerate(made) if optional), len(made))
        shown = ", ".join(f"{name!r}: {value}" for name, value, _ in made[:sure])
        whole = self.keep(f"{{{shown}}}")
        for name, value, optional in made[sure:]:
            test = f"if {value} is not NOTHING: " if optional else ""
            self.code.line(f"{test}{whole}[{name!r}] = {value}")
        return whole

    def _items(self, items: Items, level: int | None) -> str:
        made = [self.value(value, level=level) for value in items.values]
        if not any(optional for _, optional in made):
            return self.keep(f"[{', '.join(value for value, _ in made)}]")
        whole = self.keep("[]")
        for value, optional in made:
            test = f"if {value} is not NOTHING: " if optional else ""
            self.code.line(f"{test}{whole}.append({value})")
        return whole

    def properties(self, layers: tuple[Fields | Computed, ...], *, drop_nulls: bool) -> tuple[str, bool]:
        """Write the properties: a name that holds a new object, and whether the serialiser prints it right."""
        first = layers[0] if layers else Fields(())
        if len(layers) <= 1 and isinstance(first, Fields):
            return self._fields(first, None if drop_nulls else 2), not drop_nulls
        if len(layers) == 1 and isinstance(first, Computed) and not drop_nulls:
            built = self._built(first.expression)
            if built is not None:
                return built, True
        whole = self.keep("{}")
        for layer in layers:
            if isinstance(layer, Computed):
                self._lay_object(whole, layer.expression)
            else:
                self._lay_fields(whole, layer)
        return whole, False

    def _built(self, expression: Expression) -> str | None:
        """Write an expression that builds an object of single values part by part, each made right by itself."""
        node = expression.program.node
        return None if built_object(node) is None else self._new_object(node, "v", 1)

    def _lay_object(self, whole: str, expression: Expression) -> None:
        name = self.computed(expression)
        self.code.line(f"if type({name}) is not dict: raise Again")
        self.code.line(f"{self.code.thing(refuse_names)}({name})")
        self.code.line(f"{whole}.update({name})")

    def _lay_fields(self, whole: str, fields: Fields) -> None:
        for key, value in fields.entries:
            name, optional = self.value(value, level=None)
            if optional:
                self.code.line(f"if {name} is NOTHING: {whole}.pop({key!r}, None)")
                self.code.line(f"else: {whole}[{key!r}] = {name}")
            else:
                self.code.line(f"{whole}[{key!r}] = {name}")

    def finished(self, whole: str, *, drop_nulls: bool) -> str:
        """Write what makes whole properties right for the serialiser."""
        options = "drop_nulls=True" if drop_nulls else ""
        return self.keep(f"{self.code.thing(Fragment)}({self.code.thing(exact_json)}({whole}, {options}))")


def _tests(node: Node) -> Iterator[Node]:
    """The parts of `a and b and c`, in their order."""
    if isinstance(node, Logic) and node.op == "and":
        yield from _tests(node.left)
        yield from _tests(node.right)
    else:
        yield node


def _fixed(value: Any) -> Any:
    """Return a fixed value as the serialiser prints it right."""
    return exact(value, 2) if type(value) is float else value
