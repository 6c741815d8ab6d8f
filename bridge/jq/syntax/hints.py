"""What people write who know another language, and what to write instead; and "did you mean"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from bridge.jq.problems import JqProblem

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
    "–": ("`–` is a dash, and no minus", "write `-`"),
    "—": ("`—` is a dash, and no minus", "write `-`"),
    "×": ("`×` is not an operator of jq", "write `*`"),
    "÷": ("`÷` is not an operator of jq", "write `/`"),
    "≥": ("`≥` is not an operator of jq", "write `>=`"),
    "≤": ("`≤` is not an operator of jq", "write `<=`"),
    "≠": ("`≠` is not an operator of jq", "write `!=`"),
    "«": ("a typographic quote does not begin a text", 'write `"…"`'),
    "„": ("a typographic quote does not begin a text", 'write `"…"`'),
    "^": ("`^` is not an operator of jq", "write `pow(x; y)`"),
    "~": ("`~` is not an operator of jq", 'write `test("pattern")` to match a pattern'),
    "\\": ("a backslash means something in texts only", 'write `"…"` around the text'),
    "@": ("`@` needs the name of a format", "write `@uri`, `@base64`, `@json` …"),
    "$": ("`$` needs the name of a variable", "write `$name`"),
}


def stray_character(text: str, at: int) -> JqProblem:
    """The problem for a character that begins no token."""
    found = text[at : at + 2] if text[at : at + 2] in _STRAY else text[at]
    if found == "$" and text.startswith("{", at + 1):
        hint = "leave out the `${` and its `}`: what stands here is an expression already"
        return JqProblem("other-language", "`${` is no part of jq", at, at + 2, hint)
    if found == "$" and text[at + 1 : at + 2].isdigit():
        return JqProblem("syntax", "`$` needs the name of a variable", at, at + 1, "write the number alone")
    if found in _STRAY:
        message, hint = _STRAY[found]
        return JqProblem("other-language", message, at, at + len(found), hint)
    if not found.isascii():
        return _odd_character(text, at, found)
    return JqProblem("syntax", f"`{found}` means nothing here", at, at + len(found))


def _odd_character(text: str, at: int, found: str) -> JqProblem:
    if not found.isprintable() or found.isspace():
        message = f"an invisible character (U+{ord(found):04X}) stands here"
        return JqProblem("syntax", message, at, at + 1, "write an ordinary space, or leave it out")
    begin = re.search(r"\w*$", text[:at])
    assert begin is not None
    if text[: begin.start()].endswith("."):
        rest = re.match(r"[^\s.|,;:()\[\]{}+*/=<>!?\"'-]*", text[at:])
        name = begin[0] + (found if rest is None else rest[0])
        end = at - len(begin[0]) + len(name)
        hint = f'write `["{name}"]` without the dot'
        return JqProblem("syntax", f"`{found}` cannot be in a name without quotes", begin.start(), end, hint)
    return JqProblem("syntax", f"`{found}` means nothing here", at, at + 1, 'write `"…"` around a text')


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
    "recurse_down": "recurse",
    "pow10": "exp10",
    "isvalid": "(try (… | true) catch false)",
    "dateadd": "(. + 60)",
    "datesub": "(. - 60)",
    "_nwise": "(. as $all | range(0; length; 2) as $at | $all[$at:$at + 2])",
    "strip_html": 'gsub("<[^>]*>"; "")',
    "title": "((.[:1] | ascii_upcase) + .[1:])",
    "capitalize": "((.[:1] | ascii_upcase) + .[1:])",
    "format_date": 'format_time("%d.%m.%Y"; "Europe/Paris")',
    "formatDate": 'format_time("%d.%m.%Y"; "Europe/Paris")',
    "strptime_tz": "parse_time",
    "parse_date": "parse_time",
    "parseDate": "parse_time",
    "fromtimestamp": "todate",
    "ascii_upper": "ascii_upcase",
    "ascii_lower": "ascii_downcase",
    "group": "group_by(…)",
    "order_by": "sort_by(…)",
    "orderBy": "sort_by(…)",
    "sortBy": "sort_by(…)",
    "mapValues": "map_values(…)",
    "isString": '(type == "string")',
    "isNumber": '(type == "number")',
    "equals": "`.a == .b`",
    "uuid": "`$topic`, `$partition` and `$offset`: they tell records apart, and are the same when one is read again",
    "random": "`$offset`: a record must give the same result when it is read again",
    "None": "null",
    "nil": "null",
    "undefined": "null",
    "always": "true",
    "never": "false",
    "return": "the expression without `return`",
    "value": "`.`: it is the record's value, `.value` a field of it",
    "record": "`.`: it is the record's value, `.record` a field of it",
    "payload": "`.`: it is the record's value, `.payload` a field of it",
    "message": "`.`: it is the record's value, `.message` a field of it",
    "this": "`.`",
    "self": "`.`",
    "root": "`.`",
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
