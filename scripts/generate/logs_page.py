"""The reference page of the log's events, made from their table.

Called by `make docs`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.delivery.journal import LARGEST_PAYLOAD, MOST_OF_A_KIND, MOST_PAYLOADS
from bridge.observe.events import EVENTS, LogEvent
from bridge.observe.logs import MOST, UNLIMITED, Limiter
from bridge.service.actions import ACTIONS
from bridge.settings.model import PERSONAL

INTRODUCTION = f"""# Log events

Generated from the table in `bridge/observe/events.py`; `make docs` writes it again.

The log goes to standard output: one JSON object a line (`logs.format: json`, the default where it is no terminal), with
`time` (UTC), `level`, `event`, and the facts of that event. Names of events and facts are stable: search and alert on
them. What the bridge did with records is counted in [metrics](metrics.md), not logged: in a quiet hour there is no line.

- **Level.** `logs.level`, `--log-level`, or `suprsend-bridge log-level` on a running process. `info` is meant for always.
- **Limits.** Of each event {Limiter().burst} lines are written in {Limiter().seconds:g} s; what is over is counted and told
  by `left_out`. Never limited: {", ".join(f"`{name}`" for name in sorted(UNLIMITED))}. Lines that the threads cannot hand
  over (over {MOST_OF_A_KIND:,} of an event, {MOST_PAYLOADS} payloads a second) are counted the same way. An output that
  does not take lines holds nobody up: they are dropped, and counted in `bridge_log_lines_left_out_total`.
- **Last errors.** The newest {MOST} kinds of lines at `warning` or worse are at `/status`, on the page and in
  `suprsend-bridge status`: when, what, where, how often.
- **Secrets** are masked wherever they stand: by the name of the fact, by how they look, and by their value.

## Events

| event | level | what it says | facts |
|---|---|---|---|"""

PAYLOADS = f"""
`spans` are the records of a call, as `topic:partition:first-last`; `batch` is the number of the call's first attempt,
the same in each line about it. `code` and `message` of a refusal are SuprSend's own words, cut and masked like all text.

## Payloads

No line holds anything of a record or an event unless `logs.log_payloads: true`. Then there is a line `payload` for each
record that became a dead letter and for each event that SuprSend refused, and with the level `debug` for each event that
is sent; up to {LARGEST_PAYLOAD:,} bytes of JSON, others are told by their size. Masked in them is what `logs.redact`
lists, by default

{", ".join(f"`{path}`" for path in PERSONAL)}

and always what is named like a secret (`password`, `token`, `api_key`, …).

**Payloads are personal data.** A list of names cannot know every field, and a log is read and kept by many. Use it on a
test topic; in production use `suprsend-bridge dlq show` and `suprsend-bridge explain`, which read the one record in question and keep
nothing.
"""


def logs_page() -> str:
    """The whole page."""
    rows = [
        f"| `{name}` | {event.level} | {event.says} | {', '.join(f'`{fact}`' for fact in _facts(event))} |"
        for name, event in EVENTS.items()
    ]
    return "\n".join([INTRODUCTION, *rows, PAYLOADS])


def _facts(event: LogEvent) -> Iterator[str]:
    """The facts of an event; where it has those of an action, each argument in the table of actions is one."""
    for fact in event.facts:
        arguments = (argument.name for action in ACTIONS.values() for argument in action.arguments)
        yield from dict.fromkeys(arguments) if fact == "…" else (fact,)
