"""Built-ins with regular expressions: patterns and flags are constants, compiled with the program."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.emit.analysis import ONE
from bridge.jq.emit.generator import Generator, Sink, is_name
from bridge.jq.emit.scope import NOT_CONSTANT, Scope
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import Call, Comma, Node

Write = Callable[[Generator, Call, Scope, str, Sink], None]


def regex(generator: Generator, node: Call, scope: Scope, flags_at: int, *, everywhere: bool) -> str:
    """The Python name of a compiled pattern; `flags_at` is the argument with the flags."""
    from bridge.jq.regex.matching import Regex
    from bridge.jq.regex.translate import translate

    at = node.args[0]
    source = generator.constant(at, scope)
    flags: object = generator.constant(node.args[flags_at], scope) if len(node.args) > flags_at else None
    if type(source) is list and len(node.args) == 1 and source and node.name in ("test", "match", "capture"):
        flags = source[1] if len(source) > 1 else None
        source = source[0]
    for value, what, where in ((source, "pattern", at), (flags, "flags", node.args[min(flags_at, len(node.args) - 1)])):
        if value is NOT_CONSTANT:
            hint = 'write it as `"…"` here: patterns are checked when the rules load'
            if isinstance(where, Comma):
                hint = "arguments are divided by `;`, not `,`"
            elif where is at and len(node.args) > 1 and generator.constant(node.args[1], scope) is not NOT_CONSTANT:
                hint = f'what it works on comes from the left: `… | {node.name}("…")`'
            raise JqProblem(
                "not-constant", f"the {what} of `{node.name}` must be a constant", where.start, where.end, hint
            )
    if type(source) is not str or not (flags is None or type(flags) is str):
        raise JqProblem("regex", f"the pattern and the flags of `{node.name}` are texts", at.start, at.end)
    pattern = translate(source, flags or "", everywhere=everywhere, start=at.start, end=at.end)
    return generator.code.thing(Regex(pattern, at.start, at.end), "R")


def _named(generator: Generator, name: str) -> str:
    from bridge.jq.regex import matching

    return generator.code.thing(getattr(matching, name), "M")


def test(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
    """`test(pattern; flags)`."""
    sink.write(generator.keep(f"{regex(generator, node, scope, 1, everywhere=False)}.test({v}, B)"))


def _matches(made: str, *, everywhere: bool) -> Write:
    def write(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
        python = regex(generator, node, scope, 1, everywhere=everywhere)
        maker = _named(generator, made) if made != "named" else ""
        found = generator.code.name("m")
        with generator.code.block(f"for {found} in {python}.matches({v}, B)"):
            sink.write(generator.keep(f"{found}.named()" if made == "named" else f"{maker}({found})"))

    return write


def splits(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
    """`splits(pattern; flags)`."""
    python = regex(generator, node, scope, 1, everywhere=True)
    generator.loop(f"{_named(generator, 'pieces')}({python}, {v}, B)", sink)


def split(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
    """`split(pattern; flags)`."""
    python = regex(generator, node, scope, 1, everywhere=True)
    sink.write(generator.keep(f"list({_named(generator, 'pieces')}({python}, {v}, B))"))


def _substitute(*, everywhere: bool) -> Write:
    def write(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
        code = generator.code
        python = regex(generator, node, scope, 2, everywhere=everywhere)
        v = v if is_name(v) else generator.keep(v)
        results, at, found = generator.keep("[]"), generator.keep("0"), code.name("m")
        with code.block(f"for {found} in {python}.matches({v}, B)"):
            span = generator.keep(f"{found}.spans[0]")
            captures = generator.keep(f"{found}.named()")
            inserts = generator.keep("[]")
            keep_it = Sink(lambda value: code.line(f"{inserts}.append({value})"), cheap=True)
            generator.each(node.args[1], scope, captures, keep_it)
            code.line(f"{_named(generator, 'inserted')}({results}, {v}[{at}:{span}[0]], {inserts}, B)")
            code.line(f"{at} = {span}[1]")
        finished = f"{_named(generator, 'finished')}({results}, {v}, {at})"
        if generator.count(node.args[1], scope) == ONE:
            sink.write(generator.keep(f"{finished}[0]"))
        else:
            generator.loop(finished, sink)

    return write


_WRITERS: dict[str, Write] = {
    "test/1": test,
    "test/2": test,
    "match/1": _matches("match_object", everywhere=False),
    "match/2": _matches("match_object", everywhere=False),
    "capture/1": _matches("named", everywhere=False),
    "capture/2": _matches("named", everywhere=False),
    "scan/1": _matches("scanned", everywhere=True),
    "scan/2": _matches("scanned", everywhere=True),
    "splits/1": splits,
    "splits/2": splits,
    "split/2": split,
    "sub/2": _substitute(everywhere=False),
    "sub/3": _substitute(everywhere=False),
    "gsub/2": _substitute(everywhere=True),
    "gsub/3": _substitute(everywhere=True),
}


def _one(write: Write) -> Callable[[Generator, Call, Scope, str], str]:
    def once(generator: Generator, node: Call, scope: Scope, v: str) -> str:
        found: list[str] = []
        write(generator, node, scope, v, Sink(found.append))
        return found[0]

    return once


EACH: dict[str, Write] = dict(_WRITERS)
ONES: dict[str, Callable[[Generator, Call, Scope, str], str]] = {
    key: _one(write) for key, write in _WRITERS.items() if key.split("/")[0] in ("test", "split", "sub", "gsub")
}

__all__ = ["Node"]
