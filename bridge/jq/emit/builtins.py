"""Built-ins that are written as code of their own: they take expressions, or make outputs as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.jq.core_nodes import ONE, Special
from bridge.jq.emit.updates import over_paths
from bridge.jq.emit.writer import Env, Out, Path, Sink, Writer, falsy, is_name, refused_in_path
from bridge.jq.syntax.nodes import Call


def special(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """A call of one of them."""
    if here.path is None:
        WRITTEN[node.key](writer, node, env, here, sink)
        return
    if node.key not in _PATHS:
        assert isinstance(node.syntax, Call)
        raise refused_in_path(node.syntax)
    WRITTEN[node.key](writer, node, env, here, Sink(lambda out: sink.write(_as_unsure(out)), sink.cheap))


def _as_unsure(out: Out) -> Out:
    assert out.path is not None
    return Out(out.value, Path(out.path.name, sure=out.path.name == "()"))


def _empty(_: Writer, __: Special, ___: Env, ____: Out, _____: Sink) -> None:
    """Nothing."""


def _error(writer: Writer, node: Special, env: Env, here: Out, _: Sink) -> None:
    if node.args:
        writer.values(node.args[0], env, here.value, lambda value: writer.code.line(f"raise JqError({value})"))
    else:
        writer.code.line(f"raise JqError({here.value})")


def _not(writer: Writer, _: Special, __: Env, here: Out, sink: Sink) -> None:
    sink.write(Out(writer.keep(falsy(here.value))))


def _select(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """The input once for every true output of the condition."""

    def with_test(test: str) -> None:
        with writer.code.block(f"if {test}"):
            sink.write(here)

    writer.tested(node.args[0], env, here.value, with_test)


def _first(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    def once(out: Out) -> None:
        sink.write(out)
        writer.code.line("break")

    writer.loop(writer.stream(node.args[0], env, here), here, Sink(once))


def _last(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    name = writer.first(node.args[0], env, here.value, "NOTHING")
    with writer.code.block(f"if {name} is not NOTHING"):
        sink.write(Out(name))


def _is_empty(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """Looks at the first output only."""
    name = writer.keep("True")
    with writer.code.block(f"for {writer.code.name('x')} in {writer.stream(node.args[0], env, here)}"):
        writer.code.line(f"{name} = False")
        writer.code.line("break")
    sink.write(Out(name))


def _limit(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    code = writer.code

    def counted(count: str) -> None:
        left = writer.keep(f"counted({count}, 'limit', B)")

        def take(out: Out) -> None:
            code.line(f"{left} = subtract({left}, 1, B)")
            sink.write(out)
            code.line(f"if {left} <= 0: break")

        with code.block(f"if {left} is not None"):
            writer.loop(writer.stream(node.args[1], env, here), here, Sink(take))

    writer.values(node.args[0], env, here.value, counted)


def _skip(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    code = writer.code

    def counted(count: str) -> None:
        left = writer.keep(f"counted({count}, 'skip', B) or 0")

        def take(out: Out) -> None:
            with code.block(f"if {left} != 0"):
                code.line(f"{left} = subtract({left}, 1, B)")
                with code.block(f"if {left} >= 0"):
                    writer.step()
                    code.line("continue")
                code.line(f"{left} = 0")
            sink.write(out)

        writer.loop(writer.stream(node.args[1], env, here), here, Sink(take))

    writer.values(node.args[0], env, here.value, counted)


def _recurse(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """Depth first."""
    name, given = "descend", here.names
    if node.args:
        name = "recurse"
        given += f", {writer.closure(node.args[0], env, paths=here.path is not None)}"
    writer.loop(f"{name if here.path is None else f'{name}_paths'}({given}, B)", here, sink)


def _repeat(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """The outputs of `f` for the same input, without end."""
    with writer.code.block("while True"):
        writer.step()
        writer.each(node.args[0], env, here, sink)


def _range(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """The first argument is the outermost loop."""

    def with_bounds(found: list[str]) -> None:
        bounds = ["0", *found] if len(found) == 1 else found
        writer.loop(f"range_of({', '.join(bounds)}, B)", here, sink)

    writer.args(node.args, env, here.value, with_bounds, last=False)


def _path(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    over_paths(writer, node.args[0], env, here.value, lambda path: sink.write(Out(writer.keep(f"list({path})"))))


def _getpath(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    where = here.path

    def found(keys: str) -> None:
        if where is not None and not where.sure:
            writer.code.line(f"if {where.name} is None: raise off_path({here.value}, ('key', {keys}))")
        value = writer.keep(f"getpath({here.value}, {keys})")
        sink.write(Out(value, None if where is None else Path(writer.keep(f"({where.name}) + tuple({keys})", "p"))))

    writer.values(node.args[0], env, here.value, found)


def _walk(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """From the leaves up."""
    writer.loop(f"walk({here.value}, {writer.closure(node.args[0], env, paths=False)}, B)", here, sink)


def _substitute(writer: Writer, node: Special, env: Env, here: Out, sink: Sink) -> None:
    """`sub`, `gsub`: one text for each of the streams of replacements."""
    from bridge.jq.regex import matching

    code, replacement = writer.code, node.args[1]
    regex = code.thing(node.made, "R")
    v = here.value if is_name(here.value) else writer.keep(here.value)
    if type(replacement.facts.constant) is str:
        sink.write(Out(writer.keep(f"{regex}.replaced({v}, {code.const(replacement.facts.constant)}, B)")))
        return
    results, gap, captures = writer.keep("[]"), code.name("t"), code.name("m")
    single = replacement.facts.outputs == ONE
    with code.block(f"for {gap}, {captures} in {regex}.gaps({v}, B)"):
        code.line(f"if {captures} is None: break")
        if single:
            insert = writer.one(replacement, env, captures)
            code.line(f"{results}.append({code.thing(matching.joined, 'M')}({gap}, {insert}, B))")
        else:
            inserts = writer.keep("[]")
            append = Sink(lambda out: code.line(f"{inserts}.append({out.value})"), cheap=True)
            writer.each(replacement, env, Out(captures), append)
            code.line(f"{code.thing(matching.inserted, 'M')}({results}, {gap}, {inserts}, B)")
    if single:
        sink.write(Out(writer.keep(f"''.join({results}) + {gap}")))
    else:
        writer.loop(f"{code.thing(matching.finished, 'M')}({results}, {v}, {gap})", here, sink)


_Write = Callable[[Writer, Special, Env, Out, Sink], None]
_PATHS = frozenset([
    "empty/0", "error/0", "error/1", "select/1", "first/1", "limit/2", "skip/2", "recurse/0", "recurse/1",
    "repeat/1", "getpath/1",
])  # fmt: skip
"""Those whose outputs are parts of the input."""
WRITTEN: Mapping[str, _Write] = {
    "empty/0": _empty,
    "error/0": _error,
    "error/1": _error,
    "not/0": _not,
    "select/1": _select,
    "first/1": _first,
    "last/1": _last,
    "isempty/1": _is_empty,
    "limit/2": _limit,
    "skip/2": _skip,
    "recurse/0": _recurse,
    "recurse/1": _recurse,
    "repeat/1": _repeat,
    "range/1": _range,
    "range/2": _range,
    "range/3": _range,
    "path/1": _path,
    "getpath/1": _getpath,
    "walk/1": _walk,
    "sub/2": _substitute,
    "sub/3": _substitute,
    "gsub/2": _substitute,
    "gsub/3": _substitute,
}
