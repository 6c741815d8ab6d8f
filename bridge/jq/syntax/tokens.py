"""The stream of tokens that the parser reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bridge.jq.problems import JqProblem
from bridge.jq.runtime.values import INT_MAX, whole
from bridge.jq.syntax.lexer import Lexer, Token

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
