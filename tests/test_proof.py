"""`tests/PROOF.md` has a row for each requirement and each promise, and every test that it names exists.

Promises stand in `docs/delivery.md` and in the help of the commands. Both are taken apart into sentences: each names its
test on the page, has a row, or is listed among those that promise nothing.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from typer._click.core import Command
from typer.core import TyperGroup

from bridge.cli.main import COMMANDS, load
from tests.soak.matrix import ROWS

TESTS = Path(__file__).parent
TEXT = (TESTS / "PROOF.md").read_text(encoding="utf-8")
PAGE = (TESTS.parent / "docs" / "delivery.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
LEAST = {
    "Rules of consuming": 16,
    "Answers to a commit": 5,
    "Fault matrix": 18,
    "Invariants": 10,
    "Lessons: offsets and rebalances": 11,
    "Lessons: delivery": 8,
    "Lessons: memory and stalls": 5,
    "Lessons: rules": 6,
    "Decisions": 60,
    "Sentences of the delivery page": 70,
    "Sentences of the help": 120,
}
"""Section → rows that it has at least."""


def rows(section: str) -> list[list[str]]:
    """The cells of the rows of a section's table, without its head."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("section", LEAST)
def test_each_requirement_is_shown_by_a_test(section: str) -> None:
    """No row is without a test, and none was lost."""
    found = rows(section)
    assert len(found) >= LEAST[section]
    for row in found:
        assert re.search(r"`[\w/]+\.py::test_\w+`", row[-1]), row


def test_every_test_that_is_named_exists() -> None:
    """A test that was renamed or removed is noticed here, and so is a row of the soak."""
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 150
    missing = [f"{path}::{name}" for path, name in named if name not in functions(TESTS / path)]
    assert missing == []
    assert set(re.findall(r"soak `([\w-]+)`", TEXT)) <= ROWS.keys()


NAMED = re.compile(r"`tests/[\w/]+\.py(?:::\w+)?`")
"""A test, as the page names it."""
NO_PROMISE = re.compile(r"\*\*(?:Assumes|Does not say)\*\* |\*\*[^*]+\*\*(?: \([^)]*\))?\.?$|Example: ")
"""Sentences that promise nothing by their form: what is assumed or denied, leads in bold type, examples."""


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph; names of tests behind a full stop belong to the sentence before it."""
    found: list[str] = []
    for part in re.split(r"(?<=\.)\s+|(?<=\.\*\*)\s+", " ".join(text.split())):
        if found and not re.search(r"\w", NAMED.sub("", part)):
            found[-1] += " " + part
        else:
            found.append(part)
    return [sentence for sentence in found if sentence and not NO_PROMISE.match(sentence)]


def of_the_page() -> Iterator[str]:
    """Each sentence of the delivery page, and each row of its tables; not what is generated, nor the diagram."""
    text = re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->|```.*?```", "", PAGE, flags=re.DOTALL)
    text = re.sub(r"^\|.*\n\|[-|]+\n", "\n", re.sub(r"^#.*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|\n(?=[|-])", text):
        if block.strip().startswith("|"):
            yield " / ".join(cell.strip() for cell in block.strip().strip("|").split("|"))
        else:
            yield from sentences(block.strip().removeprefix("- "))


def of_the_help() -> Iterator[str]:
    """Each sentence of `suprsend-bridge COMMAND --help`, for every command and each of its options."""
    for entry in COMMANDS:
        yield from sentences(entry.help)
        command: Command = load(entry.name)
        for each in (command, *(command.commands.values() if isinstance(command, TyperGroup) else ())):
            texts = [each.help or "", *(getattr(parameter, "help", None) or "" for parameter in each.params)]
            for paragraph in (part for text in texts for part in inspect.cleandoc(text).split("\n\n")):
                yield from sentences(paragraph)


def quoted(quote: str, sentence: str) -> bool:
    """Whether a sentence is the one that is quoted: whole, or with ` … ` for what is left out."""
    begin, *more = quote.split(" …")
    ends = not more or sentence.endswith(more[-1].strip())
    return sentence == quote if not more else sentence.startswith(begin) and ends


def test_a_sentence_is_known_by_its_quote() -> None:
    """What was changed at its beginning or end is another sentence."""
    sentence = "It is tried again every few seconds and goes on by itself."
    assert quoted(sentence, sentence)
    assert quoted("It is tried again … by itself.", sentence)
    assert quoted("It is tried again …", sentence)
    assert not quoted("It is tried again", sentence)
    assert not quoted("It is tried again … by hand.", sentence)
    assert sentences(f"{sentence} `tests/a.py::test_b`.\n**Assumes** that. And so on.") == [
        f"{sentence} `tests/a.py::test_b`.",
        "And so on.",
    ]


@pytest.mark.parametrize(
    ("section", "said"),
    [("Sentences of the delivery page", of_the_page), ("Sentences of the help", of_the_help)],
    ids=["page", "help"],
)
def test_every_sentence_that_promises_something_has_its_test(section: str, said: Callable[[], Iterable[str]]) -> None:
    """A sentence that is new, or changed, wants a test that shows it; a row whose sentence is gone goes, too."""
    there = list(dict.fromkeys(said()))
    assert len(there) > 80
    shown, idle = ([row[0] for row in rows(name)] for name in (section, f"{section} that promise nothing"))
    open_ones = [
        sentence
        for sentence in there
        if not (NAMED.search(sentence) or any(quoted(quote, sentence) for quote in (*shown, *idle)))
    ]
    assert open_ones == [], f"a test behind it on the page, or a row under `{section}` in tests/PROOF.md"
    found = Counter(quote for quote in (*shown, *idle) for sentence in there if quoted(quote, sentence))
    assert [quote for quote in (*shown, *idle) if found[quote] != 1] == [], (
        "these are the beginning of no sentence, or of several"
    )
    assert len(idle) < len(shown) / 3, "most of what is said is a promise"
