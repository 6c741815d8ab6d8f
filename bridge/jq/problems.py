"""What can be wrong with a program (found when it is compiled) and what can go wrong while it runs.

Exception
├── JqProblem        the text does not compile, or uses what is refused; never raised while a program runs
├── JqError          a run-time error; `try`, `?` catch it
│   └── BudgetExceeded   too much work, text or depth; nothing in a program catches it
└── BreakOut         how `break $x` reaches its `label`; never leaves a program
"""

from __future__ import annotations

from bridge.jq.runtime.values import JSON


class JqProblem(Exception):  # noqa: N818 - about a text, not about a run
    """A program that does not compile or is refused.

    `code` is a short stable word (`syntax`, `unknown-function`, `unknown-variable`, `refused`, `other-language`,
    `regex`, `redefined`, `not-constant`, `too-large`). `start` and `end` are character offsets into the text.
    """

    def __init__(self, code: str, message: str, start: int, end: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.start = start
        self.end = max(end, start)

    def shifted(self, by: int) -> JqProblem:
        """The same problem for a text that lies `by` characters into a longer one."""
        return JqProblem(self.code, self.message, self.start + by, self.end + by, self.hint)


class JqError(Exception):
    """A run-time error; `value` is the JSON value that `error(value)` carries, most often a text."""

    def __init__(self, value: JSON) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        """The message as jq prints it."""
        if isinstance(self.value, str):
            return self.value
        from bridge.jq.runtime.printing import tojson_text

        return f"{tojson_text(self.value)} (not a string)"


class BudgetExceeded(JqError):  # noqa: N818 - the field's word
    """The program did more than its budget allows. `try`, `?` and `//` do not catch it."""


class BreakOut(Exception):  # noqa: N818 - not an error: control flow of `label` and `break`
    """`break $x` on its way to `label $x`; carries the label's identity."""

    def __init__(self, label: object) -> None:
        super().__init__()
        self.label = label
