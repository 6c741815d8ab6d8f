"""Patterns of names: topics as `name` or `/regex/`, recipients also with `*`; always matched whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["NamePatternError", "recipient_filter", "topic_matcher"]

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


class NamePatternError(ValueError):
    """Text that is no pattern; the message says what is wrong, `hint` what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def topic_matcher(text: str) -> tuple[Callable[[str], bool], bool]:
    """Return what says whether a topic's name matches, and whether the text is a plain name. Raises NamePatternError."""
    if text.startswith("/"):
        return _regex(text), False
    if not _TOPIC.fullmatch(text) or text in {".", ".."}:
        message = f"`{text[:60]}` is no name of a topic"
        raise NamePatternError(message, _topic_hint(text.strip()))
    return text.__eq__, True


def _topic_hint(text: str) -> str:
    """What was probably meant: several names, a wildcard, a pattern without slashes."""
    names = text.replace(",", " ").split()
    if len(names) > 1 and all(map(_TOPIC.fullmatch, names)):
        return f"write each name by itself: [{', '.join(names)}]"
    if re.fullmatch(r"[\w.*-]+", text) and len(text) <= 100:
        pattern = re.escape(text).replace("\\*", ".*").replace("\\-", "-")
        return f"a pattern is written /{pattern}/"
    if re.match(r"[\w.^(\[\\]", text) and len(text) <= 100:
        return f"a pattern is written /{text.removeprefix('^').removesuffix('$')}/: it matches whole names"
    return r"topics have letters, digits, . _ - only; a pattern is written /orders\..*/"


def _regex(text: str) -> Callable[[str], bool]:
    import re2

    if len(text) < 3 or not text.endswith("/"):
        meant = text[1:60] or "orders\\..*"
        raise NamePatternError(f"`{text[:60]}` is no pattern", f"a pattern stands between slashes: /{meant}/")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(text[1:-1], options)
    except re2.error as error:
        raise NamePatternError(
            f"this pattern cannot be read: {_reason(error)}", "it is RE2 syntax: no look-around"
        ) from None
    return _Matches(compiled)


class _Matches:
    """Says whether a pattern matches the whole of a text; text without a UTF-8 form matches none."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __call__(self, text: str) -> bool:
        try:
            return self._compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return (reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason))[:120]


def recipient_filter(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a recipient may get events: any may where there are no patterns.

    A pattern is a distinct_id, one with `*` for any text (`*@example.com`), or `/regex/`. Raises NamePatternError.
    """
    if not patterns:
        return lambda _recipient: True
    names = frozenset(pattern for pattern in patterns if not _is_pattern(pattern))
    matchers = [_recipient_matcher(pattern) for pattern in patterns if _is_pattern(pattern)]
    return lambda recipient: recipient in names or any(matches(recipient) for matches in matchers)


def _is_pattern(text: str) -> bool:
    return text.startswith("/") or "*" in text


def _recipient_matcher(pattern: str) -> Callable[[str], bool]:
    if pattern.startswith("/"):
        return _regex(pattern)
    return _regex("/(?s:" + ".*".join(re.escape(part) for part in pattern.split("*")) + ")/")
