"""What random programs and values are made of."""

from __future__ import annotations

from random import Random

NAMES = ("a", "b", "c", "items", "name", "x")
TEXTS = (
    "",
    "a",
    "b",
    "abc",
    "a,b",
    "Hello wörld",
    "12",
    "-1.5",
    " x ",
    "é😀",
    "a\tb\nc",
    "a\0b",
    "2026-01-31T12:00:00Z",
    "<&'\">",
)
NUMBERS = (0, 1, 2, 3, -1, 10, 0.5, -2.5, 1.1, 100, 7, 12345)
PATTERNS = (
    "a", "b+", "[a-c]", "(?<x>a)(?<y>b)?", "\\\\d+", "\\\\w", "^a", "c$", ",", "[^a]", "a|b", "(a)(b)?", ".", "x?y",
    "\\\\s*,\\\\s*", "(?<first>[A-Z])", "l{2}", "(a|b)+?", "b*?c", "\\\\W", "(?i:h)", "\\\\.",
)  # fmt: skip
FORMATS = ("text", "json", "html", "uri", "urid", "csv", "tsv", "sh", "base64", "base64d")
SIMPLE = [
    "length",
    "utf8bytelength",
    "not",
    "keys",
    "keys_unsorted",
    "to_entries",
    "from_entries",
    "add",
    "any",
    "all",
    "flatten",
    "floor",
    "sqrt",
    "tojson",
    "fromjson",
    "tostring",
    "tonumber",
    "toboolean",
    "type",
    "sort",
    "unique",
    "reverse",
    "min",
    "max",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "trim",
    "ltrim",
    "rtrim",
    "transpose",
    "first",
    "last",
    "abs",
    "fabs",
    "round",
    "ceil",
    "trunc",
    "isnan",
    "isinfinite",
    "isnormal",
    "isfinite",
    "values",
    "nulls",
    "numbers",
    "strings",
    "booleans",
    "arrays",
    "objects",
    "iterables",
    "scalars",
    "finites",
    "normals",
    "tostream",
    "combinations",
    "paths",
    "recurse",
    "empty",
    "error",
    "infinite",
    "nan",
    "todate",
    "fromdate",
    "gmtime",
    "mktime",
    "significand",
    "logb",
    "frexp",
    "modf",
    "rint",
    "nearbyint",
]
DATES = ("%Y-%m-%d", "%A %B %d %H:%M:%S", "%j %U %W %V %G %u %w %e", "%D %T %R %F %I %p %y %C", "%Y-%m-%dT%H:%M:%SZ")
TYPED = {
    "number": [
        "floor",
        "sqrt",
        "abs",
        "fabs",
        "round",
        "ceil",
        "trunc",
        "todate",
        "gmtime",
        "significand",
        "logb",
        "frexp",
        "modf",
        "rint",
        "nearbyint",
        "isnormal",
    ],
    "string": [
        "utf8bytelength",
        "fromjson",
        "tonumber",
        "explode",
        "ascii_downcase",
        "ascii_upcase",
        "trim",
        "ltrim",
        "rtrim",
        "fromdate",
    ],
    "object": ["to_entries", "keys_unsorted"],
}
LIMITED = ("combinations", "recurse", "paths", "tostream")


def random_value(random: Random, depth: int = 3) -> object:
    """A JSON value, in canonical spelling."""
    kind = random.randrange(10 if depth else 6)
    if kind == 0:
        return random.choice((None, True, False))
    if kind < 3:
        return random.choice(NUMBERS)
    if kind < 6:
        return random.choice(TEXTS)
    if kind < 8:
        return [random_value(random, depth - 1) for _ in range(random.randrange(4))]
    return {random.choice(NAMES): random_value(random, depth - 1) for _ in range(random.randrange(4))}
