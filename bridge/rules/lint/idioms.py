"""Expressions that are jq and yet hardly what their author meant: a look at the syntax alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.findings import Codes, Finding, FindingCode
from bridge.jq.builtins.table import ANY
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    Assign,
    Binary,
    Call,
    Comma,
    Format,
    Identity,
    If,
    Index,
    Iterate,
    Literal,
    Logic,
    Node,
    Object,
    Pipe,
    Slice,
    Text,
    Try,
    Variable,
    children,
)
from bridge.rules.lint.contexts import Placed, balanced
from bridge.rules.lint.types import COMPARISONS, asks_type, types_of

__all__ = ["CODES", "idiom_findings"]

CODES: Final[Codes] = {
    "R038": FindingCode(
        "`=` where `==` is meant.", "Compare with `==`; `=` changes a value.", 'when: .type = "placed"'
    ),
    "R039": FindingCode(
        "A part of a condition that decides nothing.",
        'Compare each value: `.type == "a" or .type == "b"`.',
        'when: .type == "placed" or "paid"',
    ),
    "R042": FindingCode(
        "A default that replaces `false`, too.",
        "Write `if .x == null then true else .x end`: for `//` false is as good as missing.",
        "properties: {public: '${ .public // true }'}",
        severity="warning",
    ),
    "R043": FindingCode(
        "A `//` that does not do what it seems to.",
        "Write ( ) as the message shows, or leave it out.",
        "when: .total // 0 > 5",
    ),
    "R044": FindingCode(
        "`?` before `//` hides every error.",
        "Leave out the `?`: `.x // …` is enough.",
        "properties: {name: '${ .name? // \"you\" }'}",
        severity="warning",
    ),
    "R045": FindingCode(
        "Milliseconds where seconds are taken.",
        "Write `$timestamp / 1000 | todate`.",
        "properties: {at: '${ $timestamp | todate }'}",
        severity="warning",
    ),
    "R046": FindingCode(
        "The whole record is sent, personal data too.",
        "Name the fields: `{id, total}`, or `del(.customer)`.",
        "properties: {order: '${ . }'}",
    ),
    "R053": FindingCode(
        "A format of dates without a directive.",
        "Write `%Y`, `%m`, `%d`, `%H`, `%M`: `%d.%m.%Y`.",
        "properties: {day: '${ .at | strftime(\"YYYY-MM-DD\") }'}",
        severity="warning",
    ),
    "R056": FindingCode(
        "A text in an expression that looks as if it held a value.",
        'Values are put into a text by `\\( )`: `"Hello \\(.name)"`.',
        "properties: {hello: '${ \"Hello ${.name}\" }'}",
        severity="warning",
    ),
    "R057": FindingCode(
        "A `|` that takes in more than it seems to.",
        "Write ( ) as the message shows.",
        'when: .items | length > 0 and .type == "placed"',
        severity="warning",
    ),
}

_CONDITIONS: Final = frozenset(("select/1", "any/1", "all/1", "any/2", "all/2"))
_SECONDS: Final = frozenset(("todate/0", "todateiso8601/0", "gmtime/0", "strftime/1", "format_time/2"))
_FORMATS: Final = frozenset(("strftime/1", "format_time/2", "strptime/1"))
_WHOLE_AS_TEXT: Final = frozenset(("tojson/0", "tostring/0"))


def idiom_findings(place: Placed) -> Iterator[Finding]:
    """Find what is probably a mistake in one expression."""
    found = list(_findings(place))
    # `.a = "x" and .b` is `.a = ("x" and .b)`: with `==` in place of the `=` the rest is right.
    assigns = any(finding.code == "R038" for finding in found)
    yield from (finding for finding in found if not (assigns and finding.code == "R039"))


def _findings(place: Placed) -> Iterator[Finding]:
    root = place.expression.program.node
    text = place.expression.text
    if place.expression.label == "when":
        yield from _condition(root, place)
        yield from _selected(root, place)
        yield from _far_pipe(root, place)
    yield from _whole_record(root, place)
    for node in _every(root):
        if isinstance(node, Alternative):
            yield from _alternative(node, place, text)
        elif isinstance(node, Logic):
            yield from _logic(node, place)
        elif isinstance(node, Literal | Text):
            yield from _texts(node, place)
        elif isinstance(node, Binary) and node.op in ("==", "!="):
            yield from _comparisons(node, place)
        elif isinstance(node, Pipe):
            yield from _milliseconds(node, place)
        elif isinstance(node, If):
            yield from _condition(node.condition, place)
        elif isinstance(node, Index):
            yield from _length(node, place)
        elif isinstance(node, Call):
            yield from _call(node, place)


def _condition(node: Node, place: Placed) -> Iterator[Finding]:
    """`=` for `==`: in a condition, or in a part of one."""
    if isinstance(node, Assign) and node.op == "=":
        hint = "write `==`"
        yield place.finding("R038", node.op_start, node.op_start + 1, "`=` changes a value; `==` compares", hint)
    elif isinstance(node, Logic):
        yield from _condition(node.left, place)
        yield from _condition(node.right, place)
    elif isinstance(node, Pipe) and isinstance(node.right, Call) and node.right.name == "not":
        yield from _condition(node.left, place)


def _call(node: Call, place: Placed) -> Iterator[Finding]:
    if node.key in _CONDITIONS:
        yield from _condition(node.args[-1], place)
        literal = node.args[-1]
        if isinstance(literal, Literal) and type(literal.value) in (str, int, float):
            shown = place.shown(literal)
            message = f"this is always true: `{node.name}` takes a condition"
            hint = f"write `{node.name}(. == {shown})`"
            yield place.finding("R039", literal.start, literal.end, message, hint)
    if node.key in ("any/1", "all/1") and isinstance(node.args[0], Comma):
        message = f"the `,` gives `{node.name}` two conditions: arguments are divided by `;`"
        left = place.shown(node.args[0].left)
        right = place.shown(node.args[0].right)
        yield place.finding(
            "R052", node.start, node.end, message, f"write `{node.name}({left}[]; {right})`", warning=True
        )
    if node.key == "has/1" and isinstance(node.args[0], Index):
        shown = place.shown(node.args[0])
        message = "`has` takes the name of a key, and this is the value of a field"
        yield place.finding("R016", node.start, node.end, message, f'write `has("{shown.lstrip(".")}")`', warning=True)
    if node.key == "IN/1" and _literals(node.args[0]):
        shown = ", ".join(place.shown(item) for item in _literals(node.args[0]))
        message = "`IN` compares with the list as a whole: its values are divided by `,`, without [ ]"
        yield place.finding("R050", node.args[0].start, node.args[0].end, message, f"write `IN({shown})`", warning=True)
    if node.key in _FORMATS:
        form = node.args[0]
        if isinstance(form, Literal) and isinstance(form.value, str) and "%" not in form.value:
            message = "this gives the same text for every date: nothing in it stands for a part of one"
            hint = "write directives: `%Y` year, `%m` month, `%d` day, `%H:%M` time"
            yield place.finding("R053", form.start, form.end, message, hint, warning=True)


def _selected(root: Node, place: Placed) -> Iterator[Finding]:
    """`when: select(…)` gives the record, not true."""
    last = root
    while isinstance(last, Pipe):
        last = last.right
    if isinstance(last, Call) and last.key == "select/1":
        inner = place.shown(last.args[0])
        message = "`select` gives the record itself, and `when` must give true or false"
        hint = f"write `{inner}`" if last is root else f"write `any(…; {inner})`"
        yield place.finding("R037", last.start, last.end, message, hint)


def _length(node: Index, place: Placed) -> Iterator[Finding]:
    """`.items.length`, and `first .items`, which is `first | .items`."""
    between = place.expression.text[node.target.end : node.key.start]
    if isinstance(node.target, Call) and not node.target.args and between[:1].isspace():
        name = node.target.name
        field = place.expression.text[node.target.end : node.end].strip()
        message = f"this is `{name} | {field}`: arguments stand in ( )"
        yield place.finding("R016", node.start, node.end, message, f"write `{name}({field})`", warning=True)
    if isinstance(node.key, Literal) and node.key.value == "length" and not isinstance(node.target, Identity):
        target = place.shown(node.target)
        message = "`.length` is a field here: an array or a text has none"
        yield place.finding("R016", node.start, node.end, message, f"write `({target} | length)`", warning=True)


def _logic(node: Logic, place: Placed) -> Iterator[Finding]:
    """`.type == "a" or "b"`: a text, a number or an object counts as true."""
    for side in (node.left, node.right):
        if isinstance(side, Array | Object) or (isinstance(side, Literal) and type(side.value) in (str, int, float)):
            message = f"this is always true, so that `{node.op}` does not compare it with anything"
            shown = place.expression.text[side.start : side.end]
            hint = f"write `… {node.op} .field == {shown}`, or `.field | IN(…, {shown})`"
            if place.expression.label != "when" and node.op == "or" and side is node.right:
                hint = f"write `{place.shown(node.left)} // {shown}` for a default"
            yield place.finding("R039", side.start, side.end, message, hint)
            return


def _alternative(node: Alternative, place: Placed, text: str) -> Iterator[Finding]:
    left, right = node.left, node.right
    shown = place.shown(left)
    types = types_of(left, frozenset(place.given), place.around, lambda _remark: None)
    if isinstance(right, Literal) and right.value is True and "boolean" in types:
        message = "this can never be false: `//` takes false for missing"
        hint = f"write `if {shown} == null then true else {shown} end`"
        yield place.finding("R042", node.start, node.end, message, hint, warning=True)
    if isinstance(right, Binary) and right.op in COMPARISONS and isinstance(right.left, Literal):
        default = place.shown(right.left)
        rest = text[
            balanced(text, right.left.start, right.left.end)[1] : balanced(text, right.start, right.end)[1]
        ].strip()
        message = f"`//` binds less than `{right.op}`: the default is `{place.shown(right)}`"
        hint = f"write `({shown} // {default}) {rest}`"
        yield place.finding("R043", right.start, right.end, message, hint)
    elif _is_bare_sum(right, text):
        first = _first(right)
        rest = text[first.end : balanced(text, right.start, right.end)[1]].strip()
        message = f"`//` binds less than `{rest[:1]}`: the default is `{place.shown(right)}`"
        hint = f"write `({shown} // {place.shown(first)}) {rest}`, or ( ) around the default"
        yield place.finding("R043", right.start, right.end, message, hint, warning=True)
    elif types and not types & {"null", "boolean"} and _is_single(left):
        message = f"this default is never used: `{shown[:60]}` is never null"
        hint = "put the `//` behind the path that may be missing, in ( )"
        yield place.finding("R043", node.start, node.end, message, hint, warning=True)
    if _hides(left):
        message = "`?` before `//` hides errors: a field of the wrong type looks like a missing one"
        yield place.finding("R044", node.start, node.end, message, "leave out the `?`: `//` takes null", warning=True)


def _first(node: Node) -> Node:
    """The first operand of a sum."""
    while isinstance(node, Binary):
        node = node.left
    return node


def _is_bare_sum(node: Node, text: str) -> bool:
    """Say whether a default is `0 - .x` without ( ): a literal, and then something of the record."""
    if not isinstance(node, Binary) or node.op in COMPARISONS:
        return False
    first = _first(node)
    bare = text[: first.start].rstrip().endswith("//")
    return bare and isinstance(first, Literal) and any(isinstance(part, Index) for part in _every(node))


def _is_single(node: Node) -> bool:
    """Say whether an expression surely has one output; where that is not easily seen, it is not said."""
    if isinstance(node, Iterate | Try | Call):
        return False
    return all(map(_is_single, children(node)))


def _hides(node: Node) -> bool:
    """Say whether the outermost steps of a path forgive errors."""
    while True:
        if isinstance(node, Try):
            return node.handler is None
        if isinstance(node, Index | Slice | Iterate):
            if node.optional:
                return True
            node = node.target
        elif isinstance(node, Pipe):
            if _hides(node.right):
                return True
            node = node.left
        else:
            return False


def _milliseconds(node: Pipe, place: Placed) -> Iterator[Finding]:
    left = node.left
    while isinstance(left, Alternative):
        left = left.left
    first = node.right
    while isinstance(first, Pipe):
        first = first.left
    if isinstance(left, Variable) and left.name == "timestamp" and isinstance(first, Call) and first.key in _SECONDS:
        message = f"`$timestamp` is in milliseconds, and `{first.name}` takes seconds"
        hint = f"write `$timestamp / 1000 | {first.name}`"
        yield place.finding("R045", left.start, first.end, message, hint, warning=True)


def _whole_record(root: Node, place: Placed) -> Iterator[Finding]:
    """`${ . }`, alone or as one value of an object: everything is sent."""
    label = place.expression.label
    if "object" not in place.given or label in ("when", "for_each"):
        return
    for node in _parts(root):
        if isinstance(node, If):
            message = "without `else` this is the whole record where the condition is false"
            is_property = label.startswith("properties") and place.alone
            hint = "write `else empty end` to leave it out, or another value"
            yield place.finding("R046", node.start, node.end, message, hint, warning=is_property)
        if not label.startswith("properties"):
            continue
        if isinstance(node, Assign) and place.alone and label != "properties":
            message = f"`{node.op}` gives the whole record, changed"
            hint = "write the new value alone"
            yield place.finding("R046", node.start, node.end, message, hint, warning=True)
        if isinstance(node, Identity):
            message = "this sends the whole record, personal data too, and whatever is added to it later"
            hint = "name what the template needs: `{id, total}`"
            yield place.finding("R046", node.start, node.end, message, hint, warning=True)


def _parts(node: Node) -> Iterator[Node]:
    """The parts of a value that are sent as they are."""
    if isinstance(node, Object):
        for _key, value in node.entries:
            yield from _parts(value)
    elif isinstance(node, Array) and node.body is not None:
        yield from _parts(node.body)
    elif isinstance(node, If):
        if asks_type(node.condition):
            return
        yield from _parts(node.then)
        yield from _parts(node.otherwise) if node.otherwise is not None else (node,)
    elif isinstance(node, Binary) and node.op in ("+", "*"):
        yield from _parts(node.left)
        yield from _parts(node.right)
    elif isinstance(node, Pipe):
        as_text = isinstance(node.right, Format) or (isinstance(node.right, Call) and node.right.key in _WHOLE_AS_TEXT)
        if as_text or isinstance(node.right, Identity):
            yield from _parts(node.left)
    elif isinstance(node, Format) or (isinstance(node, Call) and node.key in _WHOLE_AS_TEXT):
        yield Identity(node.start, node.end)
    else:
        yield node


_OTHER_INTERPOLATION: Final = re.compile(
    r"\$\{ *([.$]?[A-Za-z_][\w.]*) *\}|\{\{ *([.$]?[A-Za-z_][\w.]*) *\}\}|\{ *(\.[A-Za-z_][\w.]*) *\}|\((\.[A-Za-z_][\w.]*)\)"
)


def _every(node: Node) -> Iterator[Node]:
    """An expression and all its parts."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += children(found)


def _comparisons(node: Binary, place: Placed) -> Iterator[Finding]:
    """What `==` and `!=` compare by mistake."""
    yield from _null_text(node, place)
    yield from _whole_list(node, place)
    yield from _type_of_record(node, place)


def _whole_list(node: Binary, place: Placed) -> Iterator[Finding]:
    """`.type == ["a", "b"]`: equal only to the list itself."""
    for side, other in ((node.left, node.right), (node.right, node.left)):
        items = _literals(side)
        if len(items) > 1 and isinstance(other, Index):
            message = "this compares with the list as a whole, not with its elements"
            listed = ", ".join(place.shown(item) for item in items)
            hint = f"write `{place.shown(other)} | IN({listed})`"
            yield place.finding("R050", side.start, side.end, message, hint, warning=True)


def _literals(node: Node) -> list[Literal]:
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


def _far_pipe(root: Node, place: Placed) -> Iterator[Finding]:
    """`.items | length > 0 and .type == "a"`: the `|` takes in the second condition, too."""
    if not isinstance(root, Pipe) or not isinstance(root.right, Logic) or not isinstance(root.left, Index):
        return
    logic = root.right
    while isinstance(logic.left, Logic):
        logic = logic.left
    first, second = logic.left, logic.right
    of_it = isinstance(first, Binary) and any(isinstance(part, Call) and not part.args for part in _every(first))
    if of_it and any(isinstance(part, Index) and isinstance(part.target, Identity) for part in _every(second)):
        text = place.expression.text
        begins = text[root.left.start : balanced(text, first.start, first.end)[1]].strip()
        message = f"`|` binds less than `{root.right.op}`: this is looked up in `{place.shown(root.left)}`"
        hint = f"write `({begins}) {root.right.op} …`"
        yield place.finding("R057", second.start, second.end, message, hint, warning=True)


def _null_text(node: Binary, place: Placed) -> Iterator[Finding]:
    """`.x != "null"`."""
    for side in (node.left, node.right):
        if isinstance(side, Literal) and side.value in ("null", "None", "undefined"):
            message = f'this compares with the text "{side.value}": a value that is missing is null, without quotes'
            yield place.finding("R050", side.start, side.end, message, "write `null`", warning=True)


def _texts(node: Literal | Text, place: Placed) -> Iterator[Finding]:
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
