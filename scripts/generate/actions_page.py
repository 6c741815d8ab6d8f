"""The reference page of what an operator may do, made from the table of actions.

Called by `make docs`.
"""

from __future__ import annotations

import inspect

from bridge.observe.actions import Action
from bridge.service.actions import ACTIONS

INTRODUCTION = """# Actions

Generated from the table in `bridge/service/actions.py`; `make docs` writes it again.

What an operator may ask of a running bridge, by a command or by HTTP at the admin port. Each wants the admin token
(`admin.token_file`) as `Authorization: Bearer TOKEN`, and a reason of at most 500 characters, which is logged with what
was done. Over HTTP the body is a JSON object of texts; the answer is `{"done": "…"}` with status 200. Status 400: the
request is wrong. 401, 403: the token is, or none is set. 409: it cannot be done as things are. In each of these `error`
says why. The commands print the same line and exit with 0, or with 1 and the error.
"""


def actions_page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(line for action in ACTIONS.values() for line in _section(action))])


def _section(action: Action) -> list[str]:
    first, *more = inspect.cleandoc(action.help).split("\n\n")
    names = [argument.name for argument in action.arguments]
    body = ", ".join(f'"{name}": "…"' for name in (*names, "reason"))
    lines = [f"## {action.name}", "", action.summary, "", first, ""]
    for text in more:
        example = text.removeprefix("Example: ")
        lines += ([f"    {example}"] if example != text else [text]) + [""]
    lines += [f"Over HTTP: `POST /actions/{action.name}` with `{{{body}}}`.", ""]
    lines += [
        f"- `{each.name}`: {each.help}" + (" May be left out: all." if each.optional else "")
        for each in action.arguments
    ]
    return [*lines, ""]
