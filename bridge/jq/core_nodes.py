"""The core that expressions are lowered to: names are resolved, calls written out, and each node knows its facts.

`lower.py` makes it of the syntax tree, `facts.py` writes the facts, `emit/` makes Python of it. A core node may occur at
several places of an expression, so variables, labels and functions are told apart by identity, never by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Literal, NamedTuple

from bridge.jq.builtins.table import ANY, NOT_CONSTANT
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax import nodes as syntax

ONE, MAYBE, MANY = 0, 1, 2
"""Exactly one output (or an error); at most one; any number."""


class Growth(NamedTuple):
    """How large a result may be, written out: at most `dot` times the input and `other` times the variables.

    `deep` is how deep the expression is in which that was found.
    """

    dot: float
    other: float
    deep: int = 1

    @property
    def most(self) -> float:
        """The sum."""
        return self.dot + self.other


UNKNOWN = Growth(inf, inf)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an expression before it runs.

    `outputs`: ONE, MAYBE or MANY. `types` of its outputs. `constant`: its value where that is the same for every input,
    else NOT_CONSTANT. `growth` of one output, `collected` of all of them together. `reads`: the first-level fields of
    the input that are always read, in order. `variables`: whether it reads some. `called`: whether it stands for a call.
    """

    outputs: int = ONE
    types: frozenset[str] = ANY
    constant: JSON = NOT_CONSTANT
    growth: Growth = UNKNOWN
    collected: Growth = UNKNOWN
    reads: tuple[str, ...] = ()
    variables: bool = False
    called: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """Any lowered expression; `syntax` is where it comes from."""

    syntax: syntax.Node
    facts: Facts = field(default=Facts(), kw_only=True)


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """A variable, and its value where that is a constant."""

    constant: JSON = NOT_CONSTANT


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A label."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A parameter of a Function that takes an expression."""


@dataclass(slots=True, eq=False)
class Function:
    """A function that becomes a Python function of its own: it calls itself, or would be written too often.

    `params`: for each the expression and the value that its body knows it by, if it does. `body` is there once a call of
    it was lowered. `shared`: it is one of several expressions', and nothing is said of how large its results are.
    """

    syntax: syntax.Function
    recursive: bool
    shared: bool = False
    params: tuple[tuple[Parameter | None, Binding | None], ...] = ()
    body: Core | None = None
    outputs: int = ONE
    lowering: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Input(Core):
    """`.`"""


@dataclass(frozen=True, slots=True, eq=False)
class Const(Core):
    """A number, a text, true, false, null."""

    value: JSON


@dataclass(frozen=True, slots=True, eq=False)
class Variable(Core):
    """`$name`."""

    binding: Binding


@dataclass(frozen=True, slots=True, eq=False)
class Text(Core):
    r"""`"… \(x) …"`, with `@format` before it or not."""

    parts: tuple[str | Core, ...]
    format: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Step(Core):
    """`target[key]`, `target[low:high]`, `target[]`; the keys are computed before the target, from the same input."""

    kind: Literal["key", "slice", "each"]
    target: Core
    keys: tuple[Core, ...]
    optional: bool


@dataclass(frozen=True, slots=True, eq=False)
class Collect(Core):
    """`[part, part, …]`."""

    parts: tuple[Core, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Object(Core):
    """`{key: value, …}`."""

    entries: tuple[tuple[Core, Core], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pipe(Core):
    """`left | right`."""

    left: Core
    right: Core


@dataclass(frozen=True, slots=True, eq=False)
class Comma(Core):
    """`part, part, …`."""

    parts: tuple[Core, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Core):
    """`left op right` for `+ - * / % == != < <= > >=`."""

    op: str
    left: Core
    right: Core


@dataclass(frozen=True, slots=True, eq=False)
class Logic(Core):
    """`left and right`, `left or right`."""

    op: str
    left: Core
    right: Core


@dataclass(frozen=True, slots=True, eq=False)
class Alternative(Core):
    """`left // right`."""

    left: Core
    right: Core


@dataclass(frozen=True, slots=True, eq=False)
class If(Core):
    """`if condition then then else otherwise end`."""

    condition: Core
    then: Core
    otherwise: Core


@dataclass(frozen=True, slots=True, eq=False)
class Try(Core):
    """`try body catch handler`, `body?`."""

    body: Core
    handler: Core | None


class Items(NamedTuple):
    """`[pattern, …]`."""

    items: tuple[Pattern, ...]


class Entries(NamedTuple):
    """`{key: pattern, …}`: the key, the variable for the whole part and the pattern for what is in it."""

    entries: tuple[tuple[Core, Binding | None, Pattern | None], ...]


Pattern = Binding | Items | Entries
"""What `as` takes a value apart with."""


@dataclass(frozen=True, slots=True, eq=False)
class Bind(Core):
    """`source as pattern | body`; with `?//` a body for each pattern."""

    source: Core
    takes: tuple[tuple[Pattern, Core], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fold(Core):
    """`reduce source as pattern (initial; update)`; `foreach` gives `extract` (`.` if left out) of every state."""

    source: Core
    patterns: tuple[Pattern, ...]
    initial: Core
    update: Core
    extract: Core | None


@dataclass(frozen=True, slots=True, eq=False)
class Assign(Core):
    """`left op right` for `= |= += -= *= /= %= //=`."""

    op: str
    left: Core
    right: Core


@dataclass(frozen=True, slots=True, eq=False)
class Label(Core):
    """`label $name | body`."""

    mark: Mark
    body: Core


@dataclass(frozen=True, slots=True, eq=False)
class Break(Core):
    """`break $name`."""

    mark: Mark


@dataclass(frozen=True, slots=True, eq=False)
class Native(Core):
    """A Python function of the input (with `dot`), the arguments' values and the EvalBudget (with `budget`).

    `stream`: it gives an iterable of outputs.
    """

    run: Callable[..., object]
    args: tuple[Core, ...]
    dot: bool = True
    budget: bool = False
    stream: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Special(Core):
    """A built-in that is written as code of its own.

    `made` is what was made of its constant arguments.
    """

    key: str
    args: tuple[Core, ...]
    made: object = None


@dataclass(frozen=True, slots=True, eq=False)
class Define(Core):
    """`body`, in which calls of `function` occur."""

    function: Function
    body: Core


@dataclass(frozen=True, slots=True, eq=False)
class Invoke(Core):
    """A call of a function, or of a parameter; `within` is the function in whose text it stands."""

    function: Function | Parameter
    args: tuple[Core, ...]
    within: Function | None


def stages(node: Core) -> list[Core]:
    """The parts of `a | b | c`."""
    found: list[Core] = []
    while isinstance(node, Pipe):
        found.append(node.left)
        node = node.right
    found.append(node)
    return found


def pattern_keys(pattern: Pattern | None) -> Iterator[Core]:
    """The keys of the objects in a pattern."""
    if isinstance(pattern, Items):
        for item in pattern.items:
            yield from pattern_keys(item)
    elif isinstance(pattern, Entries):
        for key, _, inner in pattern.entries:
            yield key
            yield from pattern_keys(inner)
