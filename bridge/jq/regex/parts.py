"""The parts of regular expressions that need tables: classes, escapes, what is refused."""

from __future__ import annotations

import re
from functools import cache

SPACE = r"\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"


CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


PROPERTY = re.compile(r"\{(\^?)([A-Za-z]+)\}")


HEX = re.compile(r"\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{2})")


LAST = 0x10FFFF


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


def literal(char: str) -> str:
    return char if char.isalnum() and char.isascii() else f"\\x{{{ord(char):x}}}"


def complement(inside: str) -> str:
    """The inside of a class that is the complement of another one."""
    ranges = [(int(low, 16), int(high or low, 16)) for low, high in _RANGE.findall(_spelt(inside))]
    parts = []
    at = 0
    for low, high in sorted(ranges):
        if at < low:
            parts.append(f"\\x{{{at:x}}}-\\x{{{low - 1:x}}}")
        at = high + 1
    if at <= LAST:
        parts.append(f"\\x{{{at:x}}}-\\x{{{LAST:x}}}")
    return "".join(parts)


_RANGE = re.compile(r"\\x\{([0-9a-f]+)\}(?:-\\x\{([0-9a-f]+)\})?")


def _spelt(inside: str) -> str:
    """The class of spaces with every character as a number."""
    return inside.replace(r"\t-\r ", r"\x{9}-\x{d}\x{20}")
