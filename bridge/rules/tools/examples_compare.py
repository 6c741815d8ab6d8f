"""Where what came out differs from what was expected: one line for each place, with its path. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bridge.jq import tojson_text

__all__ = ["differences", "event_differences", "fault_differences"]

_MISSING: Final = object()
_LONGEST: Final = 120


def event_differences(
    expected: Mapping[str, Any], got: Mapping[str, Any], *, partial: bool, own_key: bool
) -> Iterator[str]:
    """Compare an event. Exactly: what the test does not say must not be there.

    Save the rule, the default key (it covers the record's coordinates), and empty properties.
    """
    for key in dict.fromkeys([*got, *expected]):
        if key not in expected and (
            partial
            or key == "rule"
            or (key == "idempotency_key" and not own_key)
            or (key == "properties" and not got.get(key))
        ):
            continue
        wanted = expected.get(key, {} if key == "properties" else _MISSING)
        yield from differences(key, wanted, got.get(key, _MISSING), partial=partial)


def fault_differences(expected: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    """Compare an error by the keys that the test gives."""
    for key, value in expected.items():
        yield from differences(key, value, got.get(key, _MISSING), partial=False)


def differences(path: str, expected: Any, got: Any, *, partial: bool) -> Iterator[str]:
    """Compare two JSON values. With `partial` objects may have more keys than expected, at any depth."""
    if expected is _MISSING or got is _MISSING:
        yield _line(path, expected, got)
    elif isinstance(expected, dict) and isinstance(got, dict):
        for key in dict.fromkeys([*expected, *got]):
            if partial and key not in expected:
                continue
            yield from differences(
                f"{path}.{key}", expected.get(key, _MISSING), got.get(key, _MISSING), partial=partial
            )
    elif isinstance(expected, list) and isinstance(got, list):
        for number in range(max(len(expected), len(got))):
            one = expected[number] if number < len(expected) else _MISSING
            other = got[number] if number < len(got) else _MISSING
            yield from differences(f"{path}[{number}]", one, other, partial=partial)
    elif not _same(expected, got):
        yield _line(path, expected, got)


def _same(expected: Any, got: Any) -> bool:
    """Compare two scalars as JSON has them: 20 and 20.0 are one number, 1 and true are not."""
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, float) and isinstance(got, int | float):
        return expected == float(got)
    if isinstance(got, float) and isinstance(expected, int):
        return got == float(expected)
    return bool(expected == got)


def _line(path: str, expected: Any, got: Any) -> str:
    if expected is _MISSING:
        return f"{path}: not expected, got {_shown(got)}"
    if got is _MISSING:
        return f"{path}: expected {_shown(expected)}, is not there"
    return f"{path}: expected {_shown(expected)}, got {_shown(got)}"


def _shown(value: Any) -> str:
    text = tojson_text(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
