"""Dates: `gmtime`, `mktime`, `strftime`, `strptime` from tables of our own, never the C library's; zones by name.

A broken-down time is jq's: `[year, month 0–11, day, hours, minutes, seconds, weekday 0–6 from Sunday, day of the year
from 0]`. Texts are those of the C locale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import described
from bridge.jq.runtime.printing import tojson_text
from bridge.jq.runtime.values import JSON, whole

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NUMBERS = (int, float)
_DAY = 86_400
_FIELDS = 6
_EMPTY = (1900, 0, 0, 0, 0, 0)
"""What libjq takes for fields that are missing."""
_FARTHEST = 6.7e16
"""Seconds: about as far as a year of 32 bits goes."""
_FIRST, _LAST = -62_135_510_400, 253_402_214_400
"""The years 1 to 9999, in seconds, less a day at both ends for zones."""
_ERA = 146_097
"""Days in 400 years."""


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date; `month` counts from 0 and may be any number, `day` too."""
    year, month = year + month // 12, month % 12
    shifted = year - (month < 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month + 10) % 12) + 2) // 5
    return era * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year + day - 1 - 719_468


def _date_of(days: int) -> tuple[int, int, int]:
    """Year, month from 0 and day of a number of days since 1970-01-01."""
    era, of_era = divmod(days + 719_468, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = (month + 2) % 12
    return era * 400 + year + (month < 2), month, day


def month_and_day(days: int) -> tuple[int, int]:
    """Month from 0 and day of a number of days since 1970-01-01."""
    return _date_of(days)[1:]


@lru_cache(maxsize=1024)
def _day_fields(days: int) -> tuple[int, int, int, int, int]:
    """Year, month from 0, day, weekday and day of the year of a number of days since 1970-01-01."""
    year, month, day = _date_of(days)
    return year, month, day, (days + 4) % 7, days - days_of(year, 0, 1)


def _fields(seconds: int) -> list[int]:
    """The eight fields of seconds since 1970, in UTC."""
    days, rest = divmod(seconds, _DAY)
    year, month, day, weekday, of_year = _day_fields(days)
    return [year, month, day, rest // 3600, rest // 60 % 60, rest % 60, weekday, of_year]


def gmtime(value: JSON) -> list[JSON]:
    """Seconds since 1970 as a broken-down time in UTC."""
    if type(value) not in _NUMBERS:
        raise JqError("gmtime() requires numeric inputs")
    if not math.isfinite(value) or abs(value) > _FARTHEST:
        raise JqError("error converting number of seconds since epoch to datetime")
    parts: list[JSON] = list(_fields(math.trunc(value)))
    parts[5] = whole(float(parts[5] + (value - math.floor(value))))
    return parts


def _int(part: float) -> int:
    """A number as an `int` of C."""
    return 0 if part != part else math.trunc(max(min(part, 2**31 - 1), -(2**31)))  # noqa: PLR0124 - nan


def _seconds(value: JSON, name: str) -> int:
    """Seconds since 1970 of a broken-down time in UTC; fields beyond their range carry over, missing ones are zero."""
    if type(value) is not list:
        raise JqError(f"{name} requires array inputs")
    if any(type(part) not in _NUMBERS for part in value[:8]):
        raise JqError(f"{name} requires parsed datetime inputs")
    given = [_int(part) for part in value[:_FIELDS]]
    if given and value[0] == value[0]:
        # C counts years from 1900, and cuts what is left of a fraction then.
        given[0] = _int(value[0] - 1900) + 1900
    filled: list[int] = [*given, *_EMPTY[len(given) :]]
    year, month, day, hour, minute, second = filled
    return days_of(year, month, day) * _DAY + hour * 3600 + minute * 60 + second


def mktime(value: JSON) -> int:
    """A broken-down time in UTC as seconds since 1970."""
    return _seconds(value, "mktime")


def _weeks(parts: list[int], first_day: int) -> int:
    """The number of the week when weeks begin on `first_day` (0 Sunday, 1 Monday)."""
    return (parts[7] + 7 - (parts[6] - first_day) % 7) // 7


def _iso(parts: list[int]) -> tuple[int, int]:
    """Year and week of ISO 8601."""
    year = parts[0]
    week = (parts[7] + 10 - (parts[6] or 7) + 1) // 7
    if week < 1:
        return year - 1, _weeks_in(year - 1)
    if week > _weeks_in(year):
        return year + 1, 1
    return year, week


def _weeks_in(year: int) -> int:
    """52 or 53: a year has 53 weeks when it ends on a Thursday, or the one before ended on a Wednesday."""

    def ends_on(of: int) -> int:
        return (days_of(of, 11, 31) + 4) % 7

    return 53 if ends_on(year) == 4 or ends_on(year - 1) == 3 else 52


_Writer = Callable[[list[int]], str]


def _name(names: tuple[str, ...], at: int, length: int | None = None) -> str:
    return names[at][:length] if 0 <= at < len(names) else "?"


_WRITE: dict[str, _Writer] = {
    "A": lambda t: _name(DAYS, t[6]),
    "a": lambda t: _name(DAYS, t[6], 3),
    "B": lambda t: _name(MONTHS, t[1]),
    "b": lambda t: _name(MONTHS, t[1], 3),
    "h": lambda t: _name(MONTHS, t[1], 3),
    "C": lambda t: str(t[0] // 100),
    "D": lambda t: f"{t[1] + 1:02d}/{t[2]:02d}/{t[0] % 100:02d}",
    "d": lambda t: f"{t[2]:02d}",
    "e": lambda t: f"{t[2]:2d}",
    "F": lambda t: f"{t[0]}-{t[1] + 1:02d}-{t[2]:02d}",
    "G": lambda t: str(_iso(t)[0]),
    "g": lambda t: f"{_iso(t)[0] % 100:02d}",
    "H": lambda t: f"{t[3]:02d}",
    "I": lambda t: f"{(t[3] % 12) or 12:02d}",
    "j": lambda t: f"{t[7] + 1:03d}",
    "k": lambda t: f"{t[3]:2d}",
    "l": lambda t: f"{(t[3] % 12) or 12:2d}",
    "M": lambda t: f"{t[4]:02d}",
    "m": lambda t: f"{t[1] + 1:02d}",
    "n": lambda _: "\n",
    "P": lambda t: "am" if t[3] < 12 else "pm",
    "p": lambda t: "AM" if t[3] < 12 else "PM",
    "R": lambda t: f"{t[3]:02d}:{t[4]:02d}",
    "r": lambda t: f"{(t[3] % 12) or 12:02d}:{t[4]:02d}:{t[5]:02d} {'AM' if t[3] < 12 else 'PM'}",
    "S": lambda t: f"{t[5]:02d}",
    "T": lambda t: f"{t[3]:02d}:{t[4]:02d}:{t[5]:02d}",
    "t": lambda _: "\t",
    "U": lambda t: f"{_weeks(t, 0):02d}",
    "u": lambda t: str(t[6] or 7),
    "V": lambda t: f"{_iso(t)[1]:02d}",
    "W": lambda t: f"{_weeks(t, 1):02d}",
    "w": lambda t: str(t[6]),
    "Y": lambda t: str(t[0]),
    "y": lambda t: f"{t[0] % 100:02d}",
    "%": lambda _: "%",
}
_REFUSED_WRITE = {
    "s": "`%s` depends on the machine's zone: write `mktime`",
    "c": "`%c` depends on the locale",
    "x": "`%x` depends on the locale: write `%D` or `%F`",
    "X": "`%X` depends on the locale: write `%T`",
    "E": "`%E` depends on the locale",
    "O": "`%O` depends on the locale",
    "+": "`%+` is not portable",
}
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)
_IN_ONE: dict[str, tuple[str, tuple[int, ...]]] = {
    "A": ("%s", (9,)),
    "B": ("%s", (10,)),
    "d": ("%02d", (2,)),
    "e": ("%2d", (2,)),
    "F": ("%d-%02d-%02d", (0, 8, 2)),
    "H": ("%02d", (3,)),
    "I": ("%02d", (11,)),
    "M": ("%02d", (4,)),
    "m": ("%02d", (8,)),
    "p": ("%s", (12,)),
    "R": ("%02d:%02d", (3, 4)),
    "S": ("%02d", (5,)),
    "T": ("%02d:%02d:%02d", (3, 4, 5)),
    "Y": ("%d", (0,)),
}
"""The usual directives as a template, and the places of what it takes: of the eight fields, and of `_also`."""


def _also(t: list[int]) -> tuple[int, str, str, int, str]:
    """What templates take besides the fields: month from 1, names, hour of twelve, half of the day."""
    return t[1] + 1, DAYS[t[6]], MONTHS[t[1]], (t[3] % 12) or 12, "AM" if t[3] < 12 else "PM"


def _in_one(text: str) -> tuple[str, tuple[int, ...]] | None:
    """A format as one template; None where a directive has none."""
    template, at = "", 0
    taken: tuple[int, ...] = ()
    for match in _DIRECTIVE.finditer(text):
        if match.group(1) not in _IN_ONE:
            return None
        part, places = _IN_ONE[match.group(1)]
        template += text[at : match.start()] + part
        taken += places
        at = match.end()
    return template + text[at:], taken


class DateFormat:
    """A format of `strftime`, checked. Raises ValueError for a directive that is refused or unknown."""

    __slots__ = ("_in_one", "_parts", "zoned")

    def __init__(self, text: str, *, zone: bool) -> None:
        self._parts: list[str | _Writer] = []
        at = 0
        for match in _DIRECTIVE.finditer(text):
            self._parts.append(text[at : match.start()])
            at = match.end()
            self._parts.append(self._directive(match.group(1), zone=zone))
        self._parts.append(text[at:])
        self._in_one = _in_one(text)
        self.zoned = any(part in ("\0Z", "\0z") for part in self._parts)
        """Whether it writes a zone's name or offset."""

    @staticmethod
    def _directive(letter: str, *, zone: bool) -> str | _Writer:
        if letter in ("Z", "z"):
            if zone:
                return f"\0{letter}"
            return "GMT" if letter == "Z" else "+0000"
        writer = _WRITE.get(letter)
        if writer is None:
            raise ValueError(_REFUSED_WRITE.get(letter, f"`%{letter}` is not a directive"))
        return writer

    def write(self, parts: list[int], zone: tuple[str, str] = ("GMT", "+0000")) -> str:
        """A broken-down time as text; `zone` is its name and its offset."""
        if self._in_one is not None:
            template, taken = self._in_one
            fields = (*parts, *_also(parts))
            return template % tuple([fields[place] for place in taken])
        names = {"\0Z": zone[0], "\0z": zone[1]}
        return "".join(names.get(part, part) if isinstance(part, str) else part(parts) for part in self._parts)


def strftime(value: JSON, form: DateFormat) -> str:
    """A broken-down time, or seconds since 1970 in UTC, as text."""
    if (type(value) is int or type(value) is float) and 0 <= value < _LAST:
        return form.write(_fields(int(value)))
    if type(value) in _NUMBERS:
        value = gmtime(value)
    elif type(value) is not list:
        raise JqError("strftime/1 requires parsed datetime inputs")
    return form.write(_fields(_seconds(value, "strftime/1")))


def timestamp(value: JSON) -> datetime:
    """Seconds since 1970 as a moment. Raises JqError."""
    if type(value) not in _NUMBERS or not _FIRST <= value <= _LAST:
        raise JqError(f"{described(value)} is not a time in seconds since 1970")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.floor(value))


def format_time(value: JSON, form: DateFormat, zone: ZoneInfo) -> str:
    """Seconds since 1970 as text, in a zone."""
    local = timestamp(value).astimezone(zone)
    year, month, day, weekday, of_year = _day_fields(local.toordinal() - _EPOCH_DAY)
    parts = [year, month, day, local.hour, local.minute, local.second, weekday, of_year]
    return form.write(parts, (str(local.tzname()), local.strftime("%z")) if form.zoned else ("", ""))


_EPOCH_DAY = 719_163
"""The ordinal of 1970-01-01."""
_PLAIN = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_PLAIN_LONGEST = 25
"""Texts that `datetime.fromisoformat` reads as we do, or refuses."""


@lru_cache(maxsize=256)
def _plain_seconds(text: str) -> int | None:
    """Seconds since 1970 of a time without a fraction; None for what the long way has to judge.

    Kept for the next that asks: rules read the same text several times.
    """
    try:
        return int(datetime.fromisoformat(text).timestamp()) if _PLAIN.fullmatch(text) else None
    except ValueError:
        return None


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII
)


def parse_time(value: JSON) -> int | float:
    """A time of RFC 3339, with any fraction and offset, as seconds since 1970."""
    if type(value) is str and len(value) <= _PLAIN_LONGEST:
        plain = _plain_seconds(value)
        if plain is not None:
            return plain
    match = _RFC3339.fullmatch(value) if type(value) is str else None
    if match is None:
        raise JqError(f"{described(value)} is not a time like 2026-01-31T12:00:00Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:_FIELDS])
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        raise JqError(f"{described(value)} is not a time that exists") from None
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) + leap
    if match.group(9):
        hours, minutes = int(match.group(10)), int(match.group(11))
        if hours > 23 or minutes > 59:
            raise JqError(f"{described(value)} has an offset that does not exist")
        offset = hours * 3600 + minutes * 60
        seconds += offset if match.group(9) == "-" else -offset
    fraction = match.group(7)
    return seconds if fraction is None else whole(float(f"{seconds}") + float(f"0.{fraction[:18]}"))


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone with this name of the IANA, from the `tzdata` package alone. Raises ValueError."""
    from importlib.resources import files

    if not re.fullmatch(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", name):
        raise ValueError(f"`{name}` is not the name of a zone")
    place = files("tzdata") / "zoneinfo"
    for part in name.split("/"):
        place = place / part
    if not place.is_file():
        raise ValueError(f"there is no zone `{name}`")
    with place.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def from_iso(value: JSON, form: DatePattern) -> int:
    """`2026-01-31T12:00:00Z` as seconds since 1970. Raises JqError."""
    if type(value) is str and len(value) == _ISO_LENGTH and value[-1] == "Z":
        plain = _plain_seconds(value)
        if plain is not None:
            return plain
    return mktime(form.read(value))


_ISO_LENGTH = 20
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
_CONVERSION = re.compile(r"%(.)", re.DOTALL)
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
        text = _CONVERSION.sub(lambda match: _COMPOUND.get(match.group(1), match.group()), text)
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
