"""What the parser does not accept, and what to say: most of it is another language's way of writing."""

from __future__ import annotations

import re

from bridge.jq.problems import JqProblem
from bridge.jq.syntax.lexer import Token
from bridge.jq.syntax.nodes import ArrayPattern, Call, Comma, Literal, Node, ObjectPattern, Pattern, VariablePattern
from bridge.jq.syntax.tokens import Tokens, words

describe = words

_METHODS = {
    "length": "`(… | length)`",
    "size": "`(… | length)`",
    "toUpperCase": "`(… | ascii_upcase)`",
    "toLowerCase": "`(… | ascii_downcase)`",
    "upper": "`(… | ascii_upcase)`",
    "lower": "`(… | ascii_downcase)`",
    "trim": "`(… | trim)`",
    "strip": "`(… | trim)`",
    "includes": "`(… | contains(…))`",
    "contains": "`(… | contains(…))`",
    "startsWith": "`(… | startswith(…))`",
    "startswith": "`(… | startswith(…))`",
    "endsWith": "`(… | endswith(…))`",
    "endswith": "`(… | endswith(…))`",
    "map": "`(… | map(…))`",
    "filter": "`(… | map(select(…)))`",
    "join": '`(… | join(", "))`',
    "split": '`(… | split(","))`',
    "replace": '`(… | gsub("from"; "to"))`',
    "toString": "`(… | tostring)`",
    "toFixed": "`(… | fixed(2))`",
    "get": '`.["key"]`',
    "keys": "`(… | keys)`",
    "format": '`"… \\(.path) …"`',
}
_OPENERS = frozenset(("(", "[", "{"))
_OPERATORS = {
    "in": '`.field | IN("a", "b")` for one of some, `contains(…)` for a part',
    "is": "`==`, or `!=` for `is not`",
    "not": "`(… | not)`, or `!=`",
    "like": '`test("^abc")`, `startswith("abc")` or `contains("abc")`',
    "matches": '`test("pattern")`',
    "contains": "`| contains(…)`",
    "startswith": "`| startswith(…)`",
    "endswith": "`| endswith(…)`",
    "AND": "`and`",
    "And": "`and`",
    "OR": "`or`",
    "Or": "`or`",
    "eq": "`==`",
    "ne": "`!=`",
    "gt": "`>`",
    "gte": "`>=`",
    "lt": "`<`",
    "lte": "`<=`",
    "div": "`/`",
    "mod": "`%`",
    "xor": "`!=`",
    "between": "`… >= 1 and … <= 9`",
}
"""Words that other languages have between two operands."""
_CHOICE = 'write `if … then … elif … then … else … end`, or `{"a": "one"}[.field]`'
_FOREIGN_WORDS = {
    "not": "write `(… | not)`",
    "NOT": "write `(… | not)`",
    "return": "leave `return` out: an expression is its own result",
    "let": "write `… as $name | …` for a variable",
    "var": "write `… as $name | …` for a variable",
    "const": "write `… as $name | …` for a variable",
    "null": "write `… as $name | …` for a variable",
    "case": _CHOICE,
    "switch": _CHOICE,
    "when": _CHOICE,
    "for": "write `map(…)`, or `.[] | …`",
    "new": "leave `new` out",
}
"""Words that other languages have before an expression."""


class Mistakes:
    """The parser's other half: each `reject_…` looks for one mistake at the place where the parser stands."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def unexpected(self, before: Node | None) -> JqProblem:
        """The problem of a token that cannot stand here."""
        token = self.tokens.peek
        start, end = token.start, token.end
        if token.kind == "end":
            after = f" after {words(self.tokens.last)}" if self.tokens.last.kind != "start" else ""
            hint = "write what is missing, or remove what waits for it"
            return JqProblem("syntax", f"the expression ends too early{after}", max(start - 1, 0), end, hint)
        last = self.tokens.last
        if token.kind == "op" and token.text == last.text == "|" and last.end == token.start:
            hint = "write `or`, or `//` for a default"
            return JqProblem("other-language", "`||` is not an operator of jq", last.start, end, hint)
        if token.kind == "op" and token.text == ":":
            hint = "write `if … then … else … end` for a choice, `.[from:upto]` for a part"
            return JqProblem("other-language", "jq has no `? :`", start, end, hint)
        if token.kind == "op" and token.text == "?":
            hint = "write `if … then … else … end`"
            return JqProblem("other-language", "jq has no `? :`", start, end, hint)
        if token.kind == "keyword" and token.text in ("import", "include", "module"):
            return JqProblem("refused", f"`{token.text}`: there are no modules here", start, end, "use `defs`")
        if token.kind == "keyword" and token.text in ("def", "label"):
            return JqProblem("syntax", f"`{token.text}` needs ( ) around it here", start, end)
        if isinstance(before, Call) and before.name in _FOREIGN_WORDS:
            return self._foreign_word(before)
        if token.kind == "name" and token.text in _OPERATORS and before is not None:
            message = f"`{token.text}` is no operator of jq"
            return JqProblem("other-language", message, start, end, f"write {_OPERATORS[token.text]}")
        return JqProblem("syntax", f"{words(token)} cannot stand here", start, end, self._missing(before))

    def _missing(self, before: Node | None) -> str:
        """What is probably missing, or too much, before the next token."""
        token, text = self.tokens.peek, self.tokens.text
        if before is None:
            if token.text == "/" and self.tokens.last.text == "(":
                return 'a pattern is a text: `"…"`'
            return f"an expression is missing before {words(token)}, or {words(token)} is too much"
        end = token.start + len(re.match(r"[.\w]*", text[token.start :])[0])  # type: ignore[index]
        found = text[token.start : end]
        if token.kind == "number" and found.startswith(".") and token.start == before.end:
            name = found[1:].partition(".")[0]
            return f"write `[{name}]` for an element" if name.isdigit() else f'write `["{name}"]` without the dot'
        if token.kind == "name" and self.tokens.last.kind == "field" and token.start == before.end + 1:
            whole = f"{self.tokens.last.text} {token.text}"
            return f'parts are joined by an operator, `|` or `,`; a name with a space is written `["{whole}"]`'
        if token.kind == "name" and self.tokens.last.text == "..":
            return f"write `.{token.text}` for the field, `.. | .{token.text}?` for it at any depth"
        if self.tokens.last.kind == "number" and token.start == before.end:
            return "numbers are written as in JSON: 1000, 0.5"
        if token.kind == "name" and token.start == before.end:
            return f"write `.{token.text}` for the field"
        return "parts are joined by an operator, `|` or `,`"

    @staticmethod
    def _foreign_word(call: Call) -> JqProblem:
        hint = _FOREIGN_WORDS.get(call.name, "write `… as $name | …` for a variable")
        return JqProblem("other-language", f"`{call.name} …` is not jq", call.start, call.end, hint)

    def reject_foreign(self, left: Node) -> None:
        """`a ? b : c` behind an operand, and `not x`."""
        token = self.tokens.peek
        if isinstance(left, Call) and left.name in ("not", "NOT") and not left.args:
            starts = token.kind in ("field", "variable", "name", "number", "quote")
            if starts or (token.kind == "op" and token.text in _OPENERS | {"."}):
                message = "`not x` is not jq: `not` looks at its input"
                raise JqProblem("other-language", message, left.start, left.end, "write `(x | not)`")
        optional = self.tokens.last.kind == "op" and self.tokens.last.text == "?"
        if optional and token.kind in ("field", "variable", "name", "number", "quote", "open"):
            where = self.tokens.last
            hint = "write `if … then … else … end`, or `// …` for a default"
            raise JqProblem("other-language", "jq has no `? :` and no `??`", where.start, where.end, hint)
        if token.kind == "op" and token.text == "?":
            hint = "write `if … then … else … end`, or `// …` for a default"
            raise JqProblem("other-language", "jq has no `? :` and no `??`", token.start, token.end, hint)

    def reject_doubled(self, op: str, at: int) -> None:
        """`===`, `!==`, `**`, `||`, `=>`, `=<`, `<>`, `++`."""
        token = self.tokens.peek
        if token.kind != "op" or token.start != at + len(op):
            return
        found = op + token.text
        hints = {
            "===": "write `==`",
            "!==": "write `!=`",
            "==~": "write `test(…)`",
            "**": "write `pow(x; y)`",
            "=>": "write `>=`, or `as $x | …`",
            "=<": "write `<=`",
            "++": "write `+ 1`",
            "<>": "write `!=`",
            "||": "write `or`, or `//` for a default",
        }
        if found in hints:
            message = f"`{found}` is not an operator of jq"
            raise JqProblem("other-language", message, at, token.end, hints[found])

    @staticmethod
    def reject_not(left: Node, field: Token) -> None:
        """`not .field`."""
        if isinstance(left, Call) and left.name == "not" and field.start > left.end:
            message = "`not x` is not jq: `not` looks at its input"
            raise JqProblem("other-language", message, left.start, left.end, f"write `(.{field.text} | not)`")

    def reject_method(self, end: int) -> None:
        """`.name(…)`: jq has no methods."""
        token = self.tokens.peek
        if token.kind == "op" and token.text == "(" and token.start == end:
            name = self.tokens.last.text
            hint = f"write {_METHODS.get(name, f'`(… | {name})`')}"
            message = f"`.{name}(…)`: jq has no methods"
            raise JqProblem("other-language", message, self.tokens.last.start, token.end, hint)

    def reject_star(self) -> None:
        """`[*]` of JSONPath."""
        token = self.tokens.peek
        if token.kind == "op" and token.text == "*":
            raise JqProblem("other-language", "`[*]` is not jq", token.start - 1, token.end + 1, "write `[]`")
        if token.kind == "op" and token.text == "?":
            hint = "write `.[] | select(…)`"
            raise JqProblem("other-language", "`[?…]` is not jq", token.start - 1, token.end, hint)

    def reject_double_brace(self, start: int) -> None:
        """`{{ }}` of templates."""
        token = self.tokens.peek
        if token.kind == "op" and token.text == "{" and token.start == start + 1:
            message = "`{{ … }}` is not jq"
            raise JqProblem("other-language", message, start, token.end, "write `${ .path }`, or `(…)` to group")

    def reject_no_arguments(self, name: Token) -> None:
        """`name()`."""
        if self.tokens.is_op(")"):
            hint = f"write `{name.text}` without ( )"
            raise JqProblem("other-language", f"`{name.text}()` is not jq", name.start, self.tokens.peek.end, hint)

    def reject_comma_arguments(self, name: Token, args: list[Node]) -> None:
        """`pow(2, 3)`: legal, but hardly ever meant; left to those who know the function's arity."""

    def reject_constant_key(self, node: Node) -> None:
        """`{(1): …}`."""
        if isinstance(node, Literal) and not isinstance(node.value, str):
            raise JqProblem("syntax", "only text can be a key", node.start, node.end, 'write `"…"`')

    def reject_bad_field(self, dot: Token) -> None:
        """`.1a`, `.-x`, `. name`: names that need quotes, and JSONPath's `$.`."""
        token = self.tokens.peek
        if token.kind == "name" and self.tokens.last is dot:
            raise self.bad_field(dot)

    def bad_field(self, dot: Token) -> JqProblem:
        """A dot with nothing usable behind it."""
        token = self.tokens.peek
        if token.kind == "end":
            return JqProblem("syntax", "nothing follows the `.`", dot.start, dot.end, "write a name, or remove the dot")
        if token.kind == "op" and token.text == "*":
            return JqProblem("other-language", "`.*` is not jq", dot.start, token.end, "write `.[]`")
        hint = 'write `.["name"]` for a name with other characters than letters, digits and `_`'
        if token.kind == "variable":
            hint = f'write `[${token.text}]` for the field that it names, `["${token.text}"]` for a field of this name'
        return JqProblem("syntax", f"{words(token)} cannot follow the `.`", dot.start, token.end, hint)

    def reject_bad_entry(self, key: Node) -> None:
        """`{a = 1}`, `{a-b: 1}`, `{a.b: 1}`: what follows a key that is no name."""
        token = self.tokens.peek
        if token.kind == "op" and token.text in ("=", "=>", "|="):
            raise JqProblem("other-language", f"`{token.text}` in an object", token.start, token.end, "write `:`")
        found = re.match(r"[\w.-]+", self.tokens.text[key.start :])
        if token.start == key.end and found is not None and len(found[0]) > key.end - key.start:
            name = found[0].rstrip(".-")
            hint = f'write `"{name}"`: a name with other characters stands in quotes'
            raise JqProblem("syntax", f"`{name}` is not a name", key.start, key.start + len(name), hint)

    def bad_key(self, token: Token) -> JqProblem:
        """Something that is no key of an object."""
        if token.kind == "number":
            hint = f'write `"{token.text}"`'
            return JqProblem("syntax", "a number cannot be a key", token.start, token.end, hint)
        if token.kind == "field":
            hint = f"write `{token.text}` for the field itself, `name: .{token.text}`, or `(.{token.text}): value`"
            return JqProblem("syntax", f"`.{token.text}` needs a key", token.start, token.end, hint)
        hint = "a key is a name, a text, or ( ) around an expression"
        return JqProblem("syntax", f"{words(token)} cannot be a key", token.start, token.end, hint)

    def reject_repeats(self, pattern: Pattern) -> None:
        """One variable twice in one pattern: what jq makes of it is an accident."""
        seen: set[str] = set()
        for name, where in _names(pattern):
            if name in seen:
                raise JqProblem("refused", f"`${name}` twice in one pattern", where.start, where.end, "use two names")
            seen.add(name)


def _names(pattern: Pattern) -> list[tuple[str, Pattern]]:
    if isinstance(pattern, VariablePattern):
        return [(pattern.name, pattern)]
    if isinstance(pattern, ArrayPattern):
        return [found for item in pattern.items for found in _names(item)]
    found: list[tuple[str, Pattern]] = []
    if isinstance(pattern, ObjectPattern):
        for _, name, inner in pattern.entries:
            if name is not None:
                found.append((name, pattern))
            if inner is not None:
                found += _names(inner)
    return found


__all__ = ["Comma", "Mistakes", "describe"]
