"""The page of differences from jq and the list of built-ins, made from the tables.

python -m bridge.jq.reference > docs/jq-differences.md
"""

from __future__ import annotations

import sys

from bridge.jq.builtins import BUILTINS, Builtin
from bridge.jq.refused import REFUSED
from bridge.jq.regex.translate import ESCAPES_REFUSED, GROUPS_REFUSED, MOST
from bridge.jq.runtime.budget import DEPTH, OUTPUTS, STEPS, TEXT
from bridge.jq.runtime.formats import FORMATS
from bridge.jq.syntax.lexer import MAX_DEPTH, MAX_TEXT

_INTRO = """\
# Expressions: jq, and where they differ from it

Expressions are jq. What libjq 1.8.2 does is what they do; this page lists every difference. Whatever is not supported is
refused by name when the rules load, never while a record is mapped. `suprsend-bridge eval` runs one expression.

<!-- Made by `make docs`; do not edit. -->
"""

_DIFFERENT: list[tuple[str, str]] = [
    (
        "Numbers",
        (
            "Integers from −2^63 to 2^64−1 are exact, in the record, the program and every result; jq computes with doubles. "
            "Beyond that, and for everything that is not whole, numbers are doubles as in jq."
        ),
    ),
    (
        "Numbers as text",
        (
            "Whole results are integers: `20.0` prints `20`, `1e3` prints `1000`, and there is no negative zero. How the "
            "record or the program spells a number (`1.50`) is not kept; jq keeps it until it computes."
        ),
    ),
    (
        "A budget",
        (
            f"An expression may take {STEPS:,} steps, give {OUTPUTS:,} results and build {TEXT:,} characters of text for one "
            f"record; calls and values may be nested {DEPTH:,} deep. Beyond, it is an error that `try`, `?` and `//` do not "
            "catch. The count is the same on every machine."
        ),
    ),
    ("Size", f"A program has at most {MAX_TEXT:,} characters and is nested at most {MAX_DEPTH} deep."),
    ("`?//`", "Destructuring alternatives must come last in a pipe: jq lets them catch errors of whatever follows."),
    ("A variable twice in one pattern", "Refused (`as [$a, $a]`): which one wins in jq depends on the pattern."),
    ("`reduce` with several initial values", "Refused: jq loses its input after the first."),
    (
        "Paths",
        (
            "`reduce`, `foreach`, `last(f)`, `?//`, patterns (`as [$a]`, `as {$a}`) and functions that make a value (`tostring`, `ltrimstr`, `abs` …) are refused "
            "where a path is needed (left of `|=`, in `path`, `del`, `pick`): jq loses the path or fails. What was "
            "made there and equals the input (null, true, false, a number: `path(1)` on 1, `path(.a |= .)` on null) may "
            "have its path here and fail in jq, or the other way round."
        ),
    ),
    (
        "Patterns and flags",
        "`test`, `match`, `capture`, `scan`, `split` with flags, `splits`, `sub`, `gsub` take constants.",
    ),
    (
        "Empty matches",
        (
            "After an empty match the search goes on with the next character; jq goes on with the next byte, and finds "
            "some empty matches twice in a text that is not ASCII."
        ),
    ),
    ("Case", "Without regard to case (`i`), letters match one for one; jq also matches `ß` with `ss`."),
    (
        "Dates",
        (
            "`strftime`, `strptime` and `format_time` take constants. `strptime` needs a whole date in its format. `%Z` of "
            "`strftime` is always `GMT`. Refused: `%s %c %x %X %E %O` and padding flags in `strftime`; `%s %z %Z %c %x %X` in "
            "`strptime`."
        ),
    ),
    (
        "Weekdays",
        "`strftime` computes the weekday from the date; jq's is wrong for some broken-down times that are not complete.",
    ),
    ("The last two seconds of 1969", "`mktime` gives −1 and −2 for them; jq takes these for failures."),
    (
        "Last digits",
        (
            "`log`, `log2`, `log10`, `exp`, `exp2`, `exp10` and `pow` are right to 14 digits; the digits behind them may be "
            "others than libjq's (`8 | exp10` is 100000000 here and 99999999.99999999 there)."
        ),
    ),
    (
        "Texts of errors",
        (
            "What `catch` is given is libjq's text for indexing, iterating and arithmetic. Of other errors the text may "
            "differ; that there is one does not."
        ),
    ),
    (
        "`fromjson`",
        "Words for numbers (`nan`, `Infinity`) in lower case, and numbers like `01`, are read alone, not inside arrays or objects.",
    ),
    ("`@text`, `@json` …", "The formats are " + ", ".join(f"`@{name}`" for name in FORMATS) + ", as in libjq 1.8.2."),
    ("Modules", "There are none. Shared functions live in `defs`, and may not redefine a built-in."),
]


def _row(builtin: Builtin) -> str:
    program, outputs = builtin.example
    name = builtin.name if not builtin.arity else f"{builtin.name}({'; '.join('…' for _ in range(builtin.arity))})"
    shown = ", ".join(outputs).replace("|", "\\|")
    mark = " *(not in jq)*" if builtin.ours else ""
    program = program.replace("|", "\\|")
    return f"| `{name}` | {builtin.doc.replace('|', chr(92) + '|')}{mark} | `{program}` gives `{shown}` |"


def page() -> str:
    """The whole page, as Markdown."""
    lines = [_INTRO, "## Differences", ""]
    lines += [f"- **{title}.** {text}" for title, text in _DIFFERENT]
    lines += ["", "## Refused by name", "", "| name | why |", "| --- | --- |"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted(REFUSED.items())]
    lines += ["", "## Regular expressions", "", _patterns(), "", "## Built-ins", ""]
    lines += ["| function | what it gives | example |", "| --- | --- | --- |"]
    lines += [_row(builtin) for _, builtin in sorted(BUILTINS.items()) if not builtin.private]
    return "\n".join(lines) + "\n"


def _patterns() -> str:
    escapes = ", ".join(f"`\\{letter}`" for letter in ESCAPES_REFUSED)
    groups = ", ".join(f"`({opener}`" for opener in GROUPS_REFUSED)
    return (
        "Patterns are read as jq reads them and matched in linear time. A match costs a step, and so do 64 characters of the "
        "text (more where a pattern has many ways); where a pattern may look past its match without bound, as `[^x]*x|a` "
        "does, each match costs what is left of the text. `\\d`, `\\w` and `\\s` know Unicode, `$` also matches "
        "before a final newline, `^` and `$` do not match at other lines, the flags are `g`, `i`, `x`, `s`, `n` and `p`.\n\n"
        f"Refused: the escapes {escapes} and back-references; groups that begin with {groups}; possessive and doubled repeats; "
        f"repeats over {MOST:,}; `&&`, `[` and `[:name:]` in a class; properties other than L, Lu, Ll, N, Nd, P and S; `$` with "
        "something behind it; a repeat of something that can match nothing; the flag `l`."
    )


if __name__ == "__main__":
    sys.stdout.write(page())
