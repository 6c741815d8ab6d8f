"""The text of generated Python functions, and the constants that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from bridge.jq.problems import JqProblem
from bridge.jq.runtime.support import NAMESPACE
from bridge.jq.runtime.values import JSON

Lines: TypeAlias = "list[str | Lines]"
MAX_LINES = 60_000
_INDENT = " "
_LOOPS = ("for ", "while ", "try")


class Code:
    """Functions being written, line by line. One `Code` makes one namespace; names in it never collide."""

    def __init__(self, namespace: Mapping[str, object] = NAMESPACE) -> None:
        self.namespace: dict[str, object] = dict(namespace)
        self._root: Lines = []
        self._here = self._root
        self._level = 0
        self._count = 0
        self._lines = 0
        self._functions = 0
        self._memo: list[dict[tuple[str, ...], str]] = [{}]
        self._interned: dict[int, tuple[object, str]] = {}
        self.nesting = 0
        """How many loops and `try`s of the current function are open: Python allows about twenty."""

    def name(self, prefix: str = "t") -> str:
        """A fresh Python name."""
        self._count += 1
        return f"{prefix}{self._count}"

    def const(self, value: JSON) -> str:
        """An expression for a JSON constant: a literal, or a name in the table of constants."""
        if value is None or type(value) is bool or type(value) is str:
            return repr(value)
        if type(value) is int:
            return repr(value) if value >= 0 else f"({value!r})"
        return self.thing(value)

    def thing(self, value: object, prefix: str = "K") -> str:
        """The name of any Python object in the table of constants."""
        known = self._interned.get(id(value))
        if known is not None:
            return known[1]
        name = self.name(prefix)
        self._interned[id(value)] = (value, name)
        self.namespace[name] = value
        return name

    def line(self, text: str) -> None:
        """Write one line."""
        self._lines += 1
        if self._lines > MAX_LINES:
            raise JqProblem("too-large", "the expression becomes too much code", 0, 1, "split it, or repeat less in it")
        self._here.append(_INDENT * self._level + text)

    @contextmanager
    def block(self, header: str, *, whole_inputs: bool = False) -> Iterator[None]:
        """A compound statement: the header without its colon, then what is written inside.

        `whole_inputs`: each turn of it is another input, so that what is inside runs once for an input all the same.
        """
        self.line(f"{header}:")
        loop = header.startswith(_LOOPS) and not whole_inputs
        before = self._lines
        self._level += 1
        self.nesting += loop
        self._memo.append({})
        yield
        if self._lines == before:
            self.line("pass")
        self._memo.pop()
        self.nesting -= loop
        self._level -= 1

    @contextmanager
    def function(self, header: str) -> Iterator[None]:
        """A Python function: `name(parameters)`."""
        nesting, self.nesting = self.nesting, 0
        self._functions += 1
        with self.block(f"def {header}"):
            yield
        self._functions -= 1
        self.nesting = nesting

    @property
    def outermost(self) -> bool:
        """Whether what is written here runs at most once for an input."""
        return self._functions == 1 and not self.nesting

    def place(self) -> CodePlace:
        """A place to which lines can still be written when the code behind it is."""
        lines: Lines = []
        self._here.append(lines)
        return CodePlace(lines, self._level)

    @contextmanager
    def at(self, place: CodePlace) -> Iterator[None]:
        """Write at an earlier place, as if nothing had been read there yet.

        Each time into lines of its own: what is being written there already is not torn apart.
        """
        state = (self._here, self._level, self._memo, self.nesting)
        lines: Lines = []
        place.lines.append(lines)
        self._here, self._level, self._memo, self.nesting = lines, place.level, [{}], 0
        yield
        self._here, self._level, self._memo, self.nesting = state

    def remembered(self, *key: str) -> str | None:
        """The name that holds something already computed on the way to here."""
        for memo in reversed(self._memo):
            if key in memo:
                return memo[key]
        return None

    def remember(self, name: str, *key: str) -> None:
        """Say that `name` holds what `key` describes, from here to the end of the block."""
        self._memo[-1][key] = name

    def text(self) -> str:
        """All that was written."""
        out: list[str] = []
        _flatten(self._root, out)
        return "\n".join(out) + "\n"

    def build(self, name: str) -> Callable[..., JSON]:
        """Compile everything and give the function `name`. Raises JqProblem where Python's own limits are met."""
        try:
            compiled = compile(self.text(), "<jq>", "exec")
        except (SyntaxError, RecursionError, MemoryError) as problem:
            hint = "give parts of it names with `def`, or split it"
            raise JqProblem("too-large", "the expression is nested too deep", 0, 1, hint) from problem
        exec(compiled, self.namespace)  # noqa: S102 - the text is ours: see the docstring of this package
        function: Callable[..., JSON] = self.namespace[name]  # type: ignore[assignment]
        return function


class CodePlace:
    """Where later lines go: a function that is only written once somebody calls it."""

    __slots__ = ("level", "lines")

    def __init__(self, lines: Lines, level: int) -> None:
        self.lines = lines
        self.level = level


def _flatten(lines: Lines, out: list[str]) -> None:
    for line in lines:
        if isinstance(line, str):
            out.append(line)
        else:
            _flatten(line, out)
