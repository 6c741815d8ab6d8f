"""Function calls: parameters, definitions, built-ins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bridge.jq.builtins import BUILTINS
from bridge.jq.emit.analysis import MANY, ONE, builtin_callee, is_recursive, uses, weight
from bridge.jq.emit.generator import Generator, PathAt, PathSink, Sink
from bridge.jq.emit.scope import Bound, Callee, Closure, Lazy, Macro, Passed, Scope
from bridge.jq.emit.special import EACH, ONES, PATHS
from bridge.jq.emit.tail import tail
from bridge.jq.problems import JqProblem
from bridge.jq.syntax.nodes import Call, Function, Node

_HEAVY = 6
"""An argument with more nodes than this becomes a function of its own when it is used more than once."""
_LARGE = 60
"""A function without parameters and with more nodes than this becomes a Python function."""


def defined(generator: Generator, function: Function, scope: Scope) -> Scope:
    """The scope behind a definition."""
    recursive = is_recursive(function)
    large = weight(function.body) > _LARGE and not function.params
    written_once = recursive or large
    callee: Callee = (
        Lazy(function, scope, generator.code.place(), recursive) if written_once else Macro(function, scope)
    )
    return scope.with_functions({function.key: callee})


def _resolved(generator: Generator, node: Call, scope: Scope) -> Callee:
    callee = scope.functions.get(node.key)
    if callee is not None:
        return callee
    definition = BUILTINS[node.key].definition
    assert definition is not None
    found = builtin_callee(definition)
    if isinstance(found, Lazy):
        return Lazy(found.function, found.scope, generator.code.place(), recursive=True)
    return found


def call_one(generator: Generator, node: Node, scope: Scope, v: str) -> str:
    """A call with exactly one output."""
    assert isinstance(node, Call)
    if node.key not in scope.functions:
        special = ONES.get(node.key)
        if special is not None:
            return special(generator, node, scope, v)
        if BUILTINS[node.key].run is not None:
            return _native(generator, node, scope, v)
    found: list[str] = []
    _user_call(generator, node, scope, v, Sink(found.append), single=True)
    return found[0]


def call_each(generator: Generator, node: Node, scope: Scope, v: str, sink: Sink) -> None:
    """A call with any number of outputs."""
    assert isinstance(node, Call)
    if node.key not in scope.functions:
        special = EACH.get(node.key)
        if special is not None:
            special(generator, node, scope, v, sink)
            return
        if BUILTINS[node.key].run is not None:
            _native_each(generator, node, scope, v, sink)
            return
    _user_call(generator, node, scope, v, sink, single=False)


def _native_expression(generator: Generator, node: Call, v: str, args: list[str]) -> str:
    builtin = BUILTINS[node.key]
    python = generator.code.thing(builtin.run, "N")
    return f"{python}({', '.join([v, *args, *(['B'] if builtin.budget else [])])})"


def _native(generator: Generator, node: Call, scope: Scope, v: str) -> str:
    args = [generator.one(arg, scope, v) for arg in reversed(node.args)][::-1]
    return generator.keep(_native_expression(generator, node, v, args))


def _native_each(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink) -> None:
    builtin = BUILTINS[node.key]

    def then(args: list[str]) -> None:
        expression = _native_expression(generator, node, v, args)
        if builtin.stream:
            generator.loop(expression, sink)
        else:
            sink.write(generator.keep(expression))

    generator.args(node.args, scope, v, then)


def call_paths(generator: Generator, node: Call, scope: Scope, v: str, path: PathAt, sink: PathSink) -> None:
    """A call whose outputs are parts of the input."""
    if node.key not in scope.functions:
        special = PATHS.get(node.key)
        if special is not None:
            special(generator, node, scope, v, path, sink)
            return
        if BUILTINS[node.key].definition is None:
            message = f"`{node.name}` in a path: it makes a value instead of naming a part of the input"
            raise JqProblem("refused", message, node.start, node.end, "use paths, `select`, `first`, `getpath` … here")
    callee = _resolved(generator, node, scope)
    if isinstance(callee, Closure):
        generator.paths(callee.node, callee.scope, v, path, sink)
    elif isinstance(callee, Passed):
        generator.path_loop(f"{callee.path}({v}, {path.name})", sink)
    else:
        _with_parameters(
            generator,
            callee,
            node,
            scope,
            v,
            lambda inner, args: _body_paths(generator, callee, inner, args, v, path, sink),
        )


def _body_paths(
    generator: Generator,
    callee: Macro | Lazy,
    inner: Scope,
    args: list[str],
    v: str,
    path: PathAt,
    sink: PathSink,
) -> None:
    if isinstance(callee, Macro):
        generator.paths(callee.function.body, inner, v, path, sink)
        return
    python = written(generator, callee, "path")
    generator.path_loop(f"{python}({', '.join([v, path.name, f'{inner.depth} + 1', *args])})", sink)


def _user_call(generator: Generator, node: Call, scope: Scope, v: str, sink: Sink, *, single: bool) -> None:
    callee = _resolved(generator, node, scope)
    if isinstance(callee, Closure):
        if single:
            sink.write(generator.one(callee.node, callee.scope, v))
        else:
            generator.each(callee.node, callee.scope, v, sink)
    elif isinstance(callee, Passed):
        generator.loop(f"{callee.value}({v})", sink)
    else:
        _with_parameters(
            generator, callee, node, scope, v, lambda inner, args: _body(generator, callee, inner, args, v, sink)
        )


def _body(generator: Generator, callee: Macro | Lazy, inner: Scope, args: list[str], v: str, sink: Sink) -> None:
    if isinstance(callee, Macro):
        generator.each(callee.function.body, inner, v, sink)
        return
    python = written(generator, callee, "value")
    expression = f"{python}({', '.join([v, f'{inner.depth} + 1', *args])})"
    if generator.analysis.lazy_count(callee) == ONE:
        sink.write(generator.keep(expression))
    else:
        generator.loop(expression, sink)


def _with_parameters(
    generator: Generator,
    callee: Macro | Lazy,
    node: Call,
    scope: Scope,
    v: str,
    then: Callable[[Scope, list[str]], None],
) -> None:
    """Bind the arguments of a call, value parameters from the first as the outermost loop."""
    function = callee.function
    base = replace(callee.scope, depth=scope.depth)
    if isinstance(callee, Lazy):
        _lazy_arguments(generator, callee, node, scope, v, lambda args: then(base, args))
        return

    def parameter(at: int, inner: Scope) -> None:
        if at == len(function.params):
            _located(node, callee, lambda: then(inner, []))
            return
        name, arg = function.params[at].removeprefix("$"), node.args[at]
        used = uses(function.body, name)
        if used:
            inner = inner.with_functions({f"{name}/0": _closure(generator, arg, scope, used)})
        if function.params[at][0] != "$":
            parameter(at + 1, inner)
            return
        constant = generator.constant(arg, scope)

        def with_value(value: str) -> None:
            parameter(at + 1, inner.with_variable(name, Bound(value, constant)))

        generator.each(arg, scope, v, Sink(with_value))

    parameter(0, base)


def _located(node: Call, callee: Macro, then: Callable[[], None]) -> None:
    """Problems inside a function from another text are reported at its call."""
    if callee.scope.variables.get("__origin__") is None and callee.function.start >= 0:
        then()
        return
    try:
        then()
    except JqProblem as problem:
        raise JqProblem(problem.code, problem.message, node.start, node.end, problem.hint) from problem


def _closure(generator: Generator, arg: Node, scope: Scope, used: int) -> Callee:
    """An argument that is an expression: written where it is used, or once as a function."""
    passed = scope.functions.get(arg.key) if isinstance(arg, Call) and not arg.args else None
    if passed is not None and not isinstance(passed, Macro):
        return passed
    if used > 1 and weight(arg) > _HEAVY:
        function = Function(arg.start, arg.end, "", (), arg)
        return Lazy(function, scope, generator.code.place(), recursive=False)
    return Closure(arg, scope)


def _lazy_arguments(
    generator: Generator, callee: Lazy, node: Call, scope: Scope, v: str, then: Callable[[list[str]], None]
) -> None:
    params = callee.function.params

    def parameter(at: int, args: list[str]) -> None:
        if at == len(params):
            then(args)
            return
        arg, name = node.args[at], params[at].removeprefix("$")
        if uses(callee.function.body, name):
            args = [*args, *passed_names(generator, arg, scope)]
        if params[at][0] == "$":
            generator.each(arg, scope, v, Sink(lambda value: parameter(at + 1, [*args, value])))
        else:
            parameter(at + 1, args)

    parameter(0, [])


def passed_names(generator: Generator, arg: Node, scope: Scope) -> tuple[str, str]:
    """The Python names of the two forms of an argument."""
    known = scope.functions.get(arg.key) if isinstance(arg, Call) and not arg.args else None
    if isinstance(known, Passed):
        return known.value, known.path
    return generator.closure(arg, scope), generator.path_closure(arg, scope)


def written(generator: Generator, lazy: Lazy, way: str) -> str:
    """The Python name of a function in one of its ways; written at its place when it is first asked for."""
    name = lazy.written.get(way)
    if name is not None:
        return name
    name = lazy.written[way] = generator.code.name("f")
    with generator.code.at(lazy.place), generator.trying():
        _write(generator, lazy, way, name)
    return name


def _write(generator: Generator, lazy: Lazy, way: str, python_name: str) -> None:
    v, path, depth = generator.code.name("v"), generator.code.name("p"), generator.code.name("d")
    header = [v, *([path] if way == "path" else []), depth]
    functions: dict[str, Callee] = {lazy.function.key: lazy} if lazy.recursive else {}
    variables: dict[str, Bound] = {}
    for param in lazy.function.params:
        name = param.removeprefix("$")
        if uses(lazy.function.body, name):
            passed = Passed(generator.code.name("c"), generator.code.name("c"))
            header += [passed.value, passed.path]
            functions[f"{name}/0"] = passed
        if param != name:
            python = generator.code.name("a")
            header.append(python)
            if way == "value":
                lazy.written[param] = python
            variables[name] = Bound(python)
    scope = replace(lazy.scope.with_functions(functions).with_variables(variables), depth=depth)
    with generator.code.function(f"{python_name}({', '.join(header)})"):
        generator.code.line(f"if {depth} > DEPTH: too_deep()")
        if way == "path":
            generator.code.line("if False: yield None")
            generator.step()
            write = PathSink(lambda value, where: generator.code.line(f"yield {value}, {where.name}"), cheap=True)
            generator.paths(lazy.function.body, scope, v, PathAt(path, sure=False), write)
        else:
            tail(generator, lazy, scope, v, single=generator.analysis.lazy_count(lazy) == ONE)


__all__ = ["MANY"]
