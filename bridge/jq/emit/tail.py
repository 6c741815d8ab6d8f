"""Bodies of recursive functions: a call of itself in last position becomes a loop, as libjq's does not grow either."""

from __future__ import annotations

from bridge.jq.emit.analysis import uses
from bridge.jq.emit.generator import Generator, Sink
from bridge.jq.emit.scope import Lazy, Passed, Scope
from bridge.jq.syntax.nodes import Bind, Call, Comma, Define, If, Node, Pipe, VariablePattern


def tail(generator: Generator, lazy: Lazy, scope: Scope, v: str, *, single: bool) -> None:
    """Write the body of `lazy` with input `v`: it returns its output if `single`, else it yields."""
    if not single:
        generator.code.line("if False: yield None")
    if not lazy.recursive:
        generator.step()
        _finish(generator, lazy.function.body, scope, v, single=single)
        return
    with generator.code.block("while True"):
        generator.step()
        current = generator.keep(v)
        _tail(generator, lazy.function.body, lazy, scope, current, v, single=single)


def _finish(generator: Generator, node: Node, scope: Scope, v: str, *, single: bool) -> None:
    if single:
        generator.code.line(f"return {generator.one(node, scope, v)}")
        return
    generator.each(node, scope, v, Sink(lambda value: generator.code.line(f"yield {value}"), cheap=True))
    generator.code.line("return")


def _tail(generator: Generator, node: Node, lazy: Lazy, scope: Scope, v: str, again: str, *, single: bool) -> None:
    if isinstance(node, Call) and scope.functions.get(node.key) is lazy and _passes_on(generator, node, lazy, scope):
        _loop(generator, node, lazy, scope, v, again)
    elif isinstance(node, Pipe) and generator.single(node.left, scope):
        value = generator.one(node.left, scope, v)
        _tail(generator, node.right, lazy, scope, value, again, single=single)
    elif isinstance(node, If) and generator.single(node.condition, scope):
        with generator.code.block(f"if {generator.condition(node.condition, scope, v)}"):
            _tail(generator, node.then, lazy, scope, v, again, single=single)
        with generator.code.block("else"):
            if node.otherwise is None:
                generator.code.line(f"{'return' if single else 'yield'} {v}")
                generator.code.line("return" if not single else "pass")
            else:
                _tail(generator, node.otherwise, lazy, scope, v, again, single=single)
    elif isinstance(node, Comma):
        write = Sink(lambda value: generator.code.line(f"yield {value}"), cheap=True)
        generator.each(node.left, scope, v, write)
        _tail(generator, node.right, lazy, scope, v, again, single=single)
    elif isinstance(node, Define):
        from bridge.jq.emit.calls import defined

        _tail(generator, node.rest, lazy, defined(generator, node.function, scope), v, again, single=single)
    elif isinstance(node, Bind) and _plain(node) and generator.single(node.source, scope):
        value = generator.one(node.source, scope, v)
        generator.destructure(
            node.patterns[0],
            value,
            scope,
            v,
            lambda inner: _tail(generator, node.body, lazy, inner, v, again, single=single),
        )
    else:
        _finish(generator, node, scope, v, single=single)


def _plain(node: Bind) -> bool:
    return len(node.patterns) == 1 and isinstance(node.patterns[0], VariablePattern)


def _passes_on(generator: Generator, node: Call, lazy: Lazy, scope: Scope) -> bool:
    """Whether a call of itself has single values, and the function's own parameters as expressions."""
    for param, arg in zip(lazy.function.params, node.args, strict=True):
        name = param.removeprefix("$")
        if param != name and not generator.single(arg, scope):
            return False
        if uses(lazy.function.body, name):
            known = scope.functions.get(arg.key) if isinstance(arg, Call) and not arg.args else None
            if not isinstance(known, Passed) or getattr(arg, "name", "") != name:
                return False
    return True


def _loop(generator: Generator, node: Call, lazy: Lazy, scope: Scope, v: str, again: str) -> None:
    names, values = [again], [v]
    for param, arg in zip(lazy.function.params, node.args, strict=True):
        if param[0] == "$":
            names.append(lazy.written[param])
            values.append(generator.one(arg, scope, v))
    generator.code.line(f"{', '.join(names)} = {', '.join(values)}")
    generator.code.line("continue")
