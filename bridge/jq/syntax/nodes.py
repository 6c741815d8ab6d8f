"""The syntax tree. Every node knows where it stands: `start` and `end` are character offsets into its text."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.jq.runtime.values import JSON


@dataclass(frozen=True, slots=True)
class Node:
    """Any expression."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Identity(Node):
    """`.`"""


@dataclass(frozen=True, slots=True)
class Literal(Node):
    r"""A constant: a number, a text without `\( )`, true, false, null."""

    value: JSON


@dataclass(frozen=True, slots=True)
class Text(Node):
    r"""`"… \(x) …"`, with `@format` before it or not; `parts` alternate freely between text and nodes."""

    parts: tuple[str | Node, ...]
    format: str | None


@dataclass(frozen=True, slots=True)
class Format(Node):
    """`@name` on its own."""

    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`target[key]`, `target.key`; `optional` with `?` right behind it (which forgives only this step)."""

    target: Node
    key: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`target[low:high]`."""

    target: Node
    low: Node | None
    high: Node | None
    optional: bool


@dataclass(frozen=True, slots=True)
class Iterate(Node):
    """`target[]`."""

    target: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Array(Node):
    """`[body]`, `[]`."""

    body: Node | None


@dataclass(frozen=True, slots=True)
class Object(Node):
    """`{key: value, …}`."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """`-body`."""

    body: Node


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`left | right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comma(Node):
    """`left, right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left op right` for `+ - * / % == != < <= > >=`."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`left and right`, `left or right`."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Alternative(Node):
    """`left // right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`left op right` for `= |= += -= *= /= %= //=`; `op_start` is where the operator stands."""

    op: str
    left: Node
    right: Node
    op_start: int


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if condition then then else otherwise end`."""

    condition: Node
    then: Node
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Try(Node):
    """`try body catch handler`, `body?`."""

    body: Node
    handler: Node | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What `as` takes a value apart with: a variable, an array or an object of patterns."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class VariablePattern(Pattern):
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class ArrayPattern(Pattern):
    """`[pattern, …]`."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class ObjectPattern(Pattern):
    """`{key: pattern, $name, $name: pattern}`: (key, variable or None, pattern or None)."""

    entries: tuple[tuple[Node, str | None, Pattern | None], ...]


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`source as pattern ?// pattern | body`."""

    source: Node
    patterns: tuple[Pattern, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """`reduce source as pattern (initial; update)`."""

    source: Node
    patterns: tuple[Pattern, ...]
    initial: Node
    update: Node


@dataclass(frozen=True, slots=True)
class Foreach(Node):
    """`foreach source as pattern (initial; update; extract)`."""

    source: Node
    patterns: tuple[Pattern, ...]
    initial: Node
    update: Node
    extract: Node | None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`def name(params): body;`; a parameter with `$` takes a value, one without takes an expression."""

    name: str
    params: tuple[str, ...]
    body: Node

    @property
    def key(self) -> str:
        """`name/arity`, as jq identifies functions."""
        return f"{self.name}/{len(self.params)}"


@dataclass(frozen=True, slots=True)
class Define(Node):
    """`def …; rest`."""

    function: Function
    rest: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name`, `name(arg; …)`."""

    name: str
    args: tuple[Node, ...]

    @property
    def key(self) -> str:
        """`name/arity`."""
        return f"{self.name}/{len(self.args)}"


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Label(Node):
    """`label $name | body`."""

    name: str
    body: Node


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`break $name`."""

    name: str


def children(node: Node) -> tuple[Node, ...]:
    """The expressions right below a node, in the order in which they stand."""
    found: list[Node] = []
    for name in node.__dataclass_fields__:
        _collect(getattr(node, name), found)
    return tuple(found)


def _collect(part: object, found: list[Node]) -> None:
    if isinstance(part, Node):
        found.append(part)
    elif isinstance(part, tuple):
        for item in part:
            _collect(item, found)
    elif isinstance(part, ArrayPattern):
        _collect(part.items, found)
    elif isinstance(part, ObjectPattern):
        _collect(part.entries, found)


def pattern_names(pattern: Pattern) -> list[str]:
    """The variables of a pattern."""
    if isinstance(pattern, VariablePattern):
        return [pattern.name]
    if isinstance(pattern, ArrayPattern):
        return [name for item in pattern.items for name in pattern_names(item)]
    assert isinstance(pattern, ObjectPattern)
    names: list[str] = []
    for _, name, inner in pattern.entries:
        names += [name] if name is not None else []
        names += pattern_names(inner) if inner is not None else []
    return names


def pattern_keys(pattern: Pattern) -> list[Node]:
    """The keys of the objects in a pattern."""
    if isinstance(pattern, ArrayPattern):
        return [key for item in pattern.items for key in pattern_keys(item)]
    keys: list[Node] = []
    if isinstance(pattern, ObjectPattern):
        for key, _, inner in pattern.entries:
            keys.append(key)
            keys += pattern_keys(inner) if inner is not None else []
    return keys
