"""Change one comparison, constant or early end of the delivery core at a time, and see whether anything notices.

    python -m scripts.proof.mutants bridge/delivery/stuck.py     one file, in minutes
    python -m scripts.proof.mutants --jobs 2                     all of delivery and offsets, overnight

Each mutant runs in a process of its own: first the tests that came by the changed line (a run under coverage says which),
then some runs of the simulator. What survives both is printed and held against `tests/mutants.toml`, where the known
survivors stand with their reasons. Exits 1 where another survives.

Called by `make mutants`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("bridge/delivery", "bridge/offsets")
TESTS: Final = (
    "tests/delivery",
    "tests/kafka/test_commits.py",
    "tests/kafka/test_shadow.py",
    "tests/kafka/test_start.py",
    "tests/kafka/test_starting.py",
    "tests/replay/test_keys.py",
    "tests/replay/test_letters.py",
    "tests/simulation/test_regressions.py",
)
KNOWN: Final = ROOT / "tests" / "mutants.toml"
MOST_SECONDS: Final = 180
"""A mutant that takes longer hangs, and that is noticed."""
MOST_BYTES: Final = 4 << 30
SEEDS: Final = range(9_100_000, 9_100_030)
"""The simulator's runs that have to notice what the tests do not."""

_OPPOSITE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_SIGN: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_CONDITIONAL: Final = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.ExceptHandler, ast.match_case)
_UNTOUCHED: Final = ("annotation", "returns", "decorator_list")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file. `number` is the place of the changed node in the order of `_nodes`."""

    file: str
    number: int
    line: int
    text: str
    """The line as it stands: it names the mutant where line numbers would move."""
    change: str

    @property
    def name(self) -> tuple[str, str, str]:
        return self.file, self.text, self.change


def mutants(file: str, source: str) -> list[Mutant]:
    """Every change that is made in a file, in the order of its lines."""
    lines = source.splitlines()
    seen: Counter[tuple[int, str]] = Counter()
    found = []
    for number, (node, parent) in enumerate(_nodes(ast.parse(source))):
        change = _change_of(node, parent)
        if change is not None:
            line: int = node.lineno  # type: ignore[attr-defined] # what is changed stands somewhere
            seen[line, change] += 1
            again = f" ({seen[line, change]})" if seen[line, change] > 1 else ""
            found.append(Mutant(file, number, line, lines[line - 1].strip(), change + again))
    return sorted(found, key=lambda mutant: (mutant.line, mutant.number))


def mutated(source: str, number: int) -> ast.Module:
    """The tree of a file with one of its mutants' changes made."""
    tree = ast.parse(source)
    node, parent = list(_nodes(tree))[number]
    if isinstance(node, ast.Compare):
        node.ops[0] = _OPPOSITE[type(node.ops[0])]()
    elif isinstance(node, ast.Constant):
        node.value = _other(node.value)
    else:
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(parent, name, [])
            if node in statements:
                statements[statements.index(node)] = ast.copy_location(ast.Pass(), node)
    return tree


def _nodes(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node that something runs, with the one around it."""
    for name, value in ast.iter_fields(tree):
        if name in _UNTOUCHED:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Assert) and not _asserts(child):
                yield child, tree
                yield from _nodes(child)


def _asserts(node: ast.AST) -> bool:
    """`strict=True` of a `zip` is an assertion, too."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _change_of(node: ast.AST, parent: ast.AST) -> str | None:
    if isinstance(node, ast.Compare):
        sign = type(node.ops[0])
        return f"{_SIGN[sign]} becomes {_SIGN[_OPPOSITE[sign]]}"
    if isinstance(node, ast.Constant) and type(node.value) in {int, float, bool}:
        return f"{node.value!r} becomes {_other(node.value)!r}"
    if isinstance(node, ast.Return | ast.Continue | ast.Break) and isinstance(parent, _CONDITIONAL):
        return f"{type(node).__name__.lower()} goes"
    return None


def _other(value: object) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    assert isinstance(value, int | float)
    return value + 1


class Changed(SourceFileLoader):
    """Loads one module with a change in it."""

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self._tree = tree

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        code: CodeType = compile(self._tree, self.path, "exec")
        return code


class Finder:
    """Finds the changed module before Python's own finders find the file."""

    def __init__(self, loader: Changed) -> None:
        self._loader = loader

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if name != self._loader.name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


class Watched:
    """Tells coverage which test runs, by its node id, and keeps how long each takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        from coverage import Coverage

        running = Coverage.current()
        assert running is not None
        running.switch_context(nodeid)
        self.seconds[nodeid] = -time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.seconds[nodeid] += time.monotonic()


class Only:
    """Leaves the tests out that do not come by, and takes the quick ones first."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._at = {nodeid: at for at, nodeid in enumerate(wanted)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        wanted = [item for item in items if item.nodeid in self._at]
        items[:] = sorted(wanted, key=lambda item: self._at[item.nodeid])


@dataclass(frozen=True, slots=True)
class Coming:
    """Which tests come by a line, the quickest first; all of them where it runs at import, or nothing says that it runs."""

    by_line: dict[str, dict[int, list[str]]]
    every: list[str]

    def by(self, mutant: Mutant) -> list[str]:
        return self.by_line.get(mutant.file, {}).get(mutant.line) or self.every


def run_tests(tests: Sequence[str], plugin: object) -> int:
    """pytest's exit code."""
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[plugin]))


def coming(tests: Sequence[str], folder: Path) -> Coming:
    """Run all tests once, in a child, and see which of them come by which line."""
    pid = os.fork()
    if not pid:
        _watch(tests, folder)
    if os.waitpid(pid, 0)[1]:
        message = "the tests fail without any change: " + (folder / "watched.log").read_text()[-2_000:]
        raise SystemExit(message)
    from coverage import CoverageData

    seconds: dict[str, float] = json.loads((folder / "seconds").read_text())
    data = CoverageData(str(folder / "data"))
    data.read()
    by_line = {
        str(Path(file).relative_to(ROOT)): {
            line: sorted((one for one in names if one), key=lambda one: seconds[one])
            for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    return Coming(by_line, sorted(seconds, key=lambda one: seconds[one]))


def _watch(tests: Sequence[str], folder: Path) -> NoReturn:
    """The child of `coming`: the modules that it imports are not there for the mutants' children."""
    _into(folder / "watched.log")
    code = 1
    with contextlib.suppress(BaseException):
        from coverage import Coverage

        coverage = Coverage(data_file=str(folder / "data"), source=list(ROOMS), config_file=False)
        watched = Watched()
        coverage.start()
        code = run_tests(tests, watched)
        coverage.stop()
        coverage.save()
        (folder / "seconds").write_text(json.dumps(watched.seconds))
    os._exit(code)


def _into(log: Path) -> None:
    out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)


def survives_tests(wanted: Sequence[str]) -> bool:
    """Whether all of the wanted tests pass."""
    return run_tests(sorted({nodeid.partition("::")[0] for nodeid in wanted}), Only(wanted)) == 0


def survives_simulator() -> bool:
    """Whether the simulator finds no violation, and nothing raises."""
    from tests.simulation.faults import Case
    from tests.simulation.shrink import outcome

    return all(outcome(Case(seed, 6_000))[0] is None for seed in SEEDS)


def in_child(mutant: Mutant, body: Callable[[], bool], log: Path) -> int:
    """Run something with the change in place; returns the child's pid, which exits with 0 where `body` says True."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    _into(log)
    survived = False
    with contextlib.suppress(BaseException):
        path = ROOT / mutant.file
        name = mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        loader = Changed(name, str(path), mutated(path.read_text(encoding="utf-8"), mutant.number))
        sys.meta_path.insert(0, Finder(loader))  # a finder needs no more than `find_spec`
        survived = body()
    os._exit(0 if survived else 1)


def surviving(
    given: Sequence[Mutant], body_of: Callable[[Mutant], Callable[[], bool]], jobs: int, folder: Path
) -> list[Mutant]:
    """Those of the mutants that nothing notices, tried in children side by side."""
    waiting, left = list(reversed(given)), []
    running: dict[int, tuple[Mutant, float]] = {}
    total = len(given)
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            pid = in_child(mutant, body_of(mutant), folder / f"{len(waiting)}.log")
            running[pid] = mutant, time.monotonic() + MOST_SECONDS
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            mutant, _ = running.pop(pid)
            if status == 0:
                left.append(mutant)
                print(f"  {mutant.file}:{mutant.line}: {mutant.change}: {mutant.text}", flush=True)
            done = total - len(waiting) - len(running)
            if done % 100 == 0:
                print(f"{done} of {total}, {len(left)} left", flush=True)
            continue
        for child, (_, until) in running.items():
            if time.monotonic() > until:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)
    return left


def known(file: Path = KNOWN) -> dict[tuple[str, str, str], str]:
    """The survivors that are known, with the reason why each changes nothing that anybody could see."""
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["survivor"] if file.exists() else []
    return {(row["file"], row["text"], row["change"]): row["reason"] for row in rows}


def main() -> int:
    """Read the options, make the mutants, try them, print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("files", nargs="*", help="files of delivery and offsets; all if none is given")
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--json", type=Path, help="where to write the survivors")
    given = options.parse_args()
    os.chdir(ROOT)
    # What the children need and no mutant is of; they are forked, and begin with it loaded.
    for name in ("hypothesis", "hypothesis.stateful", "pytest", "orjson", "structlog", "confluent_kafka"):
        importlib.import_module(name)
    files = given.files or sorted(str(path) for room in ROOMS for path in Path(room).glob("*.py"))
    made = [mutant for file in files for mutant in mutants(file, Path(file).read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = coming(TESTS, folder)
        print(f"{len(made)} mutants of {len(files)} files; survivors of the tests:", flush=True)
        left = surviving(made, lambda mutant: _tests_of(mutant, tests), given.jobs, folder)
        print(f"{len(left)} of {len(made)} survived the tests; survivors of the simulator:", flush=True)
        left = surviving(left, lambda _: survives_simulator, given.jobs, folder)
    reasons = known()
    strangers = [mutant for mutant in left if mutant.name not in reasons]
    share = 100 * len(left) / max(1, len(made))
    print(f"{len(made)} mutants, {len(left)} survive ({share:.1f} %), {len(strangers)} of them not known:")
    for mutant in strangers:
        print(f"  {mutant.file}:{mutant.line}: {mutant.change}: {mutant.text}")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(mutant) for mutant in left], indent=1))
    return 1 if strangers else 0


def _tests_of(mutant: Mutant, tests: Coming) -> Callable[[], bool]:
    return lambda: survives_tests(tests.by(mutant))


if __name__ == "__main__":
    sys.exit(main())
