"""Text to tokens, with their places; and where a `${ … }` ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bridge.jq.problems import JqProblem
from bridge.jq.runtime.values import INT_MAX, whole

KEYWORDS = frozenset(
    [
        "as",
        "def",
        "module",
        "import",
        "include",
        "if",
        "then",
        "else",
        "elif",
        "end",
        "reduce",
        "foreach",
        "and",
        "or",
        "try",
        "catch",
        "label",
        "break",
        "__loc__",
    ]
)


class Token(NamedTuple):
    """One token. `kind` is name, keyword, field, variable, number, format, op, quote, text, open, close, end.

    `text` is what it stands for: a field's name without the dot, a string part with its escapes resolved.
    """

    kind: str
    text: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+ | \#(?:\\(?:\r\n|[\s\S]|\Z)|[^\\\r\n])*)
    | (?P<op>\?// | //= | // | \.\. | [!=<>|+\-*/%]= | [.?=;,:|+\-*/%<>\[\](){}])
    | (?P<format>@[a-zA-Z0-9_]+)
    | (?P<name>(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*)
    | (?P<variable>\$[ \t\r\n]*(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*)
    | (?P<quote>")
    """,
    re.VERBOSE,
)
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FIELD = re.compile(r"\.[a-zA-Z_][a-zA-Z_0-9]*")
_PLAIN = re.compile(r'[^\\"]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_CLOSERS = {"(": ")", "[": "]", "{": "}", "\\(": ")"}
_SURROGATES = range(0xD800, 0xE000)
_LOW = range(0xDC00, 0xE000)


class Lexer:
    """Reads tokens one by one from `start`; `stack` holds what is open: brackets, strings, interpolations."""

    def __init__(self, text: str, start: int = 0) -> None:
        self.text = text
        self.at = start
        self.stack: list[tuple[str, int]] = []

    def next(self) -> Token:
        """The next token; `end` (the kind) at the end of the text. Raises JqProblem."""
        if self.stack and self.stack[-1][0] == '"':
            return self._in_string()
        while True:
            if self.at >= len(self.text):
                return self._finish()
            start = self.at
            number = _NUMBER.match(self.text, start)
            if number:
                return self._token("number", number.group(), number.end())
            field = _FIELD.match(self.text, start)
            if field:
                return self._token("field", field.group()[1:], field.end())
            match = _TOKEN.match(self.text, start)
            if match is None:
                raise self._stray()
            if match.lastgroup != "space":
                return self._classified(str(match.lastgroup), match.group(), match.end())
            self.at = match.end()

    def _classified(self, kind: str, text: str, end: int) -> Token:
        if kind == "name" and text in KEYWORDS:
            kind = "keyword"
        elif kind == "variable":
            text = text[1:].lstrip()
        elif kind == "quote":
            self.stack.append(('"', self.at))
        elif kind == "op" and text in _CLOSERS:
            self.stack.append((text, self.at))
        elif kind == "op" and text in ")]}":
            return self._closing(text, end)
        return self._token(kind, text, end)

    def _closing(self, text: str, end: int) -> Token:
        if not self.stack:
            raise JqProblem("syntax", f"`{text}` closes nothing", self.at, end, f"remove the `{text}`")
        opener, _ = self.stack[-1]
        if _CLOSERS[opener] != text:
            shown = "\\(" if opener == "\\(" else opener
            message = f"`{text}` does not close the `{shown}` that is open"
            raise JqProblem("syntax", message, self.at, end, f"close it with `{_CLOSERS[opener]}`")
        self.stack.pop()
        return self._token("close" if opener == "\\(" else "op", text, end)

    def _token(self, kind: str, text: str, end: int) -> Token:
        start, self.at = self.at, end
        return Token(kind, text, start, end)

    def _finish(self) -> Token:
        if self.stack:
            opener, where = self.stack[-1]
            closer = _CLOSERS[opener]
            raise JqProblem("syntax", f"this `{opener}` is never closed", where, where + len(opener), f"add `{closer}`")
        return Token("end", "", len(self.text), len(self.text))

    def _stray(self) -> JqProblem:
        from bridge.jq.syntax.mistakes import stray_character

        return stray_character(self.text, self.at)

    def _in_string(self) -> Token:
        start = self.at
        text = self.text
        if start >= len(text):
            where = self.stack[-1][1]
            raise JqProblem("syntax", "this string is never closed", where, where + 1, 'add `"`')
        if text[start] == '"':
            self.stack.pop()
            return self._token("quote", '"', start + 1)
        if text.startswith("\\(", start):
            self.stack.append(("\\(", start))
            return self._token("open", "\\(", start + 2)
        plain = _PLAIN.match(text, start)
        if plain:
            return self._token("text", plain.group(), plain.end())
        value, end = self._escape(start)
        return self._token("text", value, end)

    def _escape(self, start: int) -> tuple[str, int]:
        letter = self.text[start + 1 : start + 2]
        if letter in _ESCAPES and letter:
            return _ESCAPES[letter], start + 2
        if letter == "u":
            return self._unicode(start)
        hint = 'write `\\\\` for a backslash; the escapes are \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX and \\( )'
        raise JqProblem("syntax", f"`\\{letter}` is not an escape", start, start + 2, hint)

    def _unicode(self, start: int) -> tuple[str, int]:
        digits = _HEX.match(self.text, start + 2)
        if digits is None:
            raise JqProblem("syntax", "`\\u` needs four hexadecimal digits", start, start + 2)
        code = int(digits.group(), 16)
        end = start + 6
        if code in _SURROGATES:
            low = _HEX.match(self.text, end + 2) if self.text.startswith("\\u", end) else None
            if code in _LOW or low is None or int(low.group(), 16) not in _LOW:
                message = "half of a surrogate pair is not a character"
                raise JqProblem("syntax", message, start, end, "write both halves, or the character itself")
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low.group(), 16) - 0xDC00)
            end += 6
        return chr(code), end


def closing_brace(text: str, start: int) -> int | None:
    """The place of the first `}` from `start` that is outside strings, comments and inner braces; None without one.

    `start` is the first character behind `${`. What the lexer refuses is passed over: the parser reports it.
    """
    lexer = Lexer(text, start)
    while lexer.at < len(text):
        try:
            if lexer.next().kind == "end":
                return None
        except JqProblem:
            in_string = bool(lexer.stack) and lexer.stack[-1][0] == '"'
            if text[lexer.at : lexer.at + 1] == "}" and not in_string:
                if all(opener != "{" for opener, _ in lexer.stack):
                    return lexer.at
                while lexer.stack.pop()[0] != "{":
                    pass
            lexer.at += 1
    return None


MAX_TEXT = 100_000
MAX_DEPTH = 90
_EXACT_DIGITS = 20
"""No integer of 64 bits has more digits."""
_ELSE_IF = ("elseif", "elsif", "elsif", "ElseIf")


def number_value(text: str) -> int | float:
    """A number as the program writes it: an integer where it is whole and fits into 64 bits."""
    if text.isdigit() and len(text) <= _EXACT_DIGITS:
        number = int(text)
        return number if number <= INT_MAX else float(text)
    return whole(float(text))


def words(token: Token) -> str:
    """A token for a message."""
    if token.kind == "end":
        return "the end"
    if token.kind == "field":
        return f"`.{token.text}`"
    if token.kind == "variable":
        return f"`${token.text}`"
    if token.kind in ("quote", "text"):
        return "a text"
    return f"`{token.text}`"


class Tokens:
    """All tokens of a text, one looked at ahead. Raises JqProblem where the text has none or another was expected."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise JqProblem("too-large", f"an expression has at most {MAX_TEXT} characters", 0, 1)
        self.text = text
        self._lexer = Lexer(text)
        self._depth = 0
        self.last_end = 0
        self.last = Token("start", "", 0, 0)
        self.peek = self._lexer.next()

    def take(self) -> Token:
        """The next token, taken."""
        token = self.peek
        if token.kind != "end":
            self.peek = self._lexer.next()
        self.last_end = token.end
        self.last = token
        return token

    def is_op(self, text: str) -> bool:
        """Whether the next token is this operator."""
        return self.peek.kind == "op" and self.peek.text == text

    def is_keyword(self, text: str) -> bool:
        """Whether the next token is this keyword."""
        return self.peek.kind == "keyword" and self.peek.text == text

    def skip(self, text: str) -> bool:
        """Take the next token if it is this operator."""
        if self.is_op(text):
            self.take()
            return True
        return False

    def expect(self, text: str, why: str) -> int:
        """Take this operator, or say why it is needed; the place behind it."""
        if not self.is_op(text):
            token = self.peek
            message = f"expected `{text}`, found {words(token)}: {why}"
            raise JqProblem("syntax", message, token.start, token.end)
        return self.take().end

    def keyword(self, text: str) -> None:
        """Take this keyword."""
        if not self.is_keyword(text):
            token = self.peek
            hint = "write `if … then … else … end`"
            if token.text in _ELSE_IF or "else if " in self.text:
                hint = "write `elif`: `if … then … elif … then … else … end`"
            raise JqProblem("syntax", f"expected `{text}`, found {words(token)}", token.start, token.end, hint)
        self.take()

    def close(self) -> None:
        r"""Take the `)` that ends `\( `."""
        if self.peek.kind != "close":
            token = self.peek
            raise JqProblem("syntax", f"expected `)` to end `\\(`, found {words(token)}", token.start, token.end)
        self.take()

    def variable(self, why: str, hint: str) -> str:
        """Take a variable; its name without the `$`."""
        token = self.take()
        if token.kind != "variable":
            raise JqProblem("syntax", f"{why}, not {words(token)}", token.start, token.end, hint)
        return token.text

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level down; raises where an expression is nested deeper than anybody writes."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"expressions are nested at most {MAX_DEPTH} deep"
            raise JqProblem("too-large", message, self.peek.start, self.peek.end, "give parts of it names with `def`")
        yield
        self._depth -= 1
