"""What changes values at paths: `=`, `|=`, `+=` and so on."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.builtins.table import BOOLEAN, NOT_CONSTANT, NULL, NUMBER, STRING
from bridge.jq.core_nodes import (
    MAYBE,
    ONE,
    Alternative,
    Assign,
    Binary,
    Bind,
    Binding,
    Collect,
    Const,
    Core,
    If,
    Input,
    Logic,
    Native,
    Object,
    Pipe,
    Step,
    Text,
    Variable,
)
from bridge.jq.emit.writer import Env, Out, Path, Sink, Writer, arithmetic, tables, truthy
from bridge.jq.runtime.paths import setpath

START = Path("()", sure=True)
"""The path of the input itself."""
_EACH = object()
New = Callable[[str], "tuple[str, str | None]"]
"""Writes a new value for the old one of that name: its name, and the name to compare with NOTHING, if it may be."""


def assign(writer: Writer, node: Assign, env: Env, here: Out, sink: Sink) -> None:
    """`paths op right`: the result, once per output of the right side (once for `|=`)."""

    def modified(new: New) -> None:
        sink.write(Out(_modified(writer, node.left, env, here.value, new)))

    def with_value(value: str) -> None:
        if node.op == "=":
            modified(lambda _: (value, None))
        elif node.op == "//=":
            modified(lambda old: (writer.keep(f"{old} if {truthy(old)} else {value}"), None))
        else:
            modified(lambda old: (writer.keep(arithmetic(node.op[0], old, value)), None))

    if node.op == "|=":
        modified(lambda old: _updated(writer, node.right, env, old))
    else:
        writer.values(node.right, env, here.value, with_value)


def _updated(writer: Writer, right: Core, env: Env, old: str) -> tuple[str, str | None]:
    """The first output of an update, and the name of what says that there was none."""
    if right.facts.outputs == ONE:
        return writer.one(right, env, old), None
    if right.facts.outputs == MAYBE:
        new = writer.first(right, env, old, "NOTHING")
    else:
        new = writer.keep("NOTHING")
        with writer.code.block(f"for {new} in {writer.stream(right, env, Out(old))}"):
            writer.code.line("break")
    return new, new


def over_paths(writer: Writer, node: Core, env: Env, v: str, then: Callable[[str], None]) -> None:
    """The path of every part that `node` names; an error for an output that is not a part of the input."""

    def write(out: Out) -> None:
        assert out.path is not None
        if not out.path.sure:
            writer.code.line(f"if {out.path.name} is None: raise not_path({out.value})")
        then(out.path.name)

    writer.each(node, env, Out(v, START), Sink(write))


def _modified(writer: Writer, left: Core, env: Env, v: str, new: New) -> str:
    """A copy of `v` with every part that `left` names replaced; parts without a new value are deleted at the end."""
    steps = _plain_steps(left)
    if steps is not None:
        return _rebuilt(writer, steps, v, new)[0] if steps else _whole(writer, v, new)
    state = writer.keep(v, "s")
    gone, mine = writer.keep("None"), writer.keep("{}", "o")

    def write(path: str) -> None:
        writer.step(f"1 + len({path})")
        value, missing = new(writer.keep(f"take({state}, {path}, {mine})"))
        if missing is None:
            writer.code.line(f"{state} = putpath({state}, {path}, {value}, B, {mine})")
            return
        with writer.code.block(f"if {missing} is NOTHING"):
            writer.code.line(f"if {gone} is None: {gone} = []")
            writer.code.line(f"{gone}.append({path})")
        with writer.code.block("else"):
            writer.code.line(f"{state} = putpath({state}, {path}, {value}, B, {mine})")

    over_paths(writer, left, env, v, write)
    writer.code.line(f"if {gone} is not None: {state} = delpaths({state}, {gone}, B)")
    return state


def _plain_steps(node: Core) -> list[object] | None:
    """The steps of `.a[0][].b`: constant keys and `[]`, which cannot name one part twice; else None.

    Calls are charged for each path.
    """
    if node.facts.called:
        return None
    if isinstance(node, Input):
        return []
    if isinstance(node, Pipe):
        left, right = _plain_steps(node.left), _plain_steps(node.right)
        return None if left is None or right is None else left + right
    if not isinstance(node, Step) or node.optional or node.kind == "slice":
        return None
    key = _EACH if node.kind == "each" else node.keys[0].facts.constant
    target = _plain_steps(node.target)
    return None if target is None or (key is not _EACH and type(key) not in (str, int)) else [*target, key]


def _whole(writer: Writer, v: str, new: New) -> str:
    value, missing = new(v)
    return value if missing is None else writer.keep(f"None if {missing} is NOTHING else {value}")


def _rebuilt(writer: Writer, steps: list[object], v: str, new: New) -> tuple[str, str | None, str | None]:
    """A copy of `v` with the parts at `steps` replaced, level by level: each level is copied only once.

    Gives the copy, what to compare with NOTHING if the whole part may be missing, and the same for a part below it:
    deleting a part of null leaves null, and makes nothing on the way.
    """
    if not steps:
        value, missing = new(v)
        return value, missing, missing
    if steps[0] is _EACH:
        return _rebuilt_each(writer, steps[1:], v, new), None, None
    key = writer.code.const(steps[0])
    old = writer.field(v, key) if isinstance(steps[0], str) else writer.keep(f"index({v}, {key})")
    value, missing, gone = _rebuilt(writer, steps[1:], old, new)
    changed = f"set_key({v}, {key}, {value}, B)"
    if missing is not None:
        changed = f"delete_keys({v}, [{key}], B) if {missing} is NOTHING else {changed}"
    elif gone is not None:
        changed = f"{v} if {gone} is NOTHING and {old} is None else {changed}"
    return writer.keep(changed), None, gone


def _rebuilt_each(writer: Writer, steps: list[object], v: str, new: New) -> str:
    key, item = writer.code.name("k"), writer.code.name("x")
    pairs = writer.keep(f"entries({v}, B)")
    copy = writer.keep("{}")
    with writer.code.block(f"for {key}, {item} in {pairs}"):
        value, missing, _ = _rebuilt(writer, steps, item, new)
        if missing is not None:
            writer.code.line(f"if {missing} is NOTHING: continue")
        writer.code.line(f"{copy}[{key}] = {value}")
    return writer.keep(f"{copy} if type({v}) is dict else list({copy}.values())")


# An update of `reduce` changes in place what it made itself: else a state of n parts is copied n times. The names of
# these are in `mine` at run time; what an expression may have kept of the state is no longer mine.

_SCALARS = NULL | BOOLEAN | NUMBER | STRING


def changes(node: Core) -> bool:
    """Whether a single update changes its input at a place, or adds to it."""
    if isinstance(node, Pipe):
        return changes(node.left) or changes(node.right)
    if isinstance(node, If):
        return changes(node.then) or changes(node.otherwise)
    if isinstance(node, Bind):
        return _binds(node) and changes(node.takes[0][1])
    if isinstance(node, Assign):
        return _place(node.left) is not None
    return (isinstance(node, Binary) and node.op == "+") or (isinstance(node, Native) and node.run is setpath)


def changed(writer: Writer, node: Core, env: Env, v: str, mine: str) -> str:
    """Write a single update of `v` in place; the name of its result."""
    if isinstance(node, Input):
        return v
    if is_apart(node) or (isinstance(node, Alternative) and type(node.left) is Input and is_apart(node.right)):
        return writer.one(node, env, v)
    if isinstance(node, Pipe):
        return changed(writer, node.right, env, changed(writer, node.left, env, v, mine), mine)
    if isinstance(node, If):
        return _changed_if(writer, node, env, v, mine)
    if isinstance(node, Bind) and _binds(node):
        pattern, body = node.takes[0]
        assert isinstance(pattern, Binding)
        return changed(writer, body, env.with_names([(pattern, writer.one(node.source, env, v))]), v, mine)
    if isinstance(node, Assign) and changes(node):
        return _changed_place(writer, node, env, v, mine)
    if isinstance(node, Binary) and node.op == "+":
        right = _apart(writer, node.right, env, v, mine)
        left = changed(writer, node.left, env, v, mine)
        either = f"add({left}, {right}, B) if type({left}) is int else join({left}, {right}, B, {mine})"
        return writer.keep(either)
    if isinstance(node, Native) and node.run is setpath:
        value = _apart(writer, node.args[1], env, v, mine)
        return writer.keep(f"putpath({v}, {writer.one(node.args[0], env, v)}, {value}, B, {mine})")
    return _apart(writer, node, env, v, mine)


def _changed_if(writer: Writer, node: If, env: Env, v: str, mine: str) -> str:
    name = writer.code.name()
    with writer.code.block(f"if {tables().condition(writer, node.condition, env, v)}"):
        writer.code.line(f"{name} = {changed(writer, node.then, env, v, mine)}")
    with writer.code.block("else"):
        writer.code.line(f"{name} = {changed(writer, node.otherwise, env, v, mine)}")
    return name


def _changed_place(writer: Writer, node: Assign, env: Env, v: str, mine: str) -> str:
    more = _added(node)
    right = "" if node.op == "|=" else _apart(writer, more or node.right, env, v, mine)
    keys = [writer.one(key, env, v) for key in reversed(_place(node.left) or ())][::-1]
    path = f"({''.join(f'{key}, ' for key in keys)})"
    writer.step(f"{1 + len(keys)}")
    old = "" if node.op == "=" and more is None else writer.keep(f"getpath({v}, {path})")
    if more is not None:
        assert isinstance(node.right, Binary)
        if isinstance(node.right.left, Alternative):
            instead = writer.code.const(node.right.left.right.facts.constant)
            old = writer.keep(f"{old} if {truthy(old)} else {instead}")
        new = writer.keep(f"join({old}, {right}, B, {mine})")
    elif node.op == "|=":
        new = changed(writer, node.right, env, old, mine)
    elif node.op == "//=":
        new = writer.keep(f"{old} if {truthy(old)} else {right}")
    elif node.op == "+=":
        new = writer.keep(f"join({old}, {right}, B, {mine})")
    else:
        new = right if node.op == "=" else writer.keep(arithmetic(node.op[0], old, right))
    return writer.keep(f"putpath({v}, {path}, {new}, B, {mine})")


def _added(node: Assign) -> Core | None:
    """What `.[$k] = .[$k] + more` and `.[$k] = (.[$k] // constant) + more` add; else None."""
    right = node.right
    if node.op != "=" or not isinstance(right, Binary) or right.op != "+" or not is_apart(right.right):
        return None
    read = right.left
    if isinstance(read, Alternative):
        if read.right.facts.constant is NOT_CONSTANT:
            return None
        read = read.left
    here, there = _place(node.left), _place(read)
    if here is None or there is None or len(here) != len(there):
        return None
    return right.right if all(map(_same, here, there)) else None


def _same(one: Core, other: Core) -> bool:
    """Whether two keys are surely the same: one variable or a part of it, or one text or number."""
    if isinstance(one, Variable) and isinstance(other, Variable):
        return one.binding is other.binding
    if isinstance(one, Step) and isinstance(other, Step) and one.kind == other.kind == "key":
        return not (one.optional or other.optional) and all(
            map(_same, (one.target, *one.keys), (other.target, *other.keys))
        )
    constant, others = one.facts.constant, other.facts.constant
    return type(constant) in (str, int) and type(others) is type(constant) and bool(others == constant)


def _place(node: Core) -> list[Core] | None:
    """The keys of a path to one place, such as `.a[$k]`; else None."""
    if isinstance(node, Input):
        return []
    if not isinstance(node, Step) or node.kind != "key" or node.optional or node.keys[0].facts.outputs != ONE:
        return None
    target = _place(node.target)
    return None if target is None else [*target, node.keys[0]]


def _binds(node: Bind) -> bool:
    """Whether it binds one value that is no part of the input."""
    (pattern, _), *others = node.takes
    return not others and isinstance(pattern, Binding) and node.source.facts.outputs == ONE and is_apart(node.source)


def _apart(writer: Writer, node: Core, env: Env, v: str, mine: str) -> str:
    """Write a single expression; where it may keep a part of `v`, nothing is mine any longer."""
    name = writer.one(node, env, v)
    if not is_apart(node):
        writer.code.line(f"{mine}.clear()")
    return name


def is_apart(node: Core) -> bool:
    """Whether an output holds no part of the input that could be changed."""
    return node.facts.types <= _SCALARS or not _looks(node)


def _looks(node: Core) -> bool:
    """Whether an expression may look at its input."""
    if isinstance(node, Const | Variable):
        return False
    if isinstance(node, Pipe):
        return _looks(node.left)
    if isinstance(node, Step):
        return _looks(node.target) or any(map(_looks, node.keys))
    if isinstance(node, Collect | Text):
        return any(_looks(part) for part in node.parts if isinstance(part, Core))
    if isinstance(node, Object):
        return any(_looks(part) for entry in node.entries for part in entry)
    if isinstance(node, Binary | Logic | Alternative):
        return _looks(node.left) or _looks(node.right)
    if isinstance(node, If):
        return _looks(node.condition) or _looks(node.then) or _looks(node.otherwise)
    return not isinstance(node, Native) or node.dot or any(map(_looks, node.args))
