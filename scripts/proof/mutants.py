"""Change one comparison, constant or early end of the delivery core at a time, and see whether anything notices.

    python -m scripts.proof.mutants bridge/delivery/stuck.py     one file, in minutes
    python -m scripts.proof.mutants --jobs 2                     all of delivery and offsets, overnight

Each mutant runs in a process of its own: first the tests that came by the changed line (a run under coverage says which),
the quickest first, in a child of a process that has collected them all: the changed function gets its code in place. What
is no function's (a constant, a default) is there when its module is imported, and all tests run. Then come some runs of
the simulator. What survives both is printed and held against `tests/mutants.toml`, where the known
survivors stand with their reasons. Exits 1 where another survives.

Called by `make mutants`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

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
MOST_SECONDS: Final = 60
"""Of the processor. A mutant that takes longer hangs, and that is noticed."""
MOST_WAITING: Final = 1_800
"""Seconds by the clock, on whatever machine."""
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

    def __init__(self, folder: Path) -> None:
        from coverage import Coverage

        self._coverage = Coverage(data_file=str(folder / "data"), source=list(ROOMS), config_file=False)
        self._seconds: dict[str, float] = {}
        self._file = folder / "seconds"

    def run(self, items: Sequence[Any]) -> bool:
        self._coverage.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._coverage.switch_context(item.nodeid)
            began = time.monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._seconds[item.nodeid] = time.monotonic() - began
        self._coverage.stop()
        self._coverage.save()
        self._file.write_text(json.dumps(self._seconds))
        return not items[0].session.testsfailed


class Coming:
    """Which tests come by a line, the quickest first."""

    def __init__(self, folder: Path) -> None:
        from coverage import CoverageData

        seconds: dict[str, float] = json.loads((folder / "seconds").read_text())
        self.every = sorted(seconds, key=lambda one: seconds[one])
        data = CoverageData(str(folder / "data"))
        data.read()
        self._by_line = {
            str(Path(file).relative_to(ROOT)): {
                line: sorted(filter(None, names), key=lambda one: seconds[one])
                for line, names in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }

    def near(self, file: str) -> list[str]:
        """The tests that come by any line of a file."""
        found = set(chain.from_iterable(self._by_line.get(file, {}).values()))
        return [one for one in self.every if one in found]

    def by(self, mutant: Mutant) -> list[str]:
        """Of a statement over several lines not all need to count as run: those of the line before then."""
        lines = self._by_line.get(mutant.file, {})
        return lines.get(max((line for line in lines if line <= mutant.line), default=0), [])


class Trial:
    """A plugin that runs no tests, but tries mutants in children of a process that has them all collected.

    `left` survived; `others` are not in the body of a function, and have to be there when their module is imported.
    """

    def __init__(self, made: Sequence[Mutant], jobs: int, folder: Path) -> None:
        self._made, self._jobs, self._folder = made, jobs, folder
        self.left: list[Mutant] = []
        self.others: list[Mutant] = []
        self.near: dict[str, list[str]] = {}
        self.every: list[str] = []

    def pytest_runtestloop(self, session: Any) -> bool:
        items = {item.nodeid: item for item in session.items}
        if not passed(lambda: Watched(self._folder).run(session.items), self._folder / "watched.log"):
            raise SystemExit(
                "the tests fail without any change:\n" + (self._folder / "watched.log").read_text()[-3_000:]
            )
        coming = Coming(self._folder)
        self.every = coming.every
        self.near = {mutant.file: coming.near(mutant.file) for mutant in self._made}
        changes = {mutant: changed_functions(mutant) for mutant in self._made}
        self.others = [mutant for mutant in self._made if not changes[mutant]]

        def survives(mutant: Mutant) -> bool:
            for function, code in changes[mutant]:
                function.__code__ = code
            wanted = [items[nodeid] for nodeid in coming.by(mutant)]
            for item, following in zip(wanted, [*wanted[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return False
            return True

        gc.freeze()
        tried = [mutant for mutant in self._made if changes[mutant]]
        self.left = surviving(tried, survives, self._jobs, self._folder)
        return True


def changed_functions(mutant: Mutant) -> list[tuple[FunctionType, CodeType]]:
    """The loaded functions whose bodies a mutant changes, with the changed code; none where it changes something else."""
    path = ROOT / mutant.file
    tree = mutated(path.read_text(encoding="utf-8"), mutant.number)
    new = {(code.co_qualname, code.co_firstlineno): code for code in _codes(compile(tree, str(path), "exec"))}
    found = []
    for function in _functions(str(path)):
        old = function.__code__
        code = new.get((old.co_qualname, old.co_firstlineno), old)
        if code != old:
            if code.co_freevars != old.co_freevars:
                return []
            found.append((function, code))
    return found


@cache
def _functions(path: str) -> list[FunctionType]:
    return [each for each in gc.get_objects() if isinstance(each, FunctionType) and each.__code__.co_filename == path]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


class Only:
    """Leaves the other tests out, and takes the quick ones first."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._at = {nodeid: at for at, nodeid in enumerate(wanted)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._at), key=lambda item: self._at[item.nodeid])


def run_pytest(tests: Sequence[str], plugin: object) -> int:
    """pytest's exit code. Random choices are the same each time, and no test is too slow."""
    import pytest
    from hypothesis import settings

    settings.register_profile("mutants", derandomize=True, deadline=None, database=None)
    settings.load_profile("mutants")
    return int(pytest.main(["-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[plugin]))


def survives_all(near: Mapping[str, Sequence[str]], every: Sequence[str], mutant: Mutant) -> bool:
    """Whether all tests pass: what is not in a function may matter to any of them. Those that come by its file are first."""
    load_changed(mutant)
    files = sorted({nodeid.partition("::")[0] for nodeid in near[mutant.file]})
    first = not files or run_pytest(files, Only(near[mutant.file])) == 0
    return first and run_pytest(TESTS, Only(every)) == 0


def survives_simulator(mutant: Mutant) -> bool:
    """Whether the simulator finds no violation, and nothing raises."""
    load_changed(mutant)
    from tests.simulation.faults import Case
    from tests.simulation.shrink import outcome

    return all(outcome(Case(seed, 6_000))[0] is None for seed in SEEDS)


def load_changed(mutant: Mutant) -> None:
    """From now on the module is imported with the change in it."""
    path = ROOT / mutant.file
    name = mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    loader = Changed(name, str(path), mutated(path.read_text(encoding="utf-8"), mutant.number))
    sys.meta_path.insert(0, Finder(loader))  # a finder needs no more than `find_spec`


def in_child(body: Callable[[], bool], log: Path) -> int:
    """Run something in a child; returns its pid, which exits with 0 where `body` says True."""
    pid = os.fork()
    if pid:
        return pid
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    survived = False
    with contextlib.suppress(BaseException):
        survived = body()
    os._exit(0 if survived else 1)


def passed(body: Callable[[], bool], log: Path) -> bool:
    """Whether `body` says True, in a child."""
    return os.waitpid(in_child(body, log), 0)[1] == 0


def surviving(given: Sequence[Mutant], survives: Callable[[Mutant], bool], jobs: int, folder: Path) -> list[Mutant]:
    """Those of the mutants that survive, tried in children side by side."""
    waiting, left = list(reversed(given)), []
    running: dict[int, tuple[Mutant, float]] = {}
    total = len(given)
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            pid = in_child(partial(survives, mutant), folder / f"{len(waiting)}.log")
            running[pid] = mutant, time.monotonic() + MOST_WAITING
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


def tried_in_place(
    made: Sequence[Mutant], jobs: int, folder: Path
) -> tuple[list[Mutant], list[Mutant], dict[str, list[str]], list[str]]:
    """The survivors, the mutants that cannot be tried in place, the tests by file, and all tests.

    In a child, which imports what it tries.
    """
    trial = Trial(made, jobs, folder)

    def body() -> bool:
        code = run_pytest(TESTS, trial)
        numbers = [[made.index(mutant) for mutant in some] for some in (trial.left, trial.others)]
        (folder / "tried").write_text(json.dumps([*numbers, trial.near, trial.every]))
        return code == 0

    pid = os.fork()
    if not pid:
        worked = False
        with contextlib.suppress(Exception):
            worked = body()
        os._exit(0 if worked else 1)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(1)
    left, others, near, every = json.loads((folder / "tried").read_text())
    return [made[at] for at in left], [made[at] for at in others], near, every


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
    print(f"{len(made)} mutants of {len(files)} files; survivors of the tests:", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        left, others, near, every = tried_in_place(made, given.jobs, folder)
        print(f"{len(others)} of them in no function, which all tests try:", flush=True)
        left += surviving(others, partial(survives_all, near, every), given.jobs, folder)
        print(f"{len(left)} of {len(made)} survived the tests; survivors of the simulator:", flush=True)
        left = surviving(left, survives_simulator, given.jobs, folder)
    reasons = known()
    strangers = [mutant for mutant in left if mutant.name not in reasons]
    share = 100 * len(left) / max(1, len(made))
    print(f"{len(made)} mutants, {len(left)} survive ({share:.1f} %), {len(strangers)} of them not known:")
    for mutant in strangers:
        print(f"  {mutant.file}:{mutant.line}: {mutant.change}: {mutant.text}")
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(mutant) for mutant in left], indent=1))
    return 1 if strangers else 0


if __name__ == "__main__":
    sys.exit(main())
