"""What of an error's text is SuprSend's own: what a record can put there is blanked. Pure.

Ids, property names and values stand in the texts of errors (contract §5b). A pattern that found its words there would
let one record hold everything, or be sent for ever.
"""

from __future__ import annotations

import re
from typing import Final

QUOTES: Final = "'\"`"

_OPENS: Final = re.compile(r"(?<![^\W_])['\"`]")
_CLOSES: Final = re.compile(r"['\"`](?![^\W_])")
"""A quote inside a word (`doesn't`) is none."""
_ABOUT_A_USER: Final = ("[distinct_id:", "[__object:")
"""Texts that begin so give the id without quotes."""
_TRAILING_ID: Final = re.compile(r"\bid: .*")
_SENTENCE: Final = re.compile(r": (?=[A-Z])")
"""`some/path: String is too short (0 < 4).`: what is before the sentence is a property's name."""


def own_words(message: str) -> str:
    """The message with everything blanked that may come from a record.

    From the first quote to the last (to the end where none closes), what follows `id:`, the id in `[distinct_id: …]`
    and the place in front of a schema's sentence, which then begins with `: `.
    """
    sentences = [found.start() for found in _SENTENCE.finditer(message)] if message.endswith(".") else []
    if sentences:
        return message[sentences[-1] :]
    text = message
    if text.startswith(_ABOUT_A_USER):
        text = f"[{text[max(text.rfind(']'), 0) :]}"
    opens = _OPENS.search(text)
    if opens is not None:
        closes = [found.end() for found in _CLOSES.finditer(text, opens.end())]
        text = f"{text[: opens.start()]}''{text[closes[-1] :] if closes else ''}"
    return _TRAILING_ID.sub("id:", text)
