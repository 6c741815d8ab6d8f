"""The tables of `docs/delivery.md` that have their home in the code; the text around them is written by hand.

Called by `make docs` and `tests/test_delivery_page.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from bridge.cli.main import load
from bridge.delivery.admission import EVERYWHERE, KINDS, Reason
from bridge.suprsend.answers import answer_table

__all__ = ["filled", "page", "table"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "delivery.md"

MEANING: dict[Reason, str] = {
    Reason.SETUP: "SuprSend refuses the keys, the host is unknown, a proxy is in the way",
    Reason.UNREADABLE: "ten answers in a row say they are fine, and nobody can read them",
    Reason.WORKSPACE: "the changed secret is another workspace's",
    Reason.REWIND: "somebody set the group back below what was delivered",
    Reason.RETENTION_GAP: "Kafka deleted records before they were read",
    Reason.BRAKE: "too many records of a rule are refused",
    Reason.HALT: "a rule with `on_error: halt` failed on this record",
    Reason.STORM: "too many events for one person, with `storm.action: hold`",
    Reason.DEAD_LETTER_TOPIC: "Kafka does not take a dead letter",
    Reason.DEDUPE_EXPIRED: "a repeat that SuprSend might take for new, with `on_dedupe_expired: hold`",
    Reason.OVERSIZED: "something on the way, not SuprSend, takes no call of this size, though it has this event alone",
    Reason.OPERATOR: "`suprsend-bridge pause`",
}

COMMANDS = (
    "pause",
    "resume",
    "skip",
    "accept-rewind",
    "run --dry-run",
    "dlq replay",
    "dlq replay --dry-run",
    "dlq replay --allow-repeats",
)
"""What does something to records: the page says it in the words of the help."""


def page() -> str:
    """The page with its tables filled from the code."""
    text = filled(PAGE.read_text(encoding="utf-8"), "holds", _holds())
    text = filled(
        text, "commands", table(("command", "what it does"), [(f"`{name}`", _help(name)) for name in COMMANDS])
    )
    return filled(text, "answers", _answers())


def _help(name: str) -> str:
    """What a command, or an option of one, says of itself; without its examples."""
    words = [word for word in name.split() if not word.startswith("--")]
    command = load(words[0])
    for word in words[1:]:
        command = command.commands[word]
    options = [option for option in name.split() if option.startswith("--")]
    text = next(each.help for each in command.params if each.opts[0] in options) if options else command.help
    return " ".join(
        " ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n") if not part.startswith("Example: ")
    )


def filled(text: str, name: str, made: str) -> str:
    """Put a table between the two marks of its name."""
    begin, rest = text.split(f"<!-- {name} -->\n", 1)
    _, end = rest.split(f"<!-- /{name} -->", 1)
    return f"{begin}<!-- {name} -->\n{made}<!-- /{name} -->{end}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _holds() -> str:
    rows = [
        (
            f"`{reason}`",
            MEANING[reason],
            "everything" if reason in EVERYWHERE else "the partition",
            KINDS[reason].lifted_by,
            "yes" if KINDS[reason].heals else "no",
        )
        for reason in Reason
    ]
    return table(("reason", "what happened", "stops", "lifted by", "goes on by itself"), rows)


def _answers() -> str:
    rows = [
        (
            row.of,
            row.status or "any",
            row.type and f"`{row.type}`",
            row.message and f"`{row.message}`",
            row.shape and f"`{row.shape}`",
            f"`{row.verdict}`",
            row.why,
        )
        for row in answer_table()
    ]
    return table(("asked of", "status", "type", "message (regular expression)", "shape", "verdict", "why"), rows)
