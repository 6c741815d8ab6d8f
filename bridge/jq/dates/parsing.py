"""`strptime`: texts to broken-down times, by a table of our own."""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.jq.dates.calendar import DAYS, MONTHS, days_of, month_and_day
from bridge.jq.problems import JqError
from bridge.jq.runtime.printing import tojson_text
from bridge.jq.runtime.values import JSON

_Set = Callable[[dict[str, int], str], None]
_SPACES = re.compile(r"[ \t\n\v\f\r]*")


def _number(pattern: str, name: str, less: int = 0) -> tuple[str, _Set]:
    def put(found: dict[str, int], text: str) -> None:
        found[name] = int(text) - less

    return pattern, put


def _named(names: tuple[str, ...], name: str) -> tuple[str, _Set]:
    """A name in full or its first three letters, in any case."""
    both = [*names, *(full[:3] for full in names)]
    places = {text.lower(): at % len(names) for at, text in enumerate(both)}

    def put(found: dict[str, int], text: str) -> None:
        found[name] = places[text.lower()]

    return "|".join(both), put


def _short_year(found: dict[str, int], text: str) -> None:
    found["year"] = int(text) + (1900 if int(text) >= 69 else 2000)


def _half(found: dict[str, int], text: str) -> None:
    found["afternoon"] = int(text.lower() == "pm")


def _hour12(found: dict[str, int], text: str) -> None:
    found["hour"] = int(text) % 12
    found["twelve"] = 1


_TWO = {
    "S": r"6[0-1]|[0-5]?\d",
    "M": r"[0-5]?\d",
    "H": r"2[0-3]|[0-1]?\d",
    "I": r"1[0-2]|0?[1-9]",
    "d": r"3[01]|[12]\d|0?[1-9]",
}
_READ: dict[str, tuple[str, _Set]] = {
    "Y": _number(r"\d{1,4}", "year"),
    "m": _number(r"1[0-2]|0?[1-9]", "month", 1),
    "d": _number(_TWO["d"], "day"),
    "e": _number(_TWO["d"], "day"),
    "H": _number(_TWO["H"], "hour"),
    "k": _number(_TWO["H"], "hour"),
    "I": (_TWO["I"], _hour12),
    "l": (_TWO["I"], _hour12),
    "M": _number(_TWO["M"], "minute"),
    "S": _number(_TWO["S"], "second"),
    "y": (r"\d{1,2}", _short_year),
    "j": _number(r"36[0-6]|3[0-5]\d|[12]\d\d|0?[1-9]\d|0{0,2}[1-9]", "yearday", 1),
    "A": _named(DAYS, "weekday"),
    "a": _named(DAYS, "weekday"),
    "B": _named(MONTHS, "month"),
    "b": _named(MONTHS, "month"),
    "h": _named(MONTHS, "month"),
    "p": ("am|pm", _half),
}
_COMPOUND = {"T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "F": "%Y-%m-%d", "r": "%I:%M:%S %p"}
_DIRECTIVE = re.compile(r"%(.)", re.DOTALL)
_SPACED = frozenset("YmdeHkIlMSyj")
_REFUSED = {
    "s": "`%s` depends on the machine's zone: write `tonumber`",
    "z": "`%z`: jq ignores the offset that it reads; write `parse_time`",
    "Z": "`%Z`: jq ignores the zone that it reads; write `parse_time`, or the letters themselves",
    "c": "`%c` depends on the locale",
    "x": "`%x` depends on the locale",
    "X": "`%X` depends on the locale",
}


class DatePattern:
    """A format of `strptime`, checked. Raises ValueError for a directive that is refused or unknown."""

    __slots__ = ("_names", "_regex", "_sets", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._sets: list[_Set] = []
        text = _DIRECTIVE.sub(lambda match: _COMPOUND.get(match.group(1), match.group()), text)
        self._names: set[str] = set()
        self._regex = re.compile("".join(self._translated(text)), re.ASCII | re.IGNORECASE)
        if not (
            {"Y", "y"} & self._names
            and (({"m", "b", "B", "h"} & self._names and {"d", "e"} & self._names) or "j" in self._names)
        ):
            raise ValueError(
                "the format must hold a whole date (year, month and day): without one jq's answer is an accident"
            )

    def _translated(self, text: str) -> list[str]:
        parts: list[str] = []
        at = 0
        while at < len(text):
            char = text[at]
            at += 1
            if char == "%":
                letter = text[at : at + 1]
                at += 1
                parts.append(self._directive(letter))
            elif char in " \t\n\v\f\r":
                parts.append(_SPACES.pattern)
            else:
                parts.append(f"(?-i:{re.escape(char)})")
        return parts

    def _directive(self, letter: str) -> str:
        if letter == "%":
            return "%"
        if letter in ("n", "t"):
            return _SPACES.pattern
        if letter not in _READ:
            raise ValueError(_REFUSED.get(letter, f"`%{letter}` is not a directive"))
        pattern, put = _READ[letter]
        self._sets.append(put)
        self._names.add(letter)
        return f"{_SPACES.pattern if letter in _SPACED else ''}({pattern})"

    def read(self, value: JSON) -> list[JSON]:
        """The broken-down time of a text. Raises JqError."""
        if type(value) is not str:
            raise JqError("strptime/1 requires string inputs and arguments")
        match = self._regex.match(value)
        rest = "" if match is None else value[match.end() :]
        if match is None or (rest and rest[0] not in " \t\n\v\f\r"):
            raise JqError(f"date {tojson_text(value)} does not match format {tojson_text(self.text)}")
        found: dict[str, int] = {}
        for put, text in zip(self._sets, match.groups(), strict=True):
            put(found, text)
        parts = _completed(found)
        return [*parts, rest] if rest else parts


def _completed(found: dict[str, int]) -> list[JSON]:
    """The eight fields: the weekday and the day of the year from the date."""
    if "twelve" in found and found.get("afternoon"):
        found["hour"] += 12
    year = found["year"]
    if "day" in found and "month" in found:
        days = days_of(year, found["month"], found["day"])
        month, day = found["month"], found["day"]
    else:
        days = days_of(year, 0, 1) + found["yearday"]
        month, day = month_and_day(days)
    weekday = found.get("weekday", (days + 4) % 7)
    yearday = found.get("yearday", days - days_of(year, 0, 1))
    return [year, month, day, *(found.get(name, 0) for name in ("hour", "minute", "second")), weekday, yearday]


__all__ = ["DatePattern"]
