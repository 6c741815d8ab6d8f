"""What people write who know another language, and what to write instead; and "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from bridge.rules.jq.problems import JqProblem

_STRAY: dict[str, tuple[str, str]] = {
    "&&": ("`&&` is not an operator of jq", "write `and`"),
    "&": ("`&` is not an operator of jq", "write `and`, or `+` to join texts"),
    "!": ("`!` is not an operator of jq", "write `(… | not)` for not, `!=` for unequal"),
    "'": ("jq writes text with double quotes", 'write `"…"`'),
    "`": ("a backquote means nothing in jq", 'write text as `"…"`, values in it as `\\(.path)`'),
    "“": ("a typographic quote does not begin a text", 'write `"…"`'),
    "”": ("a typographic quote does not end a text", 'write `"…"`'),
    "‘": ("a typographic quote does not begin a text", 'write `"…"`'),
    "’": ("a typographic quote does not end a text", 'write `"…"`'),
    "^": ("`^` is not an operator of jq", "write `pow(x; y)`"),
    "~": ("`~` is not an operator of jq", 'write `test("pattern")` to match a pattern'),
    "\\": ("a backslash means something in texts only", 'write `"…"` around the text'),
    "@": ("`@` needs the name of a format", "write `@uri`, `@base64`, `@json` …"),
    "$": ("`$` needs the name of a variable", "write `$name`"),
}


def stray_character(text: str, at: int) -> JqProblem:
    """The problem for a character that begins no token."""
    found = text[at : at + 2] if text[at : at + 2] in _STRAY else text[at]
    if found in _STRAY:
        message, hint = _STRAY[found]
        return JqProblem("other-language", message, at, at + len(found), hint)
    return JqProblem("syntax", f"`{found}` means nothing here", at, at + len(found))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` with the nearest of the known names, or None."""
    names = sorted(set(known))
    lowered = {known_name.lower().replace("_", ""): known_name for known_name in names}
    exact = lowered.get(name.lower().replace("_", "").replace("-", ""))
    if exact is not None and exact != name:
        return f"did you mean `{exact}`?"
    close = get_close_matches(name, names, n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`?" if close else None


FOREIGN_FUNCTIONS: dict[str, str] = {
    "upper": "ascii_upcase",
    "uppercase": "ascii_upcase",
    "toUpperCase": "ascii_upcase",
    "upcase": "ascii_upcase",
    "lower": "ascii_downcase",
    "lowercase": "ascii_downcase",
    "toLowerCase": "ascii_downcase",
    "downcase": "ascii_downcase",
    "len": "length",
    "size": "length",
    "count": "length",
    "str": "tostring",
    "string": "tostring",
    "toString": "tostring",
    "to_string": "tostring",
    "int": "(tonumber | trunc)",
    "number": "tonumber",
    "float": "tonumber",
    "to_number": "tonumber",
    "includes": "contains(…)",
    "filter": "map(select(…))",
    "where": "select(…)",
    "distinct": "unique",
    "uniq": "unique",
    "sum": "add",
    "concat": "add",
    "replace": "sub(…; …), or gsub for all",
    "strip": "trim",
    "substring": ".[from:upto]",
    "substr": ".[from:upto]",
    "slice": ".[from:upto]",
    "indexOf": "index(…)",
    "json": "tojson",
    "stringify": "tojson",
    "parse_json": "fromjson",
    "exists": "(. != null)",
    "defined": "(. != null)",
    "isnull": "(. == null)",
    "is_null": "(. == null)",
    "default": "`// value`",
    "coalesce": "`.a // .b`",
    "typeof": "type",
    "avg": "(add / length)",
    "ceiling": "ceil",
    "date": "todate",
    "toarray": '(if type == "array" then . else [.] end)',
    "ascii": "([.] | implode)",
    "leaf_paths": "paths(scalars)",
    "splitlines": 'split("\\n")',
    "lines": 'split("\\n")',
    "forEach": ".[]",
    "find": "first(.[] | select(…))",
    "entries": "to_entries",
    "head": "first",
    "tail": "last",
    "to_fixed": "fixed(2)",
    "toFixed": "fixed(2)",
    "none": "(any(…) | not)",
    "is_empty": "(length == 0)",
    "isEmpty": "(length == 0)",
}
"""Names of other languages (or of other versions of jq), and what to write here."""
