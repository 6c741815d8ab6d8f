"""Comparisons and texts in expressions that are hardly what their author meant: a look at the syntax alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.findings import Finding
from bridge.jq.builtins.table import ANY
from bridge.jq.syntax.nodes import (
    Array,
    Binary,
    Call,
    Comma,
    Identity,
    Index,
    Literal,
    Logic,
    Node,
    Pipe,
    Text,
    children,
)
from bridge.rules.lint.contexts import Placed, balanced

__all__ = ["comparison_remarks", "every", "far_pipe", "literals", "shown", "text_remarks"]

_OTHER_INTERPOLATION: Final = re.compile(
    r"\$\{ *([.$]?[A-Za-z_][\w.]*) *\}|\{\{ *([.$]?[A-Za-z_][\w.]*) *\}\}|\{ *(\.[A-Za-z_][\w.]*) *\}|\((\.[A-Za-z_][\w.]*)\)"
)


def every(node: Node) -> Iterator[Node]:
    """An expression and all its parts."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += children(found)


def shown(text: str, node: Node) -> str:
    """The text of a part, with the ( ) that belong to it."""
    start, end = balanced(text, node.start, node.end)
    return text[start:end]


def comparison_remarks(node: Binary, place: Placed) -> Iterator[Finding]:
    """What `==` and `!=` compare by mistake."""
    yield from _null_text(node, place)
    yield from _whole_list(node, place)
    yield from _type_of_record(node, place)


def _whole_list(node: Binary, place: Placed) -> Iterator[Finding]:
    """`.type == ["a", "b"]`: equal only to the list itself."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        items = literals(side)
        if len(items) > 1 and isinstance(other, Index):
            message = "this compares with the list as a whole, not with its elements"
            listed = ", ".join(shown(place.expression.text, item) for item in items)
            hint = f"write `{shown(place.expression.text, other)} | IN({listed})`"
            yield place.finding("R050", side.start, side.end, message, hint, warning=True)


def literals(node: Node) -> list[Literal]:
    """The elements of a list of literals; none for anything else."""
    if not isinstance(node, Array) or node.body is None:
        return []
    found, waiting = [], [node.body]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Comma):
            waiting += [part.right, part.left]
        elif isinstance(part, Literal):
            found.append(part)
        else:
            return []
    return found


def _type_of_record(node: Binary, place: Placed) -> Iterator[Finding]:
    """`type == "order.placed"`: the function `type` gives the kind of value that the record is."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        of_it = isinstance(side, Call) and side.key == "type/0"
        if of_it and isinstance(other, Literal) and isinstance(other.value, str) and other.value not in ANY:
            message = f"`type` gives object, array, string, number, boolean or null, and never `{other.value[:40]}`"
            yield place.finding("R050", node.start, node.end, message, "write `.type` for the field", warning=True)


def far_pipe(root: Node, place: Placed) -> Iterator[Finding]:
    """`.items | length > 0 and .type == "a"`: the `|` takes in the second condition, too."""
    if not isinstance(root, Pipe) or not isinstance(root.right, Logic) or not isinstance(root.left, Index):
        return
    logic = root.right
    while isinstance(logic.left, Logic):
        logic = logic.left
    first, second = logic.left, logic.right
    of_it = isinstance(first, Binary) and any(isinstance(part, Call) and not part.args for part in every(first))
    if of_it and any(isinstance(part, Index) and isinstance(part.target, Identity) for part in every(second)):
        text = place.expression.text
        begins = text[root.left.start : balanced(text, first.start, first.end)[1]].strip()
        message = f"`|` binds less than `{root.right.op}`: this is looked up in `{shown(text, root.left)}`"
        hint = f"write `({begins}) {root.right.op} …`"
        yield place.finding("R057", second.start, second.end, message, hint, warning=True)


def _null_text(node: Binary, place: Placed) -> Iterator[Finding]:
    """`.x != "null"`."""
    for side in (node.left, node.right):
        if isinstance(side, Literal) and side.value in ("null", "None", "undefined"):
            message = f'this compares with the text "{side.value}": a value that is missing is null, without quotes'
            yield place.finding("R050", side.start, side.end, message, "write `null`", warning=True)


def text_remarks(node: Literal | Text, place: Placed) -> Iterator[Finding]:
    r"""`"Hello ${.name}"`, `"{.name}"`: jq puts values into texts by `\( )`."""
    texts = [node.value] if isinstance(node, Literal) else node.parts
    for part in texts:
        found = _OTHER_INTERPOLATION.search(part) if isinstance(part, str) else None
        if found is not None:
            path = next(group for group in found.groups() if group)
            message = f"`{found.group()}` stays as it is in this text"
            hint = f"write `\\({path if path.startswith(('.', '$')) else '.' + path})` to put the value there"
            yield place.finding("R056", node.start, node.end, message, hint, warning=True)
            return
