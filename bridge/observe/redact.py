"""Keeps secrets and payloads out of the log. Pure.

Three nets, each enough for what it is for: facts whose *name* looks like a secret are masked; what looks like an
`Authorization` value is masked wherever it stands in a text; known secrets are masked wherever they stand. A payload is
shown only where that was asked for, and then without the listed paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bridge import jsontext

MASK = "***"
DEPTH = 8
ITEMS = 100
TEXT_CHARACTERS = 65_536
SHORTEST_SECRET = 6

_SECRET_NAME = re.compile(
    r"authori[sz]ation|passw(or)?d|passphrase|secret|token|api_?key|private_?key|workspace_key|credential|cookie"
    r"|signature|sasl",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=:-]{6,}|(authorization['\"]?\s*[:=]\s*['\"]?(?!bearer|basic))[^\s'\",}]+"
    r"|(://[^/\s:@]*:)[^/\s@]+(?=@)"
)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without known secrets, `Authorization` values and passwords in URLs; cut where it is very long."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    if len(text) > TEXT_CHARACTERS:
        text = f"{text[:TEXT_CHARACTERS]}… ({len(text)} characters)"
    return _SECRET_TEXT.sub(lambda found: (found[1] or found[2] or found[3] or "") + MASK, text)


def mask(value: Any, secrets: Sequence[str] = (), depth: int = 0) -> Any:
    """The value with everything masked that is, or is named like, a secret. Bounded in depth and in items."""
    if isinstance(value, str):
        return mask_text(value, secrets)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            mask_text(str(key), secrets): MASK if _SECRET_NAME.search(str(key)) else mask(item, secrets, depth + 1)
            for key, item in list(value.items())[:ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(item, secrets, depth + 1) for item in list(value)[:ITEMS]]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value), secrets)


class Redactor:
    """Masks the facts of a log line. `secrets` gives the secrets known at present; any thread may call it."""

    def __init__(
        self,
        *,
        secrets: Callable[[], Sequence[str]] = tuple,
        log_payloads: bool = False,
        redact: Iterable[str] = (),
    ) -> None:
        self._secrets = secrets
        self._log_payloads = log_payloads
        self._paths = [parse_path(path) for path in redact]

    def facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts as they may be written."""
        secrets = self._secrets()
        shown = {key: value for key, value in facts.items() if key != "payload"}
        masked: dict[str, Any] = mask(shown, secrets)
        if "payload" in facts and self._log_payloads:
            masked["payload"] = mask(self._payload(facts["payload"]), secrets)
        return masked

    def _payload(self, payload: Any) -> Any:
        if isinstance(payload, bytes | bytearray | memoryview | str):
            try:
                payload = jsontext.loads(payload)
            except jsontext.JSONDecodeError:
                return f"<{len(payload)} bytes, not JSON>"
            payload = _bounded(payload)
        for path in self._paths:
            payload = without(payload, path)
        return payload


def _bounded(value: Any, depth: int = 0) -> Any:
    """The value down to the depth that is shown; what is below is dropped first, so that no path leads there."""
    if isinstance(value, dict):
        return {key: _bounded(item, depth + 1) for key, item in value.items()} if depth < DEPTH else "…"
    if isinstance(value, list):
        return [_bounded(item, depth + 1) for item in value[:ITEMS]] if depth < DEPTH else "…"
    return value


def parse_path(text: str) -> tuple[str, ...]:
    """Read `customer.email`, `.items[].name`, `headers.*` or `**.email`.

    Keys with dots between, `*` for any one of them, `**` for any number of them, none included.
    """
    return tuple(part for part in text.replace("[]", "").split(".") if part)


def without(value: Any, path: Sequence[str]) -> Any:
    """The value with what stands at the path masked. Lists are gone through, each element alike."""
    if not path:
        return MASK
    if isinstance(value, list):
        return [without(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    first, rest = path[0], path[1:]
    if first == "**":
        below = {key: without(item, path) for key, item in value.items()}
        return without(below, rest) if rest else MASK
    return {key: without(item, rest) if first in ("*", key) else item for key, item in value.items()}
