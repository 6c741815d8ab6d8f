"""Random jq programs over the supported grammar, and random values for them."""

from __future__ import annotations

import json
from random import Random

from tests.jq.words import DATES, FORMATS, LIMITED, NAMES, NUMBERS, PATTERNS, SIMPLE, TEXTS, TYPED


class Programs:
    """Writes random programs; everything comes from one generator of random numbers."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._variables: list[str] = []
        self._functions: list[tuple[str, int]] = []

    def program(self) -> str:
        """One program."""
        self._variables, self._functions = [], []
        return self.pipe(self._random.randrange(1, 5))

    def pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def pipe(self, depth: int) -> str:
        parts = [self.expression(depth) for _ in range(self._random.choice((1, 1, 1, 2, 2, 3)))]
        return " | ".join(parts)

    def expression(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf()
        kinds = (
            self.leaf, self.path, self.binary, self.compare, self.logic, self.alternative, self.condition, self.array,
            self.object_, self.text, self.call, self.higher, self.update, self.try_, self.bind, self.fold, self.comma,
            self.define, self.regex, self.higher, self.call, self.path, self.binary, self.paths, self.format_,
        )  # fmt: skip
        return self._random.choice(kinds)(depth - 1)

    def of(self, kind: str, depth: int) -> str:
        """An expression that has this type, whatever the input."""
        literal = {"number": "3", "string": '"ab,c"', "array": "[1,2,[3]]", "object": '{"a":{"b":2},"c":"x"}'}[kind]
        if self._random.random() < 0.3:
            return literal if self._random.random() < 0.5 else self.made(kind)
        return f'({self.expression(depth)} | if type == "{kind}" then . else {literal} end)'

    def made(self, kind: str) -> str:
        """A shorter one of this type."""
        path = self.simple_path().removesuffix("[]")
        return {
            "number": f"([{path}] | length)",
            "string": f"([{path}] | tojson)",
            "array": f"[{path}]",
            "object": f"{{a: [{path}], b: 1}}",
        }[kind]

    def inner(self, depth: int) -> str:
        if self._random.random() < 0.15:
            return self.of(self.pick("number", "string", "array", "object"), depth - 1)
        text = self.pipe(depth) if self._random.random() < 0.3 else self.expression(depth)
        return f"({text})"

    def leaf(self, _: int = 0) -> str:
        choice = self._random.randrange(9)
        if choice < 3:
            return self.simple_path()
        if choice == 3:
            return str(self._random.choice(NUMBERS)) if self._random.random() < 0.8 else "(-1)"
        if choice == 4:
            return json.dumps(self._random.choice(TEXTS), ensure_ascii=False)
        if choice == 5:
            return self.pick("null", "true", "false", "[]", "{}", "[1,2,3]", '{"a":1,"b":[2]}', '["a","b"]')
        if choice == 6 and self._variables:
            return f"${self._random.choice(self._variables)}"
        if choice == 7 and self._functions:
            name, arity = self._random.choice(self._functions)
            return f"{name}({'; '.join(self.simple_path() for _ in range(arity))})" if arity else name
        return "."

    def simple_path(self) -> str:
        base = self.pick(".", ".", f".{self._random.choice(NAMES)}", f".{self._random.choice(NAMES)}?")
        return base + (self.step() if self._random.random() < 0.4 else "")

    def step(self) -> str:
        name = self._random.choice(NAMES)
        return self.pick(
            f'["{name}"]', "[0]", "[-1]", "[1]", "[]?", "[]", f'["{name}"]?', "[0]?", "[1:]", "[:2]?", "[:-1]?", "[0.5]?",
        )  # fmt: skip

    def path(self, depth: int) -> str:
        text = self.simple_path()
        for _ in range(self._random.randrange(2)):
            choice = self._random.randrange(4)
            if choice == 0:
                text += f"[{self.expression(depth - 1)}]"
            elif choice == 1:
                text += f"[{self.expression(depth - 1)}]?"
            elif choice == 2:
                text += f"[{self.inner(depth - 1)}:{self.leaf()}]?"
            else:
                text += self.step()
        return text

    def binary(self, depth: int) -> str:
        if self._random.random() < 0.6:
            kind = self.pick("number", "string", "array", "object", "number")
            operators = {"number": "+-*/%", "string": "+/", "array": "+-", "object": "+*"}[kind]
            return f"{self.of(kind, depth)} {self._random.choice(operators)} {self.of(kind, depth)}"
        left, right = self.inner(depth), self.inner(depth)
        return f"{left} {self.pick('+', '+', '-', '*', '/', '%')} {right}"

    def compare(self, depth: int) -> str:
        return f"{self.inner(depth)} {self.pick('==', '!=', '<', '<=', '>', '>=')} {self.inner(depth)}"

    def logic(self, depth: int) -> str:
        return f"{self.inner(depth)} {self.pick('and', 'or')} {self.inner(depth)}"

    def alternative(self, depth: int) -> str:
        return f"{self.inner(depth)} // {self.inner(depth)}"

    def condition(self, depth: int) -> str:
        otherwise = f" else {self.pipe(depth)}" if self._random.random() < 0.8 else ""
        between = f" elif {self.expression(depth)} then {self.expression(depth)}" if self._random.random() < 0.2 else ""
        return f"if {self.pipe(depth)} then {self.pipe(depth)}{between}{otherwise} end"

    def array(self, depth: int) -> str:
        return f"[{self.pipe(depth)}]"

    def object_(self, depth: int) -> str:
        entries = []
        for _ in range(self._random.randrange(1, 4)):
            name = self._random.choice(NAMES)
            entries.append(
                self.pick(
                    name,
                    f"{name}: {self.inner(depth)}",
                    f'"{name}": {self.leaf()}',
                    f"({self.expression(depth)} | tostring): {self.inner(depth)}",
                    f'"k\\({self.leaf()})": {self.leaf()}',
                    f"${self._random.choice(self._variables)}" if self._variables else name,
                )
            )
        return "{" + ", ".join(entries) + "}"

    def text(self, depth: int) -> str:
        before = f"@{self._random.choice(FORMATS)} " if self._random.random() < 0.2 else ""
        return f'{before}"x\\({self.expression(depth)}) \\({self.leaf()})"'

    def format_(self, depth: int) -> str:
        return f"{self.inner(depth)} | @{self._random.choice(FORMATS)}"

    def call(self, depth: int) -> str:
        name = self._random.choice(SIMPLE)
        if name in LIMITED:
            name = f"limit(20; {name})"
        if self._random.random() < 0.6:
            kind = next((kind for kind, names in TYPED.items() if name in names), "array")
            return f"{self.of(kind, depth)} | {name}"
        return name if self._random.random() < 0.3 else f"{self.inner(depth)} | {name}"

    def higher(self, depth: int) -> str:
        f, g = self.expression(depth), self.expression(depth - 1)
        n = self._random.randrange(-1, 4)
        leaf = self.leaf()
        text = self.pick(
            f"map({f})", f"select({f})", f"map_values({f})", f"with_entries({f})", f"sort_by({f})", f"group_by({f})",
            f"unique_by({f})", f"min_by({f})", f"max_by({f})", f"add({f})", f"any({f})", f"all({f})", f"any({f}; {g})",
            f"all({f}; {g})", f"first({f})", f"last({f})", f"limit({n}; {f})", f"skip({n}; {f})", f"nth({n}; {f})",
            f"isempty({f})", f"has({f})", f"contains({f})", f"inside({f})", f"index({f})", f"rindex({f})", f"indices({f})",
            f"startswith({f})", f"endswith({f})", f"ltrimstr({f})", f"rtrimstr({f})", f"trimstr({f})", f"split({f})",
            f"join({f})", f"flatten({n})", f"in({f})", f"IN({f})", f"IN({f}; {g})", f"INDEX({f})", f"walk({f})",
            f"limit(30; recurse({f}))", f"limit(30; recurse({f}; {g}))", f"limit(5; repeat(., {leaf}))", f"error({f})",
            f"limit(30; while({f}; {g}))", f"getpath({f})", f"bsearch({f})", f"splits({json.dumps(self.pick(',', 'a'))})",
            f"[limit(20; range({n}; {leaf}))]", f"[limit(20; range({leaf}; 5; {n}))]", f"[limit(20; range({leaf}))]",
            f"pow({f}; {g})", f"fmin({f}; {g})", f"fmax({f}; {g})", f"fmod({f}; {g})", f"ldexp({leaf}; {n})",
            f"map(select({f}))", f"to_entries | map({f})", f"strftime({json.dumps(self._random.choice(DATES))})",
            f"combinations({max(n, 0)})", f"fromstream({f} | tostream)", "tojson | fromjson", f"nth({n})",
            f"JOIN({f}; {g})", f"first({f} | {g})", f"[.[]? | {f}]", f"[..] | map({f})", f"map({f}, {g})",
        )  # fmt: skip
        if self._random.random() < 0.5:
            return f"{self.of(self.pick('array', 'array', 'object', 'string', 'number'), depth)} | {text}"
        return text if self._random.random() < 0.5 else f"{self.path(0)} | {text}"

    def target(self, depth: int) -> str:
        """What may stand left of `|=`."""
        name, other = self._random.choice(NAMES), self._random.choice(NAMES)
        return self.pick(
            f".{name}", f".{name}.{other}", ".[]?", ".[]", f".{name}[]?", ".[0]", ".[-1]", f".[]?.{name}", ".[1:]", ".[:1]?",
            "..", f"(.{name}, .{other})", f"(.{name} | .{other})", f"(.[]? | select({self.expression(depth)}))",
            f"(.{name} // .{other})", "first(.[]?)", "limit(2; .[]?)", f'getpath(["{name}"])', f".[{self.leaf()}]",
            f"(if {self.expression(depth)} then .{name} else .{other} end)", f"(.{name}?)", "recurse", "empty", ".",
            f"(.[]? | .{name}?)", '(.. | select(type == "number"))', f"(try .{name} catch .)", ".[0][0]?", f".{name}[1:]",
            "recurse(.[]?)", "(.[0], .[1])", "skip(1; .[]?)", f"(.{name} | objects)", f"(. as $v | .{name})",
        )  # fmt: skip

    def update(self, depth: int) -> str:
        operator = self.pick("|=", "|=", "|=", "=", "+=", "-=", "*=", "/=", "%=", "//=")
        before = f"{self.of(self.pick('array', 'object'), depth)} | " if self._random.random() < 0.5 else ""
        return f"({before}{self.target(depth)} {operator} {self.inner(depth)})"

    def paths(self, depth: int) -> str:
        target = self.target(depth)
        before = f"{self.of(self.pick('array', 'object'), depth)} | " if self._random.random() < 0.5 else ""
        return before + self.pick(
            f"[limit(20; path({target}))]", f"del({target})", "[paths]", f"[limit(20; paths({self.expression(depth)}))]",
            f"pick({target})", "to_entries", f"delpaths([path({target})])", f'setpath(["a"]; {self.leaf()})',
            f"setpath({self.leaf()}; {self.leaf()})", f"delpaths({self.leaf()})", f"getpath({self.leaf()})", "tostream",
        )  # fmt: skip

    def try_(self, depth: int) -> str:
        body = self.inner(depth)
        return self.pick(f"{body}?", f"try {body} catch {self.inner(depth)}", f"try {body}", f"try {body} catch 9")

    def bind(self, depth: int) -> str:
        name = self.pick("v", "w", "u")
        source = self.inner(depth)
        pattern = self.pick(
            f"${name}", f"${name}", f"[${name}]", f"{{a: ${name}}}", f"{{${name}}}", f'{{"a": [${name}]}}'
        )
        self._variables.append(name)
        text = f"({source} as {pattern} | {self.pipe(depth)})"
        self._variables.pop()
        return text

    def fold(self, depth: int) -> str:
        name = self.pick("v", "w")
        source = self.pick(".[]?", "(1, 2, 3)", f"limit(5; {self.expression(depth)})", ".a[]?", "range(3)")
        initial = self.pick("0", "null", "[]", "{}", '""', self.leaf(), "(0, 1)")
        self._variables.append(name)
        update = self.pick(f". + ${name}", f". + [${name}]", self.pipe(depth), f".a += ${name}", "empty", f"., ${name}")
        extract = self.pick("", f"; {self.expression(depth)}", f"; [${name}, .]")
        self._variables.pop()
        source = source if source[0] == "." else f"({source})"
        if self._random.random() < 0.5:
            return f"(reduce {source} as ${name} ({initial}; {update}))"
        return f"[limit(20; foreach {source} as ${name} ({initial}; {update}{extract}))]"

    def comma(self, depth: int) -> str:
        return f"({self.pipe(depth)}, {self.expression(depth)})"

    def define(self, depth: int) -> str:
        kind = self._random.randrange(5)
        if kind == 0:
            body, use = f"def f: {self.pipe(depth)};", ("f", 0)
        elif kind == 1:
            body, use = f"def g($p): {self.pick('$p', '. + $p', '[., $p]', 'p')} | {self.expression(depth)};", ("g", 1)
        elif kind == 2:
            body, use = f"def h(p): {self.pick('p', 'p | p', '[p]', 'first(p)', '.[]? | p', '[.[]? |= p]')};", ("h", 1)
        elif kind == 3:
            body, use = 'def r: if type == "array" and length > 0 then .[0] | r else . end;', ("r", 0)
        else:
            body, use = "def s(p; $n): if $n <= 0 then . else p | s(p; $n - 1) end;", ("s", 2)
        self._functions.append(use)
        args = "; ".join(["2" if use == ("s", 2) and at else self.expression(depth) for at in range(use[1])])
        called = f"{use[0]}({args})" if use[1] else use[0]
        rest = called if self._random.random() < 0.6 else self.pipe(depth)
        if use == ("s", 2):
            rest = called
        self._functions.pop()
        return f"({body} {rest})"

    def regex(self, depth: int) -> str:
        pattern = f'"{self._random.choice(PATTERNS)}"'
        flags = self.pick("", '; "g"', '; "i"', '; "x"', "; null", '; "gi"', '; "p"', '; "s"')
        replacement = self.pick('"-"', '"[\\(.x)]"', '"\\(.y // "")"', '"1", "2"', "empty", ".x", '"\\(.)"')
        text = self.pick(
            f"test({pattern}{flags})", f"[match({pattern}{flags})]", f"[capture({pattern}{flags})]",
            f"[scan({pattern})]", f"[scan({pattern}{flags or '; null'})]", f"split({pattern}{flags or '; null'})",
            f"[splits({pattern})]", f"[sub({pattern}; {replacement}{flags if 'null' not in flags else ''})]",
            f"[gsub({pattern}; {replacement})]",
        )  # fmt: skip
        source = self.pick(".", f"({self.inner(depth)} | tostring)", ".name", '"abc,ab b,c"', '"Hello wörld"')
        return f"({source} | {text})"
