"""Why an expression failed, in words that cannot hold any of the record.

jq's own messages quote values (`string (…) cannot be parsed as a number`), and `error(…)` can say anything;
dead letters and logs may hold neither. Only fixed words and the names of types are taken over.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["plain_reason"]

_LONGEST: Final = 300
_TYPE: Final = "(null|boolean|number|string|array|object)"
_REASONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), reason)
    for pattern, reason in (
        (rf"Cannot index {_TYPE} with (?:{_TYPE}|\")", "there is no looking up a key in {0}"),
        (rf"Cannot iterate over {_TYPE}", "{0} has no elements to go through"),
        (
            rf"{_TYPE} \(.*\) and {_TYPE} \(.*\) cannot be divided because the divisor is zero",
            "division by zero",
        ),
        (
            rf"{_TYPE} \(.*\) and {_TYPE} \(.*\) cannot be (added|subtracted|multiplied|divided)",
            "{0} and {1} cannot be {2}",
        ),
        (rf"{_TYPE} \(.*\) cannot be parsed as a number", "{0} that is no number"),
        (rf"{_TYPE} \(.*\) cannot be matched, as it is not a string", "{0} where text is matched"),
        (rf"{_TYPE} \(.*\) has no (keys|length)", "{0} has no {1}"),
        (rf"{_TYPE} \(.*\) cannot be (sorted|grouped|reversed|negated|exploded|imploded)", "{0} cannot be {1}"),
        (r"(date|time) \".*\" does not match format", "text that is not of the {0} format"),
    )
)


def plain_reason(message: str) -> str:
    """Say in fixed words why an expression failed, as far as that is known."""
    for pattern, reason in _REASONS:
        match = pattern.match(message[:_LONGEST])
        if match is not None:
            return reason.format(*match.groups())
    return "an error of the expression (`suprsend-bridge explain` shows it for a record)"
