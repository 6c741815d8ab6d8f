"""What the parser does not accept, and what to say: most of it is another language's way of writing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from bridge.jq.problems import JqProblem
from bridge.jq.syntax.lexer import Token, Tokens, words
from bridge.jq.syntax.nodes import ArrayPattern, Call, Comma, Literal, Node, ObjectPattern, Pattern, VariablePattern

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


_STRAY: dict[str, tuple[str, str]] = {
    "&&": ("`&&` is not an operator of jq", "write `and`"),
    "&": ("`&` is not an operator of jq", "write `and`, or `+` to join texts"),
    "!": ("`!` is not an operator of jq", "write `(… | not)` for not, `!=` for unequal"),
    "'": ("jq writes text with double quotes", 'write `"…"`'),
    "`": ("a backquote means nothing in jq", 'write text as `"…"`, values in it as `\\(.path)`'),
    "“": ("a typographic quote does not begin a text", 'write `"…"`'),
    "”": ("a typographic quote does not end a text", 'write `"…"`'),
    "‘": ("a typographic quote does not begin a text", 'write `"…"`'),
    "’": ("a typographic quote does not end a text", 'write `"…"`'),
    "–": ("`–` is a dash, and no minus", "write `-`"),
    "—": ("`—` is a dash, and no minus", "write `-`"),
    "×": ("`×` is not an operator of jq", "write `*`"),
    "÷": ("`÷` is not an operator of jq", "write `/`"),
    "≥": ("`≥` is not an operator of jq", "write `>=`"),
    "≤": ("`≤` is not an operator of jq", "write `<=`"),
    "≠": ("`≠` is not an operator of jq", "write `!=`"),
    "«": ("a typographic quote does not begin a text", 'write `"…"`'),
    "„": ("a typographic quote does not begin a text", 'write `"…"`'),
    "^": ("`^` is not an operator of jq", "write `pow(x; y)`"),
    "~": ("`~` is not an operator of jq", 'write `test("pattern")` to match a pattern'),
    "\\": ("a backslash means something in texts only", 'write `"…"` around the text'),
    "@": ("`@` needs the name of a format", "write `@uri`, `@base64`, `@json` …"),
    "$": ("`$` needs the name of a variable", "write `$name`"),
}


def stray_character(text: str, at: int) -> JqProblem:
    """The problem for a character that begins no token."""
    found = text[at : at + 2] if text[at : at + 2] in _STRAY else text[at]
    if found == "$" and text.startswith("{", at + 1):
        hint = "leave out the `${` and its `}`: what stands here is an expression already"
        return JqProblem("other-language", "`${` is no part of jq", at, at + 2, hint)
    if found == "$" and text[at + 1 : at + 2].isdigit():
        return JqProblem("syntax", "`$` needs the name of a variable", at, at + 1, "write the number alone")
    if found in _STRAY:
        message, hint = _STRAY[found]
        return JqProblem("other-language", message, at, at + len(found), hint)
    if not found.isascii():
        return _odd_character(text, at, found)
    return JqProblem("syntax", f"`{found}` means nothing here", at, at + len(found))


def _odd_character(text: str, at: int, found: str) -> JqProblem:
    if not found.isprintable() or found.isspace():
        message = f"an invisible character (U+{ord(found):04X}) stands here"
        return JqProblem("syntax", message, at, at + 1, "write an ordinary space, or leave it out")
    begin = re.search(r"\w*$", text[:at])
    assert begin is not None
    if text[: begin.start()].endswith("."):
        rest = re.match(r"[^\s.|,;:()\[\]{}+*/=<>!?\"'-]*", text[at:])
        name = begin[0] + (found if rest is None else rest[0])
        end = at - len(begin[0]) + len(name)
        hint = f'write `["{name}"]` without the dot'
        return JqProblem("syntax", f"`{found}` cannot be in a name without quotes", begin.start(), end, hint)
    return JqProblem("syntax", f"`{found}` means nothing here", at, at + 1, 'write `"…"` around a text')


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` with the nearest of the known names, or None."""
    names = sorted(set(known))
    lowered = {known_name.lower().replace("_", ""): known_name for known_name in names}
    exact = lowered.get(name.lower().replace("_", "").replace("-", ""))
    if exact is not None and exact != name:
        return f"did you mean `{exact}`?"
    close = get_close_matches(name, names, n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`?" if close else None


FOREIGN_FUNCTIONS: dict[str, str] = {
    "upper": "ascii_upcase",
    "uppercase": "ascii_upcase",
    "toUpperCase": "ascii_upcase",
    "upcase": "ascii_upcase",
    "lower": "ascii_downcase",
    "lowercase": "ascii_downcase",
    "toLowerCase": "ascii_downcase",
    "downcase": "ascii_downcase",
    "len": "length",
    "size": "length",
    "count": "length",
    "str": "tostring",
    "string": "tostring",
    "toString": "tostring",
    "to_string": "tostring",
    "int": "(tonumber | trunc)",
    "number": "tonumber",
    "float": "tonumber",
    "to_number": "tonumber",
    "includes": "contains(…)",
    "filter": "map(select(…))",
    "where": "select(…)",
    "distinct": "unique",
    "uniq": "unique",
    "sum": "add",
    "concat": "add",
    "replace": "sub(…; …), or gsub for all",
    "strip": "trim",
    "substring": ".[from:upto]",
    "substr": ".[from:upto]",
    "slice": ".[from:upto]",
    "indexOf": "index(…)",
    "json": "tojson",
    "stringify": "tojson",
    "parse_json": "fromjson",
    "exists": "(. != null)",
    "defined": "(. != null)",
    "isnull": "(. == null)",
    "is_null": "(. == null)",
    "default": "`// value`",
    "coalesce": "`.a // .b`",
    "typeof": "type",
    "avg": "(add / length)",
    "ceiling": "ceil",
    "date": "todate",
    "toarray": '(if type == "array" then . else [.] end)',
    "ascii": "([.] | implode)",
    "leaf_paths": "paths(scalars)",
    "recurse_down": "recurse",
    "pow10": "exp10",
    "isvalid": "(try (… | true) catch false)",
    "dateadd": "(. + 60)",
    "datesub": "(. - 60)",
    "_nwise": "(. as $all | range(0; length; 2) as $at | $all[$at:$at + 2])",
    "strip_html": 'gsub("<[^>]*>"; "")',
    "title": "((.[:1] | ascii_upcase) + .[1:])",
    "capitalize": "((.[:1] | ascii_upcase) + .[1:])",
    "format_date": 'format_time("%d.%m.%Y"; "Europe/Paris")',
    "formatDate": 'format_time("%d.%m.%Y"; "Europe/Paris")',
    "strptime_tz": "parse_time",
    "parse_date": "parse_time",
    "parseDate": "parse_time",
    "fromtimestamp": "todate",
    "ascii_upper": "ascii_upcase",
    "ascii_lower": "ascii_downcase",
    "group": "group_by(…)",
    "order_by": "sort_by(…)",
    "orderBy": "sort_by(…)",
    "sortBy": "sort_by(…)",
    "mapValues": "map_values(…)",
    "isString": '(type == "string")',
    "isNumber": '(type == "number")',
    "equals": "`.a == .b`",
    "uuid": "`$topic`, `$partition` and `$offset`: they tell records apart, and are the same when one is read again",
    "random": "`$offset`: a record must give the same result when it is read again",
    "None": "null",
    "nil": "null",
    "undefined": "null",
    "always": "true",
    "never": "false",
    "return": "the expression without `return`",
    "value": "`.`: it is the record's value, `.value` a field of it",
    "record": "`.`: it is the record's value, `.record` a field of it",
    "payload": "`.`: it is the record's value, `.payload` a field of it",
    "message": "`.`: it is the record's value, `.message` a field of it",
    "this": "`.`",
    "self": "`.`",
    "root": "`.`",
    "splitlines": 'split("\\n")',
    "lines": 'split("\\n")',
    "forEach": ".[]",
    "find": "first(.[] | select(…))",
    "entries": "to_entries",
    "head": "first",
    "tail": "last",
    "to_fixed": "fixed(2)",
    "toFixed": "fixed(2)",
    "none": "(any(…) | not)",
    "is_empty": "(length == 0)",
    "isEmpty": "(length == 0)",
}
"""Names of other languages (or of other versions of jq), and what to write here."""
