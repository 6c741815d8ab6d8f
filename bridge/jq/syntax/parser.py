"""Tokens to the syntax tree: jq's grammar as libjq 1.8.2 has it, without modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bridge.jq.problems import JqProblem
from bridge.jq.syntax.lexer import Tokens, number_value
from bridge.jq.syntax.mistakes import Mistakes, describe
from bridge.jq.syntax.nodes import (
    Alternative,
    Array,
    ArrayPattern,
    Assign,
    Binary,
    Bind,
    Break,
    Call,
    Comma,
    Define,
    Foreach,
    Format,
    Function,
    Identity,
    If,
    Index,
    Iterate,
    Label,
    Literal,
    Logic,
    Negate,
    Node,
    Object,
    ObjectPattern,
    Pattern,
    Pipe,
    Reduce,
    Slice,
    Text,
    Try,
    Variable,
    VariablePattern,
)

_ASSIGN = frozenset(("=", "|=", "+=", "-=", "*=", "/=", "%=", "//="))
_COMPARE = frozenset(("==", "!=", "<", "<=", ">", ">="))
_LEVELS: dict[str, int] = {"//": 1, "or": 3, "and": 4, "+": 6, "-": 6, "*": 7, "/": 7, "%": 7}
_LEVELS.update(dict.fromkeys(_ASSIGN, 2))
_LEVELS.update(dict.fromkeys(_COMPARE, 5))
_ALTERNATIVE, _SET, _OR, _AND, _EQUALS = 1, 2, 3, 4, 5


_CONSTANTS = {"true": True, "false": False, "null": None}
CHAIN = 300
"""Operators or steps in one row; far more than anybody writes, and few enough for recursion."""


class Parser(Mistakes):
    """Reads one program or one list of definitions. Raises JqProblem."""

    def program(self) -> Node:
        """The whole text as one expression."""
        if self.tokens.peek.kind == "end":
            raise JqProblem("syntax", "there is no expression", 0, len(self.tokens.text), "write `.` for the input")
        node = self._pipe()
        if self.tokens.peek.kind != "end":
            raise self.unexpected(node)
        return node

    def definitions(self) -> list[Function]:
        """The whole text as `def …;` one after another."""
        found = []
        while self.tokens.peek.kind != "end":
            if not self.tokens.is_keyword("def"):
                token = self.tokens.peek
                message = f"only `def` may stand here, not {describe(token)}"
                raise JqProblem("syntax", message, token.start, token.end, "write `def name: expression;`")
            found.append(self._function())
        return found

    def _pipe(self) -> Node:
        with self.tokens.deeper():
            start = self.tokens.peek.start
            if self.tokens.is_keyword("def"):
                function = self._function()
                rest = self._pipe()
                return Define(start, rest.end, function, rest)
            if self.tokens.is_keyword("label"):
                return self._label()
            return self._stages()

    def _label(self) -> Node:
        start = self.tokens.take().start
        name = self.tokens.variable("`label` needs a name", "write `label $out | …`")
        self.tokens.expect("|", "`label $name` is followed by `|`")
        body = self._pipe()
        return Label(start, body.end, name, body)

    def _stages(self) -> Node:
        stages = [self._comma()]
        while self.tokens.skip("|"):
            if self.tokens.is_keyword("def") or self.tokens.is_keyword("label"):
                stages.append(self._pipe())
                break
            stages.append(self._comma())
        node = stages.pop()
        while stages:
            left = stages.pop()
            node = Pipe(left.start, node.end, left, node)
        return node

    def _comma(self) -> Node:
        node = self._element()
        while self.tokens.skip(","):
            right = self._element()
            node = Comma(node.start, right.end, node, right)
        return node

    def _element(self) -> Node:
        """What commas divide; `as` takes all that is before it back to the comma, and its body all that follows."""
        node = self._binary(_ALTERNATIVE)
        return self._bind(node) if self.tokens.is_keyword("as") else node

    def _binary(self, lowest: int) -> Node:
        left = self._operand()
        for _ in range(CHAIN):
            token = self.tokens.peek
            level = _LEVELS.get(token.text, 0) if token.kind in ("op", "keyword") else 0
            if level < lowest:
                self.reject_foreign(left)
                return left
            self.tokens.take()
            left = self._joined(left, token.text, level, token.start)
        raise JqProblem("too-large", f"more than {CHAIN} operators in a row", left.start, left.end)

    def _joined(self, left: Node, op: str, level: int, at: int) -> Node:
        self.reject_doubled(op, at)
        with self.tokens.deeper():
            right = self._binary(level if level == _ALTERNATIVE else level + 1)
        if level in (_SET, _EQUALS) and _LEVELS.get(self.tokens.peek.text, 0) == level:
            token = self.tokens.peek
            message = f"`{op}` and `{token.text}` do not follow one another"
            hint = "put one of them in ( )"
            if level == _EQUALS:
                hint = "write `and` between two comparisons (`1 < .n and .n < 5`), or ( ) around one"
            raise JqProblem("syntax", message, token.start, token.end, hint)
        if level == _ALTERNATIVE:
            return Alternative(left.start, right.end, left, right)
        if level == _SET:
            return Assign(left.start, right.end, op, left, right, at)
        if level in (_OR, _AND):
            return Logic(left.start, right.end, op, left, right)
        return Binary(left.start, right.end, op, left, right)

    def _operand(self) -> Node:
        token = self.tokens.peek
        if token.kind == "op" and token.text == "-":
            self.tokens.take()
            with self.tokens.deeper():
                body = self._operand()
            return Negate(token.start, body.end, body)
        if self.tokens.is_keyword("try"):
            return self._try()
        return self._postfix()

    def _try(self) -> Node:
        start = self.tokens.take().start
        with self.tokens.deeper():
            body = self._try_part()
            handler = None
            if self.tokens.is_keyword("catch"):
                self.tokens.take()
                handler = self._try_part()
        return Try(start, (handler or body).end, body, handler)

    def _try_part(self) -> Node:
        if self.tokens.is_keyword("try"):
            return self._try()
        token = self.tokens.peek
        if token.kind == "op" and token.text == "-":
            self.tokens.take()
            with self.tokens.deeper():
                body = self._try_part()
            return Negate(token.start, body.end, body)
        return self._postfix()

    def _bind(self, source: Node) -> Node:
        patterns = self._patterns()
        self.tokens.expect("|", "`as $name` is followed by `|`")
        body = self._pipe()
        return Bind(source.start, body.end, source, patterns, body)

    def _patterns(self) -> tuple[Pattern, ...]:
        self.tokens.keyword("as")
        found = [self._pattern()]
        while self.tokens.skip("?//"):
            found.append(self._pattern())
        for pattern in found:
            self.reject_repeats(pattern)
        return tuple(found)

    def _pattern(self) -> Pattern:
        with self.tokens.deeper():
            token = self.tokens.peek
            if token.kind == "variable":
                self.tokens.take()
                return VariablePattern(token.start, token.end, token.text)
            if self.tokens.skip("["):
                items = [self._pattern()]
                while self.tokens.skip(","):
                    items.append(self._pattern())
                end = self.tokens.expect("]", "an array pattern ends with `]`")
                return ArrayPattern(token.start, end, tuple(items))
            if self.tokens.skip("{"):
                entries = [self._pattern_entry()]
                while self.tokens.skip(","):
                    entries.append(self._pattern_entry())
                end = self.tokens.expect("}", "an object pattern ends with `}`")
                return ObjectPattern(token.start, end, tuple(entries))
            message = f"`as` needs a variable or a pattern, not {describe(token)}"
            raise JqProblem("syntax", message, token.start, token.end, "write `as $name`, `as [$a, $b]`, `as {$a}`")

    def _pattern_entry(self) -> tuple[Node, str | None, Pattern | None]:
        token = self.tokens.peek
        name: str | None = None
        if token.kind == "variable":
            self.tokens.take()
            name = token.text
            key: Node = Literal(token.start, token.end, name)
            if not self.tokens.skip(":"):
                return key, name, None
        else:
            key = self._key()
            self.tokens.expect(":", "a key in a pattern is followed by `:` and a variable")
        return key, name, self._pattern()

    def _key(self) -> Node:
        token = self.tokens.peek
        if token.kind in ("name", "keyword"):
            self.tokens.take()
            return Literal(token.start, token.end, token.text)
        if token.kind in ("quote", "format"):
            return self._text(whole_format=False)
        if self.tokens.skip("("):
            node = self._pipe()
            self.tokens.expect(")", "this key is never closed")
            self.reject_constant_key(node)
            return node
        raise self.bad_key(token)

    def _function(self) -> Function:
        start = self.tokens.take().start
        token = self.tokens.take()
        if token.kind not in ("name", "keyword"):
            message = f"`def` needs a name, not {describe(token)}"
            raise JqProblem("syntax", message, token.start, token.end, "write `def name: expression;`")
        params: list[str] = []
        if self.tokens.skip("("):
            params.append(self._param())
            while self.tokens.skip(";"):
                params.append(self._param())
            self.tokens.expect(")", "the parameters are divided by `;` and end with `)`")
        self.tokens.expect(":", "the name of a function is followed by `:`")
        body = self._pipe()
        end = self.tokens.expect(";", "a `def` ends with `;`")
        return Function(start, end, token.text, tuple(params), body)

    def _param(self) -> str:
        token = self.tokens.take()
        if token.kind == "variable":
            return f"${token.text}"
        if token.kind in ("name", "keyword"):
            return token.text
        message = f"a parameter is a name or a `$name`, not {describe(token)}"
        raise JqProblem("syntax", message, token.start, token.end)

    def _postfix(self) -> Node:
        node = self._term()
        for _ in range(CHAIN):
            step = self._step(node)
            if step is None:
                return node
            node = step
        raise JqProblem("too-large", f"more than {CHAIN} steps in one path", node.start, node.end)

    def _step(self, node: Node) -> Node | None:
        token = self.tokens.peek
        if token.kind == "field":
            self.reject_not(node, token)
            self.tokens.take()
            return self._field(node, token.start + 1, token.end, token.text)
        if token.kind != "op":
            return None
        if token.text == "[":
            return self._bracket(node)
        if token.text == "?":
            return Try(node.start, self.tokens.take().end, node, None)
        if token.text == ".":
            return self._dotted(node)
        return None

    def _field(self, target: Node, start: int, end: int, name: str) -> Node:
        self.reject_method(end)
        optional = self.tokens.skip("?")
        return Index(
            target.start, self.tokens.last_end if optional else end, target, Literal(start, end, name), optional
        )

    def _dotted(self, node: Node) -> Node:
        dot = self.tokens.take()
        if self.tokens.peek.kind in ("quote", "format"):
            key = self._text(whole_format=False)
            optional = self.tokens.skip("?")
            return Index(node.start, self.tokens.last_end, node, key, optional)
        if self.tokens.is_op("["):
            found = self._bracket(node)
            if isinstance(found, Slice):
                hint = "leave out the dot before the `[`"
                raise JqProblem("syntax", "no slice can follow a dot", dot.start, found.end, hint)
            return found
        raise self.bad_field(dot)

    def _bracket(self, node: Node) -> Node:
        self.tokens.take()
        self.reject_star()
        low: Node | None = None
        if self.tokens.skip("]"):
            optional = self.tokens.skip("?")
            return Iterate(node.start, self.tokens.last_end, node, optional)
        if not self.tokens.is_op(":"):
            low = self._pipe()
        if self.tokens.skip(":"):
            high = None if self.tokens.is_op("]") else self._pipe()
            if low is None and high is None:
                token = self.tokens.peek
                raise JqProblem("syntax", "a slice needs a bound", token.start - 1, token.end, "write `.[from:upto]`")
            self.tokens.expect("]", "a slice ends with `]`")
            optional = self.tokens.skip("?")
            return Slice(node.start, self.tokens.last_end, node, low, high, optional)
        self.tokens.expect("]", "an index ends with `]`")
        optional = self.tokens.skip("?")
        assert low is not None
        return Index(node.start, self.tokens.last_end, node, low, optional)

    def _term(self) -> Node:
        readers: Mapping[str, Callable[[], Node]] = {
            "number": self._term_number,
            "quote": self._term_quote,
            "format": self._term_format,
            "variable": self._term_variable,
            "field": self._term_field,
            "name": self._term_name,
            "keyword": self._term_keyword,
            "op": self._term_op,
        }
        read = readers.get(self.tokens.peek.kind)
        if read is None:
            raise self.unexpected(None)
        return read()

    def _term_number(self) -> Node:
        taken = self.tokens.take()
        return Literal(taken.start, taken.end, number_value(taken.text))

    def _term_quote(self) -> Node:
        return self._text(whole_format=False)

    def _term_format(self) -> Node:
        return self._text(whole_format=True)

    def _term_variable(self) -> Node:
        taken = self.tokens.take()
        if taken.text == "__loc__":
            line = self.tokens.text.count("\n", 0, taken.start) + 1
            return Literal(taken.start, taken.end, {"file": "<top-level>", "line": line})
        return Variable(taken.start, taken.end, taken.text)

    def _term_field(self) -> Node:
        taken = self.tokens.take()
        return self._field(Identity(taken.start, taken.start), taken.start + 1, taken.end, taken.text)

    def _term_name(self) -> Node:
        name = self.tokens.take()
        if name.text in _CONSTANTS:
            return Literal(name.start, name.end, _CONSTANTS[name.text])
        args: list[Node] = []
        if self.tokens.skip("("):
            self.reject_no_arguments(name)
            args.append(self._pipe())
            while self.tokens.skip(";"):
                args.append(self._pipe())
            self.reject_comma_arguments(name, args)
            self.tokens.expect(")", f"the arguments of `{name.text}` are divided by `;` and end with `)`")
        return Call(name.start, self.tokens.last_end, name.text, tuple(args))

    def _term_keyword(self) -> Node:
        word = self.tokens.peek.text
        if word == "if":
            return self._if()
        if word == "reduce":
            return self._reduce()
        if word == "foreach":
            return self._foreach()
        if word == "break":
            start = self.tokens.take().start
            name = self.tokens.variable("`break` needs the name of a label", "write `break $out`")
            return Break(start, self.tokens.last_end, name)
        raise self.unexpected(None)

    def _term_op(self) -> Node:
        start = self.tokens.peek.start
        if self.tokens.skip(".."):
            return Call(start, self.tokens.last_end, "recurse", ())
        if self.tokens.is_op("."):
            return self._identity()
        if self.tokens.skip("("):
            node = self._pipe()
            self.tokens.expect(")", "this `(` is never closed")
            return node
        if self.tokens.skip("["):
            if self.tokens.skip("]"):
                return Array(start, self.tokens.last_end, None)
            body = self._pipe()
            self.tokens.expect("]", "an array ends with `]`")
            return Array(start, self.tokens.last_end, body)
        if self.tokens.is_op("{"):
            return self._object()
        raise self.unexpected(None)

    def _identity(self) -> Node:
        dot = self.tokens.take()
        node = Identity(dot.start, dot.end)
        if self.tokens.peek.kind in ("quote", "format") and self.tokens.peek.start == dot.end:
            key = self._text(whole_format=False)
            optional = self.tokens.skip("?")
            return Index(dot.start, self.tokens.last_end, node, key, optional)
        self.reject_bad_field(dot)
        return node

    def _object(self) -> Node:
        start = self.tokens.take().start
        self.reject_double_brace(start)
        entries: list[tuple[Node, Node]] = []
        while not self.tokens.is_op("}"):
            entries.append(self._entry())
            if not self.tokens.skip(","):
                break
        self.tokens.expect("}", "an object ends with `}`, and its entries are divided by `,`")
        return Object(start, self.tokens.last_end, tuple(entries))

    def _entry(self) -> tuple[Node, Node]:
        token = self.tokens.peek
        if token.kind == "variable":
            return self._variable_entry()
        key = self._key()
        if self.tokens.skip(":"):
            return key, self._entry_value()
        if token.kind in {"name", "keyword"}:
            self.reject_bad_entry(key)
        if token.kind == "op":
            self.tokens.expect(":", "a computed key is followed by `:` and a value")
        return key, Index(key.start, key.end, Identity(key.start, key.start), key, optional=False)

    def _variable_entry(self) -> tuple[Node, Node]:
        value = self._term_variable()
        name = value.name if isinstance(value, Variable) else "__loc__"
        if isinstance(value, Variable) and self.tokens.skip(":"):
            return value, self._entry_value()
        return Literal(value.start, value.end, name), value

    def _entry_value(self) -> Node:
        with self.tokens.deeper():
            node = self._binary(1)
            if self.tokens.is_keyword("as"):
                message = "`as` in the value of an object needs ( ) around it"
                raise JqProblem("syntax", message, node.start, node.end, "write `{key: (… as $x | …)}`")
            if self.tokens.skip("|"):
                right = self._entry_value()
                return Pipe(node.start, right.end, node, right)
            return node

    def _text(self, *, whole_format: bool) -> Node:
        first = self.tokens.take()
        name = first.text if first.kind == "format" else None
        if name is not None:
            if self.tokens.peek.kind != "quote":
                if whole_format:
                    return Format(first.start, first.end, name[1:])
                message = f"`{name}` has to be followed by a text here"
                field = self.tokens.text[: first.start].endswith(".")
                hint = f'write `["{name}"]` without the dot for the field' if field else f'write `{name} "…"`'
                raise JqProblem("syntax", message, first.start, first.end, hint)
            self.tokens.take()
        parts: list[str | Node] = []
        while self.tokens.peek.kind != "quote":
            token = self.tokens.take()
            if token.kind == "text":
                parts.append(token.text)
                continue
            parts.append(self._pipe())
            self.tokens.close()
        end = self.tokens.take().end
        if all(isinstance(part, str) for part in parts):
            return Literal(first.start, end, "".join(str(part) for part in parts))
        return Text(first.start, end, tuple(parts), name[1:] if name else None)

    def _if(self) -> Node:
        start = self.tokens.take().start
        condition = self._pipe()
        self.tokens.keyword("then")
        then = self._pipe()
        otherwise: Node | None = None
        if self.tokens.is_keyword("elif"):
            with self.tokens.deeper():
                otherwise = self._if()
        else:
            if self.tokens.is_keyword("else"):
                self.tokens.take()
                otherwise = self._pipe()
            self.tokens.keyword("end")
        return If(start, self.tokens.last_end, condition, then, otherwise)

    def _reduce(self) -> Node:
        start = self.tokens.take().start
        source = self._binary(1)
        patterns = self._patterns()
        self.tokens.expect("(", "`reduce … as $x` is followed by `(initial; update)`")
        initial = self._pipe()
        self.tokens.expect(";", "`reduce` takes `(initial; update)`")
        update = self._pipe()
        self.tokens.expect(")", "`reduce` takes `(initial; update)`")
        return Reduce(start, self.tokens.last_end, source, patterns, initial, update)

    def _foreach(self) -> Node:
        start = self.tokens.take().start
        source = self._binary(1)
        patterns = self._patterns()
        self.tokens.expect("(", "`foreach … as $x` is followed by `(initial; update)` or `(initial; update; extract)`")
        initial = self._pipe()
        self.tokens.expect(";", "`foreach` takes `(initial; update; extract)`")
        update = self._pipe()
        extract = self._pipe() if self.tokens.skip(";") else None
        self.tokens.expect(")", "`foreach` takes `(initial; update; extract)`")
        return Foreach(start, self.tokens.last_end, source, patterns, initial, update, extract)


def parse(text: str) -> Node:
    """The syntax tree of one expression. Raises JqProblem."""
    return Parser(Tokens(text)).program()


def parse_definitions(text: str) -> list[Function]:
    """The functions of a text of `def`s, in order. Raises JqProblem."""
    return Parser(Tokens(text)).definitions()
