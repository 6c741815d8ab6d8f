"""What the documents say is there: links, commands, options and Python snippets."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer._click.core import Command
from typer.core import TyperGroup

import bridge
from bridge.cli.main import COMMANDS, load
from bridge.sandbox.process import SandboxProcess
from bridge.service import engine

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them, and those written out."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a (?:name|id)="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that exists, and its anchor a heading of it."""
    text = FENCE.sub("", page.read_text())
    for target, anchor in LINK.findall(text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        there = page if not target else (page.parent / target).resolve()
        assert there.exists(), f"{page.name}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor[1:] in _anchors(there), f"{page.name}: {target}{anchor}"


def test_every_page_is_in_the_index() -> None:
    """`docs/README.md` has each page once, in one line that says what is in it; decisions are in the index of their own."""
    for index in (ROOT / "docs/README.md", ROOT / "docs/adr/README.md"):
        pages = {page for page in index.parent.rglob("*.md") if page != index}
        if index.parent.name != "adr":
            pages = {page for page in pages if page.parent.name != "adr" or page.name == "README.md"}
        linked = [(index.parent / target).resolve() for target, _ in LINK.findall(index.read_text())]
        assert pages <= set(linked), sorted(str(page.relative_to(ROOT)) for page in pages - set(linked))
        assert len(set(linked)) == len(linked)
    lines = [line for line in (ROOT / "docs/README.md").read_text().splitlines() if line.startswith("-")]
    assert all(re.fullmatch(r"- \[[^\]]+\]\([^)]+\): \S.{10,}", line) for line in lines)


ROAD = ["source", "lanes", "decode", "map", "batch", "deliver", "dead letter", "finish", "offsets", "commit"]
"""The way of a record, as the code has it: it stays raw until a call has room for it."""


def test_the_order_on_the_sign_is_that_of_the_code() -> None:
    """README, CONTRIBUTING and the engine name the stations of a record in the order in which it passes them."""
    sign = re.search(r"^source → .* → commit$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert sign
    assert [station.strip("()") for station in sign[0].split(" → ")] == ROAD
    assert re.findall(r"^    ([a-z]+(?: letter)?)  ", engine.__doc__ or "", re.MULTILINE) == ROAD
    drawn = next(text for text in (ROOT / "README.md").read_text().split("```") if "┌" in text)
    # From the left to the right above, and from the right to the left below; "dead-letter" stands beside "finish".
    above, below = drawn.split("▲")
    assert [word for word in re.findall(r"[a-z]+", above) if word in ROAD] == [
        "lanes",
        "decode",
        "map",
        "batch",
        "deliver",
    ]
    assert [word for word in re.findall(r"dead-letter|[a-z]+", below) if word.replace("-", " ") in ROAD] == [
        "dead-letter", "finish", "commit", "offsets",
    ]  # fmt: skip


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", "docs/adr/README.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    """Each path of the tree that stands in these pages leads to a file or folder."""
    named = re.findall(r"`((?:bridge|config|docs|scripts|tests|helm|deploy)/[\w./-]*)`", (ROOT / page).read_text())
    package = Path(bridge.__file__).parents[1]
    assert [path for path in named if not ((package if path.startswith("bridge/") else ROOT) / path).exists()] == []


def _commands(page: Path) -> Iterator[list[str]]:
    """Each `suprsend-bridge …` in the page's shell blocks and inline code."""
    text = page.read_text()
    lines = [
        line for kind, body in FENCE.findall(text) if kind in ("bash", "console", "sh") for line in body.splitlines()
    ]
    lines += re.findall(r"`((?:\.venv/bin/)?suprsend-bridge [a-z][^`]*)`", FENCE.sub("", text))
    for line in lines:
        match = re.match(r"(?:\$ )?(?:\.venv/bin/)?suprsend-bridge ([a-z].*)", line.strip().rstrip("\\"))
        if match:
            try:
                yield shlex.split(re.split(r" [|<>&#]|<<<|…", match[1])[0])
            except ValueError:
                yield match[1].split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_pages_exist_with_their_options(page: Path) -> None:
    """Every `suprsend-bridge NAME --option` in a page is a command with that option."""
    known = {entry.name for entry in COMMANDS}
    for words in _commands(page):
        names = [name for name in words[0].split("|") if name]
        assert set(names) <= known, f"{page.name}: suprsend-bridge {words[0]}"
        command: Command = load(names[0])
        if isinstance(command, TyperGroup) and len(words) > 1 and not words[1].startswith("-"):
            command = command.commands[words[1].split("|")[0]]
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in words[1:]:
            if word.startswith("--"):
                assert word.split("=")[0].strip("[]()|,.;:") in options, (
                    f"{page.name}: suprsend-bridge {' '.join(words)}"
                )


def test_make_targets_in_the_pages_exist() -> None:
    """Every `make NAME` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE):
            assert name in targets, f"{page.name}: make {name}"


def _snippets() -> list[tuple[str, str]]:
    return [
        (f"{page.relative_to(ROOT)}:{number}", body)
        for page in PAGES
        for number, (kind, body) in enumerate(FENCE.findall(page.read_text()))
        if kind == "python"
    ]


@pytest.mark.parametrize(("where", "snippet"), _snippets(), ids=lambda value: value if len(value) < 60 else "")
def test_python_snippets_run_against_the_sandbox(where: str, snippet: str, tmp_path: Path) -> None:
    """A snippet of the pages, with the sandbox's address and keys put in, ends without an error."""
    with SandboxProcess() as sandbox:
        workspace = sandbox.workspace
        call = rf'Client("{workspace.key}", "{workspace.secret}", base_url="{sandbox.url}")'
        program = tmp_path / "snippet.py"
        program.write_text(re.sub(r'Client\("[^"]*", "[^"]*"\)', call, snippet))
        done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{where}\n{done.stderr}"
        assert sandbox.stats()["events"]["accepted"] > 0
