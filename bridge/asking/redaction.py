"""An answer as it may be shown to others: shapes, numbers and SuprSend's words, without ids, keys or secrets. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

from bridge.asking.questions import MADE_UP
from bridge.jsontext import JSONDecodeError, dumps, loads
from bridge.suprsend.causes import BOM

_WORDS: Final = frozenset(
    {"status", "type", "message", "error", "detail", "code", "error_code", "status_code", "title"}
)
"""Fields whose text is SuprSend's own."""
_NAME: Final = re.compile(r"\$?[a-z][a-z_]{0,39}")
_OURS: Final = re.compile(rf"{MADE_UP}[a-z0-9.-]+", re.IGNORECASE)
_PRIVATE: Final = re.compile(r"[\w.+-]+@[\w.-]+|\b\d{1,3}(?:\.\d{1,3}){3}\b|(?=[\w+/=-]*\d)[\w+/=-]{20,}|https?://\S+")
_MOST_TEXT: Final = 300
_MOST_ITEMS: Final = 20
_MOST_DEPTH: Final = 6
_SHORT: Final = 6
"""A private text below this is looked for as a word of its own: `1` stands in many numbers."""


class Redaction:
    """What is known to be private, and what stands in its place. `salt` makes the hashes of a run its own."""

    def __init__(self, private: Mapping[str, str], salt: str) -> None:
        self._private = {text: shown for text, shown in private.items() if text}
        self._short = [(_alone(text), shown) for text, shown in self._private.items() if len(text) < _SHORT]
        self._salt = salt

    def hashed(self, text: str) -> str:
        """The same text gives the same eight characters, within a run."""
        return blake2b(text.encode("utf-8", "replace"), digest_size=4, key=self._salt.encode()[:64]).hexdigest()

    def body(self, body: bytes) -> object:
        """A body: its JSON with private texts replaced, or how long it is."""
        try:
            return self._value("", loads(body.removeprefix(BOM)), 0)
        except JSONDecodeError:
            return "OK" if body.strip() == b"OK" else f"<{len(body)} bytes that are no JSON>"

    def text(self, text: str) -> str:
        """A text of SuprSend's, bounded."""
        for private, shown in self._private.items():
            text = text.replace(private, shown) if len(private) >= _SHORT else text
        text = _PRIVATE.sub("<…>", _OURS.sub("<made up>", text))
        for pattern, shown in self._short:
            text = pattern.sub(shown.replace("\\", ""), text)
        return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"

    def line(self, value: object) -> str:
        """A value as one line of JSON; what is private is looked for once more, as JSON writes it."""
        text = dumps(value).decode()
        for private, shown in self._private.items():
            if len(private) >= _SHORT:
                text = text.replace(dumps(private).decode()[1:-1], shown)
        return text

    def _value(self, name: str, value: object, depth: int) -> object:
        if isinstance(value, str):
            if name in _WORDS:
                return self.text(value)
            return f"<id {self.hashed(value)}>" if name.endswith("id") else f"<{len(value)} characters>"
        if isinstance(value, dict | list) and depth >= _MOST_DEPTH:
            return "<deeper>"
        if isinstance(value, list):
            shown = [self._value(name, item, depth + 1) for item in value[:_MOST_ITEMS]]
            return [*shown, f"<{len(value) - _MOST_ITEMS} more>"] if len(value) > _MOST_ITEMS else shown
        if isinstance(value, dict):
            pairs = list(value.items())[:_MOST_ITEMS]
            return {self._name(key, at): self._value(key, item, depth + 1) for at, (key, item) in enumerate(pairs)}
        return value

    def _name(self, key: str, at: int) -> str:
        return key if _NAME.fullmatch(key) and key not in self._private else f"<field {at}>"


def _alone(private: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(private)}(?!\w)")
