"""Tokens to the syntax tree: jq's grammar as libjq 1.8.2 has it, without modules."""

from __future__ import annotations

from bridge.jq.problems import JqProblem
from bridge.jq.syntax.mistakes import describe
from bridge.jq.syntax.nodes import (
    Alternative,
    ArrayPattern,
    Assign,
    Binary,
    Bind,
    Comma,
    Define,
    Function,
    Label,
    Literal,
    Logic,
    Negate,
    Node,
    ObjectPattern,
    Pattern,
    Pipe,
    Try,
    VariablePattern,
)
from bridge.jq.syntax.terms import CHAIN, Terms
from bridge.jq.syntax.tokens import Tokens

_ASSIGN = frozenset(("=", "|=", "+=", "-=", "*=", "/=", "%=", "//="))
_COMPARE = frozenset(("==", "!=", "<", "<=", ">", ">="))
_LEVELS: dict[str, int] = {"//": 1, "or": 3, "and": 4, "+": 6, "-": 6, "*": 7, "/": 7, "%": 7}
_LEVELS.update(dict.fromkeys(_ASSIGN, 2))
_LEVELS.update(dict.fromkeys(_COMPARE, 5))
_ALTERNATIVE, _SET, _OR, _AND, _EQUALS = 1, 2, 3, 4, 5


class Parser(Terms):
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


def parse(text: str) -> Node:
    """The syntax tree of one expression. Raises JqProblem."""
    return Parser(Tokens(text)).program()


def parse_definitions(text: str) -> list[Function]:
    """The functions of a text of `def`s, in order. Raises JqProblem."""
    return Parser(Tokens(text)).definitions()
