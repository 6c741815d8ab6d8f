"""`suprsend-bridge test`: the team's own examples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failure import FOUND, Failure
from bridge.cli.rulework import directory, loaded

if TYPE_CHECKING:
    from bridge.findings import Finding
    from bridge.rules.model import RuleSet
    from bridge.rules.tools.coverage import Coverage
    from bridge.rules.tools.examples import ExampleFile, Ran

Suites = list[tuple["ExampleFile", "list[Ran]"]]


def command(
    path: Annotated[
        Path | None,
        typer.Argument(help="The directory of rules and tests, or one file of tests. Without it: config/rules."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", "-k", help="Run only tests with this text in their name.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit's XML.")
    ] = None,
    min_coverage: Annotated[
        float | None,
        typer.Option(min=0, max=100, metavar="PERCENT", help="Fail where the examples reach less, in percent."),
    ] = None,
    *,
    update: Annotated[
        bool,
        typer.Option("--update", help="Write what comes out into the tests that fail. Look at it before you keep it."),
    ] = False,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="List what no example reaches: rules, sides of each `when` and `if`.")
    ] = False,
) -> int:
    """Run the examples that stand beside the rules in *.test.yaml.

    Each says which record is given and which events must come of it, exactly. Exit code: 0, or 1 where a test fails
    or a file has mistakes.

    Example: suprsend-bridge test config/rules --min-coverage 90
    """
    from bridge.rules.tools.coverage import Coverage

    rules, files = _files(directory(path))
    ruleset = loaded(rules)
    reached = Coverage(ruleset)
    suites = _suites(ruleset, files, only, reached)
    if update:
        return _update(suites)
    failed = sum(_say(file, ran) for file, ran in suites)
    total = sum(len(ran) for _, ran in suites)
    if junit is not None:
        _write_junit(junit, suites)
    if coverage or min_coverage is not None:
        _say_coverage(reached)
    if total == 0:
        named = (
            f"no test has {only!r} in its name" if only is not None else "there are no tests: they are in *.test.yaml"
        )
        raise Failure(named)
    typer.echo(f"{_count(total, 'test')} in {_count(len(suites), 'file')}: {total - failed} passed, {failed} failed; "
               f"{reached.percent:.0f} % of rules and branches reached")  # fmt: skip
    short = min_coverage is not None and reached.percent < min_coverage
    if short:
        typer.echo(f"coverage is {reached.percent:.1f} %, below {min_coverage:g} %", err=True)
    return FOUND if failed or short else 0


def _files(path: Path) -> tuple[Path, list[Path]]:
    """The directory of the rules, and the files of tests."""
    from bridge.rules.tools.examples_reader import test_paths

    if path.is_dir():
        return path, test_paths(path)
    if not path.name.endswith((".test.yaml", ".test.yml")):
        raise Failure(f"{path} is no file of tests: they are named *.test.yaml")
    return path.parent, [path]


def _suites(ruleset: RuleSet, files: list[Path], only: str | None, reached: Coverage) -> Suites:
    """Read all tests, refuse them where one has a mistake, and run them."""
    from bridge.findings import has_errors, render
    from bridge.flow import MappingContext
    from bridge.rules.tools.examples import run_example
    from bridge.rules.tools.examples_reader import load_examples
    from bridge.rules.tools.explain import Explainer

    findings: list[Finding] = []
    sources: dict[str, str] = {}
    found: list[ExampleFile] = []
    names = {rule.name for rule in ruleset.rules}
    for path in files:
        file, wrong = load_examples(path, names)
        findings += wrong
        sources[file.path] = file.source.text
        found.append(file)
    if has_errors(findings):
        typer.echo(render(findings, "text", sources).rstrip("\n"), err=True)
        raise typer.Exit(FOUND)
    context = MappingContext(env="workspace-key-of-the-tests", namespace="tests")
    known: dict[str, Explainer] = {}
    suites: Suites = []
    for file in found:
        chosen = [one for one in file.examples if only is None or only in one.name]
        ran = [run_example(ruleset, example, context, known) for example in chosen]
        for one in ran:
            reached.add(one.explained)
        suites.append((file, ran))
    return suites


def _say(file: ExampleFile, ran: list[Ran]) -> int:
    """Say what failed; returns how many."""
    from bridge.findings import visible

    failed = [one for one in ran if one.differences]
    for one in failed:
        typer.echo(f"{visible(file.path)}:{one.example.node.start.line}: FAILED {visible(one.example.name)}")
        for difference in one.differences:
            typer.echo(f"    {visible(difference)}")
    return len(failed)


def _update(suites: Suites) -> int:
    """Write what came out; returns the exit code."""
    from bridge.rules.tools.examples_write import updated

    for file, ran in suites:
        wrong = [one for one in ran if one.differences]
        if not wrong:
            continue
        try:
            Path(file.path).write_text(updated(file.source, wrong), encoding="utf-8")
        except OSError as error:
            raise Failure(f"{file.path}: {error.strerror}") from None
        typer.echo(f"{file.path}: {_count(len(wrong), 'test')} updated: look at the changes before you keep them")
    return 0


def _write_junit(path: Path, suites: Suites) -> None:
    from bridge.rules.tools.examples_write import junit

    try:
        path.write_text(junit([(file.path, ran) for file, ran in suites]), encoding="utf-8")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None


def _say_coverage(reached: Coverage) -> None:
    for site in reached.missing():
        place = f"{site.path}:{site.line}:{site.column}" if site.line else site.path
        typer.echo(f"{place}: no example: {site.what}")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
