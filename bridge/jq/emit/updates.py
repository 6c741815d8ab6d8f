"""What changes values at paths: `=`, `|=`, `+=` and so on."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.core_nodes import MAYBE, ONE, Assign, Core, Input, Pipe, Step
from bridge.jq.emit.writer import Env, Out, Path, Sink, Writer, arithmetic, truthy

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
    gone = writer.keep("None")

    def write(path: str) -> None:
        writer.step(f"1 + len({path})")
        value, missing = new(writer.keep(f"getpath({state}, {path})"))
        if missing is None:
            writer.code.line(f"{state} = setpath({state}, {path}, {value}, B)")
            return
        with writer.code.block(f"if {missing} is NOTHING"):
            writer.code.line(f"if {gone} is None: {gone} = []")
            writer.code.line(f"{gone}.append({path})")
        with writer.code.block("else"):
            writer.code.line(f"{state} = setpath({state}, {path}, {value}, B)")

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
