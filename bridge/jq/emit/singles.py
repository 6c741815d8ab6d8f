"""Expressions with exactly one output, as statements and the name of the result."""

from __future__ import annotations

from bridge.jq.emit.analysis import ONE
from bridge.jq.emit.generator import Generator, Sink, falsy, is_name, stages
from bridge.jq.emit.reads import prefetch
from bridge.jq.emit.scope import NOT_CONSTANT, Bound, Scope
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Assign,
    Bind,
    Comma,
    Define,
    Format,
    If,
    Index,
    Literal,
    Node,
    Object,
    Pipe,
    Reduce,
    Slice,
    Text,
    Try,
    Variable,
)

_SHORT = 256
"""Outside loops, texts up to this length are not counted: a program has only so many places that make them."""


def identity(_: Generator, __: Node, ___: Scope, v: str) -> str:
    """`.`"""
    return v


def literal(generator: Generator, node: Node, _: Scope, __: str) -> str:
    """A constant."""
    assert isinstance(node, Literal)
    return generator.code.const(node.value)


def variable(generator: Generator, node: Node, scope: Scope, _: str) -> str:
    """`$name`."""
    assert isinstance(node, Variable)
    return scope.variables[node.name].name


def pipe(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`a | b | c`."""
    parts = stages(node)
    for at, part in enumerate(parts):
        if isinstance(part, Pipe):
            v = pipe(generator, part, scope, v)
        elif at < len(parts) - 1 or not isinstance(part, Define):
            v = generator.one(part, scope, v)
        else:
            v = generator.one(part, scope, v)
    return v


def index(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`.a`, `.[0]`, `.[$x]`; the key is computed before the target, as in jq."""
    assert isinstance(node, Index)
    key_value = generator.constant(node.key, scope)
    key = generator.one(node.key, scope, v)
    target = generator.one(node.target, scope, v)
    if type(key_value) is str:
        return field(generator, target, key)
    if type(generator.constant(node.target, scope)) is dict:
        return generator.keep(f"{target}.get({key}) if type({key}) is str else index({target}, {key})")
    return generator.keep(f"index({target}, {key})")


def field(generator: Generator, target: str, key: str) -> str:
    """`target.key` for a constant text; read only once."""
    if not is_name(target):
        return generator.keep(f"index({target}, {key})")
    known = generator.code.remembered("field", target, key)
    if known is not None:
        return known
    if generator.code.remembered("dict", target) is not None:
        name = generator.keep(f"{target}.get({key})")
    else:
        name = generator.keep(f"{target}.get({key}) if type({target}) is dict else index({target}, {key})")
    generator.code.remember(name, "field", target, key)
    return name


def slice_(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`.[low:high]`."""
    assert isinstance(node, Slice)
    low = "None" if node.low is None else generator.one(node.low, scope, v)
    high = "None" if node.high is None else generator.one(node.high, scope, v)
    target = generator.one(node.target, scope, v)
    return generator.keep(f"slice_of({target}, {low}, {high})")


def array(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`[body]`: a literal where every part is single, else a list that is appended to."""
    assert isinstance(node, Array)
    if node.body is None:
        return generator.keep("[]")
    parts = _commas(node.body)
    if all(generator.single(part, scope) for part in parts):
        names = [generator.one(part, scope, v) for part in parts]
        return generator.keep(f"[{', '.join(names)}]")
    name = generator.keep("[]")
    append = generator.keep(f"{name}.append")
    for part in parts:
        generator.each(part, scope, v, Sink(lambda value: generator.code.line(f"{append}({value})"), cheap=True))
    return name


def _commas(node: Node) -> list[Node]:
    parts: list[Node] = []
    while isinstance(node, Comma):
        parts.append(node.right)
        node = node.left
    parts.append(node)
    return parts[::-1]


def object_(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`{…}` with single keys and values."""
    assert isinstance(node, Object)
    prefetch(generator, [value for _, value in node.entries], scope, v)
    written = []
    for key, value in node.entries:
        name = object_key(generator, key, scope, v)
        written.append(f"{name}: {generator.one(value, scope, v)}")
    return generator.keep(f"{{{', '.join(written)}}}")


def object_key(generator: Generator, key: Node, scope: Scope, v: str) -> str:
    """A key of an object, checked to be text where that is not known."""
    value = generator.constant(key, scope)
    if type(value) is str:
        return generator.code.const(value)
    if value is not NOT_CONSTANT:
        raise JqProblem("syntax", "only text can be a key", key.start, key.end, "write `(… | tostring)`")
    return generator.keep(f"key_text({generator.one(key, scope, v)})")


def alternative(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`left // right` where `left` gives at most one output."""
    assert isinstance(node, Alternative)
    if generator.single(node.left, scope):
        left = generator.one(node.left, scope, v)
        right_value = generator.constant(node.right, scope)
        if right_value is not NOT_CONSTANT:
            right = generator.code.const(right_value)
            return generator.keep(f"{right} if {falsy(left)} else {left}")
        name = generator.keep(left)
    else:
        name = generator.first(node.left, scope, v, "None")
    with generator.code.block(f"if {name} is None or {name} is False"):
        generator.code.line(f"{name} = {generator.one(node.right, scope, v)}")
    return name


def if_(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`if … then … else … end`."""
    assert isinstance(node, If)
    name = generator.code.name()
    test = generator.condition(node.condition, scope, v)
    with generator.code.block(f"if {test}"):
        generator.code.line(f"{name} = {generator.one(node.then, scope, v)}")
    with generator.code.block("else"):
        result = v if node.otherwise is None else generator.one(node.otherwise, scope, v)
        generator.code.line(f"{name} = {result}")
    return name


def try_(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`try body catch handler`, both single."""
    assert isinstance(node, Try)
    assert node.handler is not None
    name, error = generator.code.name(), generator.code.name("e")
    with generator.code.block("try"), generator.trying():
        generator.code.line(f"{name} = {generator.one(node.body, scope, v)}")
    generator.code.line("except BudgetExceeded: raise")
    with generator.code.block(f"except JqError as {error}"):
        caught = generator.keep(f"{error}.value")
        generator.code.line(f"{name} = {generator.one(node.handler, scope, caught)}")
    return name


def bind(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`source as $x | body`."""
    assert isinstance(node, Bind)
    constant = generator.constant(node.source, scope)
    source = generator.one(node.source, scope, v)
    found: list[str] = []

    def then(inner: Scope) -> None:
        found.append(generator.one(node.body, _with_constants(inner, source, constant), v))

    generator.destructure(node.patterns[0], source, scope, v, then)
    return found[0]


def _with_constants(scope: Scope, source: str, constant: object) -> Scope:
    """Say of variables that hold all of a constant source that they are constant."""
    if constant is NOT_CONSTANT:
        return scope
    names = {
        name: Bound(bound.name, constant)
        for name, bound in scope.variables.items()
        if bound.name == source and bound.constant is NOT_CONSTANT
    }
    return scope.with_variables(names) if names else scope


def reduce_(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`reduce source as $x (initial; update)` with a single initial value."""
    assert isinstance(node, Reduce)
    state = generator.keep(generator.one(node.initial, scope, v), "s")
    reduced(generator, node, scope, v, state)
    return state


def reduced(generator: Generator, node: Reduce, scope: Scope, v: str, state: str) -> None:
    """The loop of `reduce`; an update without output leaves null, of several the last counts."""

    def update(inner: Scope) -> None:
        before = generator.keep(state)
        generator.step()
        if generator.single(node.update, inner):
            generator.code.line(f"{state} = {generator.one(node.update, inner, before)}")
            return
        after = generator.keep("None")
        write = Sink(lambda value: generator.code.line(f"{after} = {value}"), cheap=True)
        generator.each(node.update, inner, before, write)
        generator.code.line(f"{state} = {after}")

    source_loop(generator, node, scope, v, update)


def source_loop(generator: Generator, node: Reduce, scope: Scope, v: str, then: object) -> None:
    """Every output of the source, taken apart."""
    if len(node.patterns) > 1:
        hint = "use one pattern, and `if` on its type"
        raise JqProblem("refused", "`?//` in `reduce` and `foreach`", node.start, node.end, hint)
    assert callable(then)
    pattern = node.patterns[0]
    generator.each(node.source, scope, v, Sink(lambda value: generator.destructure(pattern, value, scope, v, then)))


def text(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    r"""A text with `\( )`; the last one is computed first, as in jq."""
    assert isinstance(node, Text)
    names: list[str] = []
    for part in reversed(node.parts):
        if isinstance(part, str):
            names.append(part)
            continue
        names.append("\0" + part_text(generator, generator.one(part, scope, v), node.format))
    return joined(generator, names[::-1])


def part_text(generator: Generator, value: str, format_name: str | None) -> str:
    """A Python expression for an interpolated value as text."""
    if format_name in (None, "text"):
        return f"({value} if type({value}) is str else tostring({value}, B))"
    return f"{format_function(generator, format_name)}({value}, B)"


def joined(generator: Generator, parts: list[str]) -> str:
    """Join texts and (marked by a zero) expressions."""
    written = [part[1:] if part.startswith("\0") else repr(part) for part in parts]
    name = generator.keep(" + ".join(written))
    if generator.code.outermost:
        generator.code.line(f"if len({name}) > {_SHORT}: B.built(len({name}))")
        return name
    generator.code.line(f"B.text -= len({name})")
    generator.code.line("if B.text < 0: B.over()")
    return name


def format_function(generator: Generator, name: str | None) -> str:
    """The Python name of what `@name` does."""
    from bridge.jq.runtime.formats import FORMATS

    return generator.code.thing(FORMATS[str(name)], "F")


def format_(generator: Generator, node: Node, _: Scope, v: str) -> str:
    """`@name`."""
    assert isinstance(node, Format)
    return generator.keep(f"{format_function(generator, node.name)}({v}, B)")


def assign(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`paths op value` with a single right side (or `|=`)."""
    assert isinstance(node, Assign)
    from bridge.jq.emit.updates import assigned

    found: list[str] = []
    assigned(generator, node, scope, v, Sink(found.append))
    return found[0]


def define(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """`def …; rest`."""
    assert isinstance(node, Define)
    from bridge.jq.emit.calls import defined

    return generator.one(node.rest, defined(generator, node.function, scope), v)


__all__ = ["ONE"]
