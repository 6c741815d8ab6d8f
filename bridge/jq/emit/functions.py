"""Functions that are Python functions of their own: where they are defined, called, and written.

A call of itself in last position becomes a loop, as libjq's does not grow either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.jq.core_nodes import ONE, Bind, Binding, Comma, Core, Define, Function, If, Invoke, Parameter, Pipe
from bridge.jq.emit.writer import Env, Home, Out, Path, Sink, Writer


def define(writer: Writer, node: Define, env: Env, here: Out, sink: Sink) -> None:
    """A definition, and what it is for: the function is written here, once it is called."""
    writer.each(node.body, env.with_function(node.function, writer.code.place()), here, sink)


def invoke(writer: Writer, node: Invoke, env: Env, here: Out, sink: Sink) -> None:
    """A call: arguments that are values are the outer loops, the first the outermost."""
    function = node.function
    if isinstance(function, Parameter):
        value, path = env.parameters[function]
        writer.loop(f"{value if here.path is None else path}({here.names})", here, sink)
        return

    def argument(at: int, given: list[str]) -> None:
        if at == len(node.args):
            _called(
                writer, node, function, env, [here.names, f"{env.depths.get(node.within, '0')} + 1", *given], here, sink
            )
            return
        (expression, value), arg = function.params[at], node.args[at]
        if expression is not None:
            given = [*given, *_passed(writer, arg, env)]
        if value is None:
            argument(at + 1, given)
        else:
            writer.values(arg, env, here.value, lambda name: argument(at + 1, [*given, name]))

    argument(0, [])


def _called(
    writer: Writer, node: Invoke, function: Function, env: Env, given: list[str], here: Out, sink: Sink
) -> None:
    name = _written(writer, function, env.homes[function], paths=here.path is not None)
    expression = f"{name}({', '.join(given)})"
    if here.path is None and function.outputs == ONE:
        sink.write(Out(writer.keep(expression)))
    else:
        writer.loop(expression, here, sink)


def _passed(writer: Writer, arg: Core, env: Env) -> tuple[str, str]:
    """The Python names of the two forms of an argument."""
    if isinstance(arg, Invoke) and isinstance(arg.function, Parameter):
        return env.parameters[arg.function]
    return writer.closure(arg, env, paths=False), writer.closure(arg, env, paths=True)


def _written(writer: Writer, function: Function, home: Home, *, paths: bool) -> str:
    """The Python name of a function for values or for paths; written at its place when it is first asked for."""
    name = home.written.get(paths)
    if name is None:
        name = home.written[paths] = writer.code.name("f")
        with writer.code.at(home.place), writer.trying():
            _write(writer, function, home, name, paths=paths)
    return name


def _write(writer: Writer, function: Function, home: Home, name: str, *, paths: bool) -> None:
    code, body = writer.code, function.body
    assert body is not None
    here = Out(code.name("v"), Path(code.name("p")) if paths else None)
    depth = code.name("d")
    header = [here.names, depth]
    parameters: dict[Parameter, tuple[str, str]] = {}
    values: dict[Binding, str] = {}
    for expression, value in function.params:
        if expression is not None:
            parameters[expression] = (code.name("c"), code.name("c"))
            header += parameters[expression]
        if value is not None:
            values[value] = code.name("a")
            header.append(values[value])
    env = replace(
        home.env.with_names(values.items()),
        parameters={**home.env.parameters, **parameters},
        homes={**home.env.homes, function: home},
        depths={**home.env.depths, function: depth},
    )
    with code.function(f"{name}({', '.join(header)})"):
        code.line(f"if {depth} > DEPTH: too_deep()")
        if paths:
            code.line("if False: yield None")
            writer.step()
            writer.each(body, env, here, Sink(lambda out: code.line(f"yield {out.names}"), cheap=True))
            return
        tail = _Tail(writer, function, here.value, [values[value] for _, value in function.params if value is not None])
        if not tail.single:
            code.line("if False: yield None")
        if not function.recursive:
            writer.step()
            tail.finish(body, env, here.value)
            return
        with code.block("while True"):
            writer.step()
            tail.write(body, env, writer.keep(here.value))


@dataclass(frozen=True, slots=True)
class _Tail:
    """Writes the body of a function: it returns its output if it is single, else it yields.

    `again` and `values` are the Python names of its input and of its parameters that are values.
    """

    writer: Writer
    function: Function
    again: str
    values: list[str]

    @property
    def single(self) -> bool:
        """Whether the function returns its one output."""
        return self.function.outputs == ONE

    def finish(self, node: Core, env: Env, v: str) -> None:
        """Write what is not a call of the function itself."""
        code = self.writer.code
        if self.single:
            code.line(f"return {self.writer.one(node, env, v)}")
        else:
            self._yield(node, env, v)
            code.line("return")

    def _yield(self, node: Core, env: Env, v: str) -> None:
        self.writer.each(node, env, Out(v), Sink(lambda out: self.writer.code.line(f"yield {out.value}"), cheap=True))

    def write(self, node: Core, env: Env, v: str) -> None:
        """Write an expression in last position."""
        writer = self.writer
        if isinstance(node, Invoke) and node.function is self.function and self._passes_on(node):
            self._loop(node, env, v)
        elif isinstance(node, Pipe) and node.left.facts.outputs == ONE:
            self.write(node.right, env, writer.one(node.left, env, v))
        elif isinstance(node, If) and node.condition.facts.outputs == ONE:
            with writer.code.block(f"if {writer.condition(node.condition, env, v)}"):
                self.write(node.then, env, v)
            with writer.code.block("else"):
                self.write(node.otherwise, env, v)
        elif isinstance(node, Comma):
            for part in node.parts[:-1]:
                self._yield(part, env, v)
            self.write(node.parts[-1], env, v)
        elif isinstance(node, Define):
            self.write(node.body, env.with_function(node.function, writer.code.place()), v)
        elif isinstance(node, Bind) and node.source.facts.outputs == ONE and _plain(node):
            (pattern, body), name = node.takes[0], writer.one(node.source, env, v)
            writer.destructure(pattern, name, env, v, lambda names: self.write(body, names, v))
        else:
            self.finish(node, env, v)

    def _passes_on(self, node: Invoke) -> bool:
        """Whether a call of itself has single values, and the function's own parameters as expressions."""
        for (expression, value), arg in zip(self.function.params, node.args, strict=True):
            if value is not None and arg.facts.outputs != ONE:
                return False
            if expression is not None and not (isinstance(arg, Invoke) and arg.function is expression):
                return False
        return True

    def _loop(self, node: Invoke, env: Env, v: str) -> None:
        given = [
            self.writer.one(arg, env, v)
            for (_, value), arg in zip(self.function.params, node.args, strict=True)
            if value is not None
        ]
        self.writer.code.line(f"{', '.join([self.again, *self.values])} = {', '.join([v, *given])}")
        self.writer.code.line("continue")


def _plain(node: Bind) -> bool:
    return len(node.takes) == 1 and isinstance(node.takes[0][0], Binding)
