"""Regular expressions: libjq's patterns (Oniguruma, Perl syntax) to RE2, or a refusal by name.

RE2 reads a pattern in linear time whatever the text, which Oniguruma does not. What both have is translated to what
libjq means by it; what RE2 lacks or reads differently is refused when the rules load.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

from bridge.jq.problems import JqProblem
from bridge.jq.regex.shape import LAST, Anchor, Chars, Either, Group, Row, Shape, Times, complement, ranges

_FLAGS = frozenset("gixsnpl")
_INTERVAL = re.compile(r"\{(\d+)(,?)(\d*)\}")
_LEADING = re.compile(r"\(\?([is]+)\)")
MOST = 1_000


@dataclass(frozen=True, slots=True)
class TranslatedRegex:
    """A translated pattern; `$` is the very end only in it, so that a text's final newline needs two attempts.

    `names` holds the name (or None) of each group. `everywhere`: find all matches, not only the first.
    """

    source: str
    translated: str
    shape: Shape
    names: tuple[str | None, ...]
    anchored_end: bool
    lazy: bool
    everywhere: bool


@dataclass(slots=True)
class _Piece:
    """A part of a translated pattern and what is known of it."""

    text: str
    shape: Shape
    nullable: bool = False
    ends: bool = False
    r"""Whether it holds `$` or `\Z`."""


@dataclass(slots=True)
class Translator:
    """Reads one pattern; one use only."""

    source: str
    flags: frozenset[str]
    at: int = 0
    names: list[str | None] = field(default_factory=list)
    lazy: bool = False
    depth: int = 0
    dotall: bool = False
    any_case: bool = False

    def whole(self) -> _Piece:
        """The whole pattern. Raises PatternError."""
        piece = self._alternatives(dotall=self.dotall)
        if "n" in self.flags and piece.nullable:
            raise PatternError("the flag `n` with a pattern that can match nothing", 0)
        if self.at < len(self.source):
            raise PatternError("`)` closes nothing", self.at)
        return piece

    def _alternatives(self, *, dotall: bool) -> _Piece:
        self.depth += 1
        if self.depth > 50:
            raise PatternError("groups are nested too deep", self.at)
        pieces = [self._sequence(dotall=dotall)]
        while self._peek() == "|":
            self.at += 1
            pieces.append(self._sequence(dotall=dotall))
        self.depth -= 1
        text = "|".join(piece.text for piece in pieces)
        shape = Either(tuple(piece.shape for piece in pieces)) if len(pieces) > 1 else pieces[0].shape
        return _Piece(text, shape, any(piece.nullable for piece in pieces), any(piece.ends for piece in pieces))

    def _sequence(self, *, dotall: bool) -> _Piece:
        whole = _Piece("", Row(()), nullable=True)
        shapes: list[Shape] = []
        while self.at < len(self.source) and self._peek() not in "|)":
            start = self.at
            piece = self._atom(dotall=dotall)
            if piece is None:
                continue
            piece = self._repeated(piece, start)
            if whole.ends and not piece.nullable:
                raise PatternError("`$` with more behind it", start)
            whole.text += piece.text
            shapes.append(piece.shape)
            whole.nullable = whole.nullable and piece.nullable
            whole.ends = whole.ends or piece.ends
        whole.shape = Row(tuple(shapes))
        return whole

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _atom(self, *, dotall: bool) -> _Piece | None:
        char = self._peek()
        if "x" in self.flags and char in " \t\n\v\f\r":
            self.at += 1
            return None
        if "x" in self.flags and char == "#":
            end = self.source.find("\n", self.at)
            self.at = len(self.source) if end < 0 else end + 1
            return None
        if char == "(":
            return self._group(dotall=dotall)
        self.at += 1
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        if char == ".":
            return _Piece(r"(?s:.)", Chars("", negated=True)) if dotall else self._chars(r"\x{a}", negated=True)
        if char == "^":
            return self._anchor(r"\A", ends=False)
        if char == "$":
            return self._anchor(r"\z", ends=True)
        if char in "*+?":
            raise PatternError(f"`{char}` repeats nothing", self.at - 1)
        if char == "{":
            raise PatternError("`{` that begins no repeat: write `\\\\{`", self.at - 1)
        return self._one(char)

    def _one(self, char: str) -> _Piece:
        text = char if char.isalnum() and char.isascii() else f"\\x{{{ord(char):x}}}"
        return _Piece(text, Chars(f"\\x{{{ord(char):x}}}", any_case=self.any_case))

    def _chars(self, inside: str, *, negated: bool) -> _Piece:
        return _Piece(f"[{'^' if negated else ''}{inside}]", Chars(inside, negated, self.any_case))

    def _anchor(self, text: str, *, ends: bool) -> _Piece:
        if self._peek() in ("*", "+", "?") or _INTERVAL.match(self.source, self.at):
            raise PatternError("a repeated anchor", self.at)
        return _Piece(text, Anchor(end=text == r"\z"), nullable=True, ends=ends)

    def _repeated(self, piece: _Piece, start: int) -> _Piece:
        char = self._peek()
        interval = _INTERVAL.match(self.source, self.at) if char == "{" else None
        if char not in ("*", "+", "?") and interval is None:
            return piece
        if piece.ends:
            raise PatternError("`$` inside something repeated", start)
        if piece.nullable:
            raise PatternError("a repeat of something that can match nothing", start)
        least, most, text = self._times(interval)
        self.at += len(text) if interval is None else len(interval.group())
        follower = self._peek()
        if follower == "+" or (follower == "?" and interval is not None and not interval.group(2)):
            raise PatternError("a possessive or doubled repeat", self.at)
        lazy = follower == "?"
        if lazy:
            self.at += 1
            self.lazy = True
            text += "?"
        if self._peek() in ("*", "+", "?") or _INTERVAL.match(self.source, self.at):
            raise PatternError("a repeat of a repeat: put the inner one in `(?: )`", self.at)
        return _Piece(piece.text + text, Times(piece.shape, least, most, lazy), nullable=least == 0)

    def _times(self, interval: re.Match[str] | None) -> tuple[int, int | None, str]:
        if interval is None:
            char = self._peek()
            return int(char == "+"), 1 if char == "?" else None, char
        least = int(interval.group(1))
        most = int(interval.group(3) or least)
        if max(least, most) > MOST:
            raise PatternError(f"a repeat of more than {MOST}", self.at)
        if most < least:
            raise PatternError("a repeat whose upper bound is below the lower one", self.at)
        return least, None if interval.group(2) and not interval.group(3) else most, interval.group()

    def _group(self, *, dotall: bool) -> _Piece:
        start = self.at
        rest = self.source[start + 1 : start + 4]
        if rest.startswith("?#"):
            end = self.source.find(")", start)
            if end < 0:
                raise PatternError("a comment that never ends", start)
            self.at = end + 1
            return _Piece("", Row(()), nullable=True)
        for opener, what in GROUPS_REFUSED.items():
            if rest.startswith(opener):
                raise PatternError(what, start)
        prefix, any_case = "(", self.any_case
        if rest.startswith("?<"):
            self.names.append(self._name(start + 3))
        elif rest.startswith("?"):
            prefix, dotall = self._options(start + 2, dotall=dotall)
        else:
            self.names.append(None)
            self.at = start + 1
        inner = self._alternatives(dotall=dotall)
        if self._peek() != ")":
            raise PatternError("a group that never ends", start)
        self.at += 1
        self.any_case = any_case
        shape = Group(inner.shape, captures=prefix == "(")
        return _Piece(f"{prefix}{inner.text})", shape, inner.nullable, inner.ends)

    def _name(self, at: int) -> str:
        match = NAME.match(self.source, at)
        if match is None or self.source[match.end() : match.end() + 1] != ">":
            raise PatternError("a group needs a name of letters, digits and `_`", at)
        if match.group() in self.names:
            raise PatternError(f"two groups with the name `{match.group()}`", at)
        self.at = match.end() + 1
        return match.group()

    def _options(self, at: int, *, dotall: bool) -> tuple[str, bool]:
        """`(?i:`, `(?s:`, `(?:` and `(?i)` at the very beginning."""
        end = at
        while self.source[end : end + 1].isalpha():
            end += 1
        letters = self.source[at:end]
        closer = self.source[end : end + 1]
        if set(letters) - {"i", "s"} or closer not in (":", ")"):
            raise PatternError("an option group other than `(?i:…)` and `(?s:…)`", at - 2)
        if closer == ")":
            raise PatternError('options in the middle: write `(?i:…)`, or give the flags as `"i"`', at - 2)
        self.at = end + 1
        self.any_case = self.any_case or "i" in letters
        return ("(?i:" if "i" in letters else "(?:"), dotall or "s" in letters

    def _escape(self) -> _Piece:
        at = self.at - 1
        char = self._peek()
        if not char:
            raise PatternError("a backslash at the end", at)
        self.at += 1
        inside = self._set(char, at)
        if inside is not None:
            return self._chars(inside[0], negated=inside[1])
        if char in ("A", "z", "Z"):
            return self._anchor(r"\A" if char == "A" else r"\z", ends=char == "Z")
        return self._one(self._character(char, at))

    def _set(self, char: str, at: int) -> tuple[str, bool] | None:
        r"""The inside of a class for `\d` and the like, and whether it is negated."""
        if char in ("s", "S"):
            return SPACE, char == "S"
        if char[0] in "dDwW":
            return character_class(char.lower()), char[0].isupper()
        if char not in ("p", "P"):
            return None
        match = PROPERTY.match(self.source, self.at)
        if match is None or match.group(2) not in ("L", "Lu", "Ll", "N", "Nd", "P", "S"):
            raise PatternError("a property other than L, Lu, Ll, N, Nd, P and S", at)
        if "i" in self.flags and match.group(2) in ("Lu", "Ll"):
            raise PatternError("a property of case without regard to case", at)
        self.at = match.end()
        name = "d" if match.group(2) == "Nd" else match.group(2)
        return character_class(name), (match.group(1) == "^") != (char == "P")

    def _character(self, char: str, at: int) -> str:
        """What an escape stands for, where it stands for one character."""
        if char in CONTROLS:
            return CONTROLS[char]
        if char == "x":
            match = HEX.match(self.source, self.at)
            code = int(match.group(1) or match.group(2), 16) if match else -1
            if match is None or code > LAST or (match.group(2) and code > 0x7F):
                raise PatternError("`\\x` needs `{…}` with a code point, or two digits up to 7F", at)
            self.at = match.end()
            return chr(code)
        if char.isdigit():
            raise PatternError("a back-reference or an octal number", at)
        if char in ESCAPES_REFUSED:
            raise PatternError(ESCAPES_REFUSED[char], at)
        if char.isalpha():
            raise PatternError(f"the escape `\\{char}`", at)
        return char

    def _class(self) -> _Piece:
        start = self.at - 1
        negated = self._peek() == "^"
        self.at += negated
        if self._peek() == "]":
            raise PatternError("a class that begins with `]`: write `\\\\]`", self.at)
        parts: list[str] = []
        while self._peek() != "]":
            parts.append(self._class_item(start))
        self.at += 1
        return self._chars("".join(parts), negated=negated)

    def _class_item(self, start: int) -> str:
        at = self.at
        if self.source.startswith("&&", at):
            raise PatternError("`&&` in a class", at)
        low = self._class_character(start)
        if isinstance(low, tuple):
            inside, negated = low
            return _others(inside) if negated else inside
        if self._peek() != "-" or self.source[self.at + 1 : self.at + 2] in ("]", ""):
            return f"\\x{{{ord(low):x}}}"
        self.at += 1
        high = self._class_character(start)
        if isinstance(high, tuple):
            raise PatternError("a range that ends in a class: put the `-` first or last", at)
        if high < low:
            raise PatternError("a range whose end is before its beginning", at)
        return f"\\x{{{ord(low):x}}}-\\x{{{ord(high):x}}}"

    def _class_character(self, start: int) -> str | tuple[str, bool]:
        char = self._peek()
        at = self.at
        if not char:
            raise PatternError("a class that never ends", start)
        self.at += 1
        if char == "[":
            raise PatternError("`[` in a class: write `\\\\[` (and no `[:name:]`)", at)
        if char != "\\":
            return char
        char = self._peek()
        if not char:
            raise PatternError("a class that never ends", start)
        self.at += 1
        inside = self._set(f"{char}]" if char in "wW" else char, at)
        return self._character(char, at) if inside is None else inside


def translate(source: str, flags: str, *, everywhere: bool, start: int, end: int) -> TranslatedRegex:
    """A pattern and its flags for RE2. Raises JqProblem at `start` to `end`, where the pattern stands."""
    unknown = sorted(set(flags) - _FLAGS)
    if unknown:
        raise JqProblem("regex", f"`{unknown[0]}` is not a flag", start, end, "the flags are g, i, x, s, n and p")
    if "l" in flags:
        raise JqProblem("regex", "the flag `l` (longest) is refused: RE2 reads it differently", start, end)
    if len(source) > 10 * MOST:
        raise JqProblem("regex", f"a pattern has at most {10 * MOST} characters", start, end)
    leading = _LEADING.match(source)
    options = leading.group(1) if leading else ""
    translator = Translator(source, frozenset(flags + options), at=leading.end() if leading else 0)
    translator.dotall = "p" in flags or "s" in options
    translator.any_case = "i" in flags + options
    try:
        piece = translator.whole()
    except PatternError as problem:
        message = f"the pattern `{_clip(source)}` is refused at character {problem.at + 1}: {problem}"
        raise JqProblem("regex", message, start, end, "see the list of what patterns may hold") from problem
    return TranslatedRegex(
        source,
        ("(?i)" if translator.any_case else "") + piece.text,
        piece.shape,
        tuple(translator.names),
        piece.ends,
        translator.lazy,
        everywhere or "g" in flags,
    )


def _clip(source: str) -> str:
    return source if len(source) <= 60 else source[:57] + "…"


SPACE = r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"


CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


PROPERTY = re.compile(r"\{(\^?)([A-Za-z]+)\}")


HEX = re.compile(r"\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2})")


ESCAPES_REFUSED = {
    "b": "`\\b`: write `(^|\\W)` or `(\\W|$)` around the word",
    "B": "`\\B`",
    "h": "`\\h`: write `[0-9a-fA-F]`",
    "H": "`\\H`: write `[^0-9a-fA-F]`",
    "R": "`\\R`: write `\\r?\\n`",
    "X": "`\\X`",
    "K": "`\\K`: use a capture",
    "G": "`\\G`",
    "C": "`\\C`",
    "Q": "`\\Q`: put `\\\\` before each special character",
    "E": "`\\E`",
    "k": "`\\k` (back-reference)",
    "g": "`\\g` (subexpression call)",
    "N": "`\\N`: write `[^\\n]`",
    "O": "`\\O`: write `[\\s\\S]`",
    "u": "`\\u`: write the character itself, or `\\x{…}`",
    "c": "`\\c`: write `\\x{…}`",
    "y": "`\\y`",
    "Y": "`\\Y`",
}


GROUPS_REFUSED = {
    "?=": "lookahead",
    "?!": "lookahead",
    "?<=": "lookbehind",
    "?<!": "lookbehind",
    "?>": "an atomic group",
    "?~": "an absence group",
    "?(": "a condition",
    "?P": "`(?P<name>…)`: write `(?<name>…)`",
    "?'": "`(?'name'…)`: write `(?<name>…)`",
    "?&": "a subexpression call",
    "?R": "recursion",
}


class PatternError(Exception):
    """A pattern that is wrong or refused; `at` is the place in the pattern."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


_LATIN_1_NUMBERS = frozenset((0xB2, 0xB9, 0xBC))
"""Where ², ³, ¹, ¼, ½ and ¾ begin: to Oniguruma they are part of `\\w`, but not of `[\\w]`."""


@cache
def character_class(name: str) -> str:
    r"""The inside of an RE2 class for `d`, `w`, `w]` (a `\w` inside a class) or a general category."""
    from bridge.jq.regex.unicode_classes import CLASSES

    inside_class = name.endswith("]")
    numbers = [int(number, 16) for number in CLASSES[name.removesuffix("]")].split()]
    at = 0
    parts: list[str] = []
    for gap, count in zip(numbers[::2], numbers[1::2], strict=True):
        first = at + gap
        at = first + count
        if inside_class and first in _LATIN_1_NUMBERS:
            parts += [f"\\x{{{code:x}}}" for code in range(first, at) if chr(code).isalpha()]
        else:
            parts.append(f"\\x{{{first:x}}}" + (f"-\\x{{{at - 1:x}}}" if count > 1 else ""))
    return "".join(parts)


def _others(inside: str) -> str:
    """The inside of a class that is the complement of another one."""
    return "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in complement(ranges(inside)))
