"""Every script says what it does and who calls it, and that is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path for path in (ROOT / "scripts").glob("*/*.*") if path.suffix in (".py", ".sh"))


def what_it_says(script: Path) -> str:
    """The docstring of a script, or the comment at its head."""
    text = script.read_text()
    if script.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    return "\n".join(line.lstrip("# ") for line in text.partition("set -euo pipefail")[0].splitlines()[1:])


def text_of(caller: str) -> str:
    """The text in which a caller names what it calls."""
    if not caller.startswith("make "):
        return (ROOT / caller).read_text()
    target = {"make setup": "$(STAMP)"}.get(caller, caller.removeprefix("make "))
    recipe = re.search(rf"(?ms)^{re.escape(target)}: .*?(?:\n\n|\Z)", (ROOT / "Makefile").read_text())
    assert recipe, caller
    # The table of `make docs` names what makes each file.
    return recipe[0] + ((ROOT / "scripts/generate/__init__.py").read_text() if target == "docs" else "")


def is_named(script: Path, text: str) -> bool:
    """Whether a text has the script's path, its module, or an import of it."""
    path = script.relative_to(ROOT)
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__").removesuffix(".__main__")
    found = re.search(rf"import .*\b{script.stem}\b", text)
    return path.as_posix() in text or path.relative_to("scripts").as_posix() in text or module in text or bool(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT / "scripts")))
def test_a_script_says_what_it_does_and_who_calls_it(script: Path) -> None:
    """A script begins with what it does, and ends that with `Called by …`: each caller that it names does call it."""
    if script.name == "__init__.py" and script.parent.name != "generate":
        return
    says = what_it_says(script)
    called = re.search(r"Called by (.+)\.$", " ".join(says.split()))
    assert called, f"{script.name}: {says[-200:]}"
    assert len(says) > len(called[0]) + 20
    for caller in re.findall(r"`([^`]+)`", called[1]):
        if not caller.startswith("docs/"):
            assert is_named(script, text_of(caller)), f"{caller} does not call {script.name}"


def test_scripts_lie_in_folders_by_what_they_are_for() -> None:
    """Beside the folders there is nothing in `scripts/`, and its docstring names each of them."""
    here = [path for path in (ROOT / "scripts").iterdir() if path.name != "__pycache__"]
    assert [path.name for path in here if path.is_file()] == ["__init__.py"]
    named = re.findall(r"`(\w+)/`", (ROOT / "scripts/__init__.py").read_text())
    assert sorted(named) == sorted(path.name for path in here if path.is_dir())
