"""One function for each kind of node: it writes the code around a sink that is given every output.

Where the input has a path, the outputs have theirs; so values and paths are written by the same function. A single output
is what a sink keeps, but for the few kinds that branch (`TABLES.branches`).
"""

from __future__ import annotations

import re
from typing import Final

from bridge.jq.builtins.table import NOT_CONSTANT
from bridge.jq.core_nodes import (
    MANY,
    ONE,
    Alternative,
    Assign,
    Binary,
    Bind,
    Binding,
    Break,
    Collect,
    Comma,
    Const,
    Core,
    Define,
    Fold,
    If,
    Input,
    Invoke,
    Label,
    Logic,
    Native,
    Object,
    Pattern,
    Pipe,
    Special,
    Step,
    Text,
    Try,
    Variable,
)
from bridge.jq.emit.builtins import special
from bridge.jq.emit.functions import define, invoke
from bridge.jq.emit.updates import assign, changed, changes, is_apart
from bridge.jq.emit.writer import (
    ARITHMETIC,
    Env,
    Out,
    Path,
    Sink,
    Tables,
    Writer,
    arithmetic,
    falsy,
    is_name,
    refused_in_path,
    truthy,
)
from bridge.jq.problems import JqProblem
from bridge.jq.runtime.arith import WRITTEN
from bridge.jq.runtime.formats import FORMATS
from bridge.jq.syntax.nodes import Call

_SHORT = 256
"""Outside loops, texts up to this length are not counted: a program has only so many places that make them."""
_COMPARED = {"<": "< 0", "<=": "<= 0", ">": "> 0", ">=": ">= 0"}


def _input(_: Writer, __: Input, ___: Env, here: Out, sink: Sink) -> None:
    sink.write(here)


def _const(writer: Writer, node: Const, _: Env, __: Out, sink: Sink) -> None:
    sink.write(Out(writer.code.const(node.value)))


def _variable(_: Writer, node: Variable, env: Env, __: Out, sink: Sink) -> None:
    sink.write(Out(env.names[node.binding]))


def _text(writer: Writer, node: Text, env: Env, here: Out, sink: Sink) -> None:
    r"""A text with `\( )`: the last part is the outermost loop."""
    inline = node.format in (None, "text")

    def part(at: int, written: list[str]) -> None:
        if at < 0:
            sink.write(Out(_joined(writer, written[::-1])))
            return
        piece = node.parts[at]
        if isinstance(piece, str):
            part(at - 1, [*written, repr(piece)])
            return

        def with_value(value: str) -> None:
            text = _as_text(writer, value, node.format)
            part(at - 1, [*written, text if inline else writer.keep(text)])

        writer.values(piece, env, here.value, with_value)

    part(len(node.parts) - 1, [])


def _as_text(writer: Writer, value: str, format_name: str | None) -> str:
    """A Python expression for an interpolated value as text."""
    if format_name in (None, "text"):
        return f"({value} if type({value}) is str else tostring({value}, B))"
    return f"{writer.code.thing(FORMATS[str(format_name)], 'F')}({value}, B)"


def _joined(writer: Writer, parts: list[str]) -> str:
    name = writer.keep(" + ".join(parts))
    if writer.code.outermost:
        writer.code.line(f"if len({name}) > {_SHORT}: B.built(len({name}))")
        return name
    writer.code.line(f"B.text -= len({name})")
    writer.code.line("if B.text < 0: B.over()")
    return name


def _step(writer: Writer, node: Step, env: Env, here: Out, sink: Sink) -> None:
    """The keys are the outer loops, the first the outermost."""

    def with_keys(keys: list[str]) -> None:
        writer.each(node.target, env, here, Sink(lambda target: _STEPS[node.kind](writer, node, keys, target, sink)))

    writer.args(node.keys, env, here.value, with_keys, last=False)


def _key(writer: Writer, node: Step, keys: list[str], target: Out, sink: Sink) -> None:
    key, value = keys[0], target.value
    _check(writer, target, f"('key', {key})")
    if node.optional:
        _found(writer, f"index_or_none({value}, {key})", target, key, sink)
        return
    if type(node.keys[0].facts.constant) is str:
        found = writer.field(value, key)
    elif target.path is None and type(node.target.facts.constant) is dict:
        found = writer.keep(f"{value}.get({key}) if type({key}) is str else index({value}, {key})")
    else:
        found = writer.keep(f"index({value}, {key})")
    sink.write(Out(found, _longer(writer, target.path, key)))


_PLACE: Final = re.compile(r"None|\(?-?\d+\)?")


def _slice(writer: Writer, node: Step, keys: list[str], target: Out, sink: Sink) -> None:
    low, high = keys
    key = "" if target.path is None else writer.keep(f'{{"start": {low}, "end": {high}}}')
    _check(writer, target, f"('key', {key})")
    if node.optional:
        _found(writer, f"slice_or_none({target.value}, {low}, {high}, B)", target, key, sink)
        return
    value = target.value
    cut = f"slice_of({value}, {low}, {high}, B)"
    if value.isidentifier() and value.islower() and _PLACE.fullmatch(low) and _PLACE.fullmatch(high):
        # A short text costs no step.
        low, high = low.replace("None", ""), high.replace("None", "")
        cut = f"{value}[{low}:{high}] if type({value}) is str and len({value}) < {1 << WRITTEN} else {cut}"
    found = writer.keep(cut)
    sink.write(Out(found, _longer(writer, target.path, key)))


def _each(writer: Writer, node: Step, _: list[str], target: Out, sink: Sink) -> None:
    value = target.value
    if target.path is None:
        call = "iterate_or_nothing" if node.optional else "iterate"
        items = writer.keep(f"{value} if type({value}) is list else {call}({value})")
        writer.step(f"len({items})")
        writer.loop(items, target, sink)
        return
    _check(writer, target, "('each', None)")
    pairs = writer.keep(f"{'entries_or_nothing' if node.optional else 'entries'}({value}, B)")
    key, item = writer.code.name("k"), writer.code.name("x")
    with writer.code.block(f"for {key}, {item} in {pairs}"):
        sink.write(Out(item, _longer(writer, target.path, key)))


_STEPS = {"key": _key, "slice": _slice, "each": _each}


def _found(writer: Writer, call: str, target: Out, key: str, sink: Sink) -> None:
    found = writer.keep(call)
    with writer.code.block(f"if {found} is not NOTHING"):
        sink.write(Out(found, _longer(writer, target.path, key)))


def _check(writer: Writer, target: Out, how: str) -> None:
    """An error where a step is taken from a value that is not a part of the input."""
    if target.path is not None and not target.path.sure:
        writer.code.line(f"if {target.path.name} is None: raise off_path({target.value}, {how})")


def _longer(writer: Writer, path: Path | None, key: str) -> Path | None:
    """A path and one more key."""
    if path is None:
        return None
    return Path(writer.keep(f"({key},)" if path.name == "()" else f"{path.name} + ({key},)", "p"), sure=True)


def _collect(writer: Writer, node: Collect, env: Env, here: Out, sink: Sink) -> None:
    """A literal where every part is single, else a list that is appended to."""
    if all(part.facts.outputs == ONE for part in node.parts):
        names = [writer.one(part, env, here.value) for part in node.parts]
        sink.write(Out(writer.keep(f"[{', '.join(names)}]")))
        return
    name = writer.keep("[]")
    append = writer.keep(f"{name}.append")
    add = Sink(lambda out: writer.code.line(f"{append}({out.value})"), cheap=True)
    for part in node.parts:
        writer.each(part, env, Out(here.value), add)
    sink.write(Out(name))


def _object(writer: Writer, node: Object, env: Env, here: Out, sink: Sink) -> None:
    """The first entry is the outermost loop."""
    if node.facts.outputs == ONE:
        writer.prefetch([value for _, value in node.entries], here.value)

    def entry(at: int, written: list[str]) -> None:
        if at == len(node.entries):
            sink.write(Out(writer.keep(f"{{{', '.join(written)}}}")))
            return
        key, value = node.entries[at]

        def with_key(name: str) -> None:
            text = name if type(key.facts.constant) is str else writer.keep(f"key_text({name})")
            writer.values(value, env, here.value, lambda found: entry(at + 1, [*written, f"{text}: {found}"]))

        writer.values(key, env, here.value, with_key)

    entry(0, [])


def _pipe(writer: Writer, node: Pipe, env: Env, here: Out, sink: Sink) -> None:
    """The sink of the left is the right."""
    writer.each(node.left, env, here, Sink(lambda out: writer.each(node.right, env, out, sink)))


def _comma(writer: Writer, node: Comma, env: Env, here: Out, sink: Sink) -> None:
    def write(inner: Sink) -> None:
        for part in node.parts:
            writer.each(part, env, here, inner)

    writer.forked(here, sink, write)


def _binary(writer: Writer, node: Binary, env: Env, here: Out, sink: Sink) -> None:
    """The right side is the outer loop."""

    def both(sides: list[str]) -> None:
        sink.write(Out(writer.keep(_operated(node, *sides))))

    writer.args((node.left, node.right), env, here.value, both)


def _operated(node: Binary, left: str, right: str) -> str:
    left_value, right_value = node.left.facts.constant, node.right.facts.constant
    if node.op in ARITHMETIC:
        return arithmetic(node.op, left, right, right_value)
    return _compared(node.op, left, right, left_value, right_value)


def _compared(op: str, left: str, right: str, left_value: object, right_value: object) -> str:
    """A Python expression that compares two names; constants make it simple."""
    if op in ("==", "!="):
        positive = op == "=="
        for name, constant, other in ((left, right_value, right), (right, left_value, left)):
            found = _equals_constant(name, constant, other, positive=positive)
            if found is not None:
                return found
        return f"equal({left}, {right}, B)" if positive else f"not equal({left}, {right}, B)"
    general = f"compare({left}, {right}, B) {_COMPARED[op]}"
    if type(right_value) is int:
        return f"({left} {op} {right} if type({left}) is int else {general})"
    return f"({general})"


def _equals_constant(name: str, constant: object, written: str, *, positive: bool) -> str | None:
    if not is_name(name):
        return None
    if constant is None or type(constant) is bool:
        return f"{name} {'is' if positive else 'is not'} {written}"
    if type(constant) is str or (type(constant) is int and constant not in (0, 1)):
        return f"{name} {'==' if positive else '!='} {written}"
    return None


def condition(writer: Writer, node: Core, env: Env, v: str) -> str:
    """A single expression as a Python condition."""
    if node.facts.constant is NOT_CONSTANT:
        if isinstance(node, Binary) and node.op not in ARITHMETIC:
            right = writer.one(node.right, env, v)
            return _operated(node, writer.one(node.left, env, v), right)
        if isinstance(node, Logic):
            return _single_logic(writer, node, env, v)
    return truthy(writer.one(node, env, v))


def _logic(writer: Writer, node: Logic, env: Env, here: Out, sink: Sink) -> None:
    """The left is the outer loop, the right only where it matters."""

    def write(inner: Sink) -> None:
        def with_left(left: str) -> None:
            test = truthy(left) if node.op == "and" else f"not ({truthy(left)})"
            with writer.code.block(f"if {test}"):
                writer.values(node.right, env, here.value, lambda value: inner.write(Out(writer.keep(truthy(value)))))
            with writer.code.block("else"):
                inner.write(Out("False" if node.op == "and" else "True"))

        writer.values(node.left, env, here.value, with_left)

    writer.forked(here, sink, write)


def _single_logic(writer: Writer, node: Logic, env: Env, v: str) -> str:
    name = writer.keep(f"{node.op == 'or'}")
    tests: list[Core] = []
    left: Core = node
    while isinstance(left, Logic) and left.op == node.op:
        tests.append(left.right)
        left = left.left
    tests.append(left)

    def nest() -> None:
        test = condition(writer, tests.pop(), env, v)
        if not tests:
            writer.code.line(f"{name} = {test}")
            return
        with writer.code.block(f"if {test}" if node.op == "and" else f"if not ({test})"):
            nest()

    nest()
    return name


def _alternative(writer: Writer, node: Alternative, env: Env, here: Out, sink: Sink) -> None:
    """What is true of the left, else the right."""
    only = isinstance(node.right, Special) and node.right.key == "empty/0"

    def write(inner: Sink) -> None:
        found = "" if only else writer.keep("False")

        def with_left(left: Out) -> None:
            with writer.code.block(f"if {truthy(left.value)}"):
                if not only:
                    writer.code.line(f"{found} = True")
                inner.write(left)

        writer.each(node.left, env, here, Sink(with_left))
        if not only:
            with writer.code.block(f"if not {found}"):
                writer.each(node.right, env, here, inner)

    if only:
        write(sink)
    else:
        writer.forked(here, sink, write)


def _single_alternative(writer: Writer, node: Alternative, env: Env, v: str) -> str:
    """`left // right` where `left` gives at most one output."""
    if node.left.facts.outputs == ONE:
        left, right = writer.one(node.left, env, v), node.right.facts.constant
        if right is not NOT_CONSTANT:
            return writer.keep(f"{writer.code.const(right)} if {falsy(left)} else {left}")
        name = writer.keep(left)
    else:
        name = writer.first(node.left, env, v, "None")
    with writer.code.block(f"if {name} is None or {name} is False"):
        writer.code.line(f"{name} = {writer.one(node.right, env, v)}")
    return name


def _if(writer: Writer, node: If, env: Env, here: Out, sink: Sink) -> None:
    """The condition is the outer loop."""

    def write(inner: Sink) -> None:
        def branches(test: str) -> None:
            with writer.code.block(f"if {test}"):
                writer.each(node.then, env, here, inner)
            with writer.code.block("else"):
                writer.each(node.otherwise, env, here, inner)

        writer.tested(node.condition, env, here.value, branches)

    writer.forked(here, sink, write)


def _single_if(writer: Writer, node: If, env: Env, v: str) -> str:
    name = writer.code.name()
    with writer.code.block(f"if {condition(writer, node.condition, env, v)}"):
        writer.code.line(f"{name} = {writer.one(node.then, env, v)}")
    with writer.code.block("else"):
        writer.code.line(f"{name} = {writer.one(node.otherwise, env, v)}")
    return name


def _try(writer: Writer, node: Try, env: Env, here: Out, sink: Sink) -> None:
    """Only the body's own errors are caught."""
    if here.path is None and node.handler is None and node.body.facts.outputs != MANY:
        name = writer.keep("NOTHING")
        with writer.code.block("try"):
            writer.each(node.body, env, here, writer.into(name))
        writer.code.line("except BudgetExceeded: raise")
        writer.code.line("except JqError: pass")
        with writer.code.block(f"if {name} is not NOTHING"):
            sink.write(Out(name))
        return

    def write(inner: Sink) -> None:
        caught, error = writer.code.name(), writer.code.name("e")
        with writer.code.block("try"), writer.trying():
            writer.each(node.body, env, here, inner)
            writer.code.line("return")
        writer.code.line("except BudgetExceeded: raise")
        with writer.code.block(f"except JqError as {error}"):
            writer.code.line(f"{caught} = {error}.value")
        if node.handler is None:
            return
        if here.path is None:
            writer.each(node.handler, env, Out(caught), inner)
        else:
            writer.values(node.handler, env, caught, lambda value: writer.foreign(value, here, inner))

    writer.loop(writer.local(write), here, sink)


def _single_try(writer: Writer, node: Try, env: Env, v: str) -> str:
    assert node.handler is not None
    name, error = writer.code.name(), writer.code.name("e")
    with writer.code.block("try"), writer.trying():
        writer.code.line(f"{name} = {writer.one(node.body, env, v)}")
    writer.code.line("except BudgetExceeded: raise")
    with writer.code.block(f"except JqError as {error}"):
        caught = writer.keep(f"{error}.value")
        writer.code.line(f"{name} = {writer.one(node.handler, env, caught)}")
    return name


def _bind(writer: Writer, node: Bind, env: Env, here: Out, sink: Sink) -> None:
    """The source is the outer loop."""
    if here.path is not None:
        _refuse_in_path(node)

    def body(at: int, value: str, inner: Sink) -> None:
        pattern, expression = node.takes[at]
        writer.destructure(pattern, value, env, here.value, lambda names: writer.each(expression, names, here, inner))

    def taken(value: str) -> None:
        if len(node.takes) == 1:
            body(0, value, sink)
        else:
            writer.loop(writer.local(lambda inner: attempts(value, inner)), here, sink)

    def attempts(value: str, inner: Sink) -> None:
        """`?//`: the next pattern where one, or the body with it, fails."""
        last = len(node.takes) - 1
        for at in range(last):
            with writer.code.block("try"):
                body(at, value, inner)
                writer.code.line("return")
            writer.code.line("except BudgetExceeded: raise")
            writer.code.line("except JqError: pass")
        body(last, value, inner)

    writer.values(node.source, env, here.value, taken)


def _refuse_in_path(node: Bind) -> None:
    start, end = node.syntax.start, node.syntax.end
    if len(node.takes) > 1:
        raise JqProblem("refused", "`?//` in a path", start, end, "use one pattern, and `if` on its type")
    if not isinstance(node.takes[0][0], Binding):
        message = "a pattern with `[ ]` or `{ }` in a path: jq takes its keys for a part of the path"
        raise JqProblem("refused", message, start, end, "use one variable: `.a as $a | …`")


def _fold(writer: Writer, node: Fold, env: Env, here: Out, sink: Sink) -> None:
    """`reduce` and `foreach`: an update without output leaves null behind; of several the last counts for `reduce`."""
    start, end, initial = node.syntax.start, node.syntax.end, node.initial
    if here.path is not None:
        message = "`reduce` and `foreach` in a path: jq itself loses the path"
        raise JqProblem("refused", message, start, end, "make the list of paths first, and use `getpath`")
    if node.extract is None and initial.facts.outputs == MANY:
        hint = "use `first(…)`, or `(…) as $start | reduce … ($start; …)`"
        message = "`reduce` with several initial values: jq loses its input"
        raise JqProblem("refused", message, initial.syntax.start, initial.syntax.end, hint)
    if len(node.patterns) > 1:
        hint = "use one pattern, and `if` on its type"
        raise JqProblem("refused", "`?//` in `reduce` and `foreach`", start, end, hint)

    def with_initial(value: str) -> None:
        state = writer.keep(value, "s")
        in_place = node.update.facts.outputs == ONE and changes(node.update)
        mine = writer.keep("{}", "o") if in_place else None
        turn = _reduced if node.extract is None else _extracted

        def taken(names: Env) -> None:
            before = writer.keep(state)
            writer.step()
            turn(writer, node, names, state, before, mine, sink)

        pattern: Pattern = node.patterns[0]
        writer.values(
            node.source, env, here.value, lambda found: writer.destructure(pattern, found, env, here.value, taken)
        )
        if node.extract is None:
            sink.write(Out(state))

    writer.values(initial, env, here.value, with_initial)


def _reduced(writer: Writer, node: Fold, env: Env, state: str, before: str, mine: str | None, _: Sink) -> None:
    if mine is not None:
        writer.code.line(f"{state} = {changed(writer, node.update, env, before, mine)}")
    elif node.update.facts.outputs == ONE:
        writer.code.line(f"{state} = {writer.one(node.update, env, before)}")
    else:
        writer.code.line(f"{state} = {writer.first(node.update, env, before, 'None')}")


def _extracted(writer: Writer, node: Fold, env: Env, state: str, before: str, mine: str | None, sink: Sink) -> None:
    assert node.extract is not None
    extract = node.extract
    if node.update.facts.outputs != ONE:
        writer.code.line(f"{state} = None")

    def updated(value: str) -> None:
        after = writer.keep(value)
        writer.code.line(f"{state} = {after}")
        writer.each(extract, env, Out(after), sink)

    if mine is None:
        writer.values(node.update, env, before, updated)
        return
    after = changed(writer, node.update, env, before, mine)
    if not is_apart(extract):
        writer.code.line(f"{mine}.clear()")
    updated(after)


def _label(writer: Writer, node: Label, env: Env, here: Out, sink: Sink) -> None:
    def write(inner: Sink) -> None:
        mark, out = writer.keep("object()"), writer.code.name("e")
        with writer.code.block("try"):
            writer.each(node.body, env.with_names([(node.mark, mark)]), here, inner)
        with writer.code.block(f"except BreakOut as {out}"):
            writer.code.line(f"if {out}.label is not {mark}: raise")

    writer.loop(writer.local(write), here, sink)


def _break(writer: Writer, node: Break, env: Env, _: Out, __: Sink) -> None:
    writer.code.line(f"raise BreakOut({env.names[node.mark]})")


def _native(writer: Writer, node: Native, env: Env, here: Out, sink: Sink) -> None:
    if here.path is not None:
        if isinstance(node.syntax, Call):
            raise refused_in_path(node.syntax)
        writer.values(node, env, here.value, lambda value: writer.foreign(value, here, sink))
        return

    def call(args: list[str]) -> None:
        given = [*([here.value] if node.dot else []), *args, *(["B"] if node.budget else [])]
        expression = f"{writer.code.thing(node.run, 'N')}({', '.join(given)})"
        if node.stream:
            writer.loop(expression, here, sink)
        else:
            sink.write(Out(writer.keep(expression)))

    writer.args(node.args, env, here.value, call)


TABLES = Tables(
    each={
        Input: _input,
        Const: _const,
        Variable: _variable,
        Text: _text,
        Step: _step,
        Collect: _collect,
        Object: _object,
        Pipe: _pipe,
        Comma: _comma,
        Binary: _binary,
        Logic: _logic,
        Alternative: _alternative,
        If: _if,
        Try: _try,
        Bind: _bind,
        Fold: _fold,
        Assign: assign,
        Label: _label,
        Break: _break,
        Native: _native,
        Special: special,
        Define: define,
        Invoke: invoke,
    },
    branches={Logic: _single_logic, Alternative: _single_alternative, If: _single_if, Try: _single_try},
    values=frozenset((Const, Variable, Text, Collect, Object, Binary, Logic, Assign)),
    condition=condition,
)
