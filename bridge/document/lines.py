"""Lines of a file, expressions in them, and how to write such a line so that YAML reads it."""

from __future__ import annotations

import re

__all__ = ["COMMENT", "as_quoted", "is_open", "line_at", "line_before"]

COMMENT = re.compile(r"[ \t]+#([^\r\n]*)")
_VALUE_LINE = re.compile(r"""(\s*(?:-\ +)*(?:[^\s'"#:{}\[\],]+:\ +)?)(\S.*?)\s*""", re.DOTALL)
_IN_FLOW = re.compile(r"\$\{[^{}'\"]*\}")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def line_at(text: str, index: int) -> tuple[int, str]:
    start = max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1
    end = min((found for found in (text.find("\n", index), text.find("\r", index)) if found >= 0), default=len(text))
    return start, text[start : max(start, end)]


def line_before(text: str, start: int) -> tuple[int, str]:
    end = len(text[max(0, start - 2) : start].rstrip("\r\n"))
    return line_at(text, max(0, start - 2) + end) if start else (0, "")


def as_quoted(line: str) -> str:
    """Show a line of YAML with its value in single quotes, or in a block where it holds some itself."""
    match = _VALUE_LINE.fullmatch(line)
    if match is None or len(line) > 400:
        return "key: '${ … }'"
    before, value = match.groups()
    if value[0] in "'\"" and len(value) > 1 and value[0] == value[-1]:
        value = value[1:-1]
    elif value[0] in "'\"" and value.count(value[0]) == 1:
        value = value[1:]
    elif value.startswith(("| ", "> ")):
        value = value[2:].lstrip()
    if value[0] in "{[":
        quoted = _IN_FLOW.sub(_quoted, value)
        return f"{before.strip()} {quoted}" if quoted != value else "key: '${ … }'"
    if "'" not in value:
        return f"{before.strip()} '{value}'"
    head = before.strip()
    indent = len(head) - len(head.lstrip("- ")) + 2
    return f"{head} |\n{' ' * indent}{value}"


def _quoted(match: re.Match[str]) -> str:
    return f"'{match.group()}'"


def is_open(text: str) -> bool:
    """Say whether a quote or bracket is still open at the end of the text behind its first `${`."""
    text = text[text.find("${") + 1 :] if "${" in text else text
    stack: list[str] = []
    quoted = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "([{":
            stack.append(char)
        elif char in _PAIRS and stack and stack[-1] == _PAIRS[char]:
            stack.pop()
    return quoted or bool(stack)
