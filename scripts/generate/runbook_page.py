"""The tables of `docs/runbook.md` and `docs/asking-suprsend.md` that have their home in the code.

Called by `make docs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridge.asking.questions import QUESTIONS, Question
from bridge.suprsend.causes import CAUSES, CLASSES, OURS, THEIRS
from scripts.generate.delivery_page import filled, table

__all__ = ["asking", "runbook"]

_DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_PROXY: Final = "proxy_"


def runbook() -> str:
    """The page with its tables filled from the code."""
    text = (_DOCS / "runbook.md").read_text(encoding="utf-8")
    return filled(filled(text, "causes", _causes()), "answers-on-the-way", _answers())


def asking() -> str:
    """The page of the questions."""
    text = (_DOCS / "asking-suprsend.md").read_text(encoding="utf-8")
    rows = [(f"`{each.name}`", each.asks, each.person, _expected(each), each.why, each.acts) for each in QUESTIONS]
    head = ("question", "asks", "what it does to the person", "expected", "because", "the bridge")
    return filled(text, "questions", table(head, rows))


def _causes() -> str:
    rows = [
        (f"`{name}`", cause.says, cause.do)
        for name, cause in CAUSES.items()
        if not (name.startswith(_PROXY) and name.removeprefix(_PROXY) in CAUSES)
    ]
    return table(("cause", "what is told", "do"), rows)


def _answers() -> str:
    rows = [(str(status), "SuprSend's JSON", do) for status, do in OURS.items()]
    rows += [(str(status), "another server or proxy", do) for status, do in sorted(THEIRS.items())]
    rows += [(f"other {digit}xx", "another server or proxy", do) for digit, do in CLASSES.items()]
    return table(("status", "from", "what is told"), rows)


def _expected(question: Question) -> str:
    return "; then ".join(" or ".join(_counted(text) for text in verdicts) for verdicts in question.expected)


def _counted(verdicts: str) -> str:
    words = verdicts.split(", ")
    return f"{words[0]} ({len(words)} times)" if len(words) > 2 else verdicts
