"""Who writes what: each fact of a partition has one owner, and records end in one place."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bridge.delivery
from bridge.delivery.batch import Partition

FOLDER = Path(bridge.delivery.__file__).parent
FILES = {path.stem: ast.parse(path.read_text()) for path in sorted(FOLDER.glob("*.py"))}
OWNERS = [
    (each.name if isinstance(each, ast.ClassDef) else name, each) for name, tree in FILES.items() for each in tree.body
]
"""Each class, and what else stands in each file."""


def targets(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Every attribute that is assigned or deleted, also an entry of it."""
    for node in ast.walk(tree):
        found = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [getattr(node, "target", None)]
        for target in (each for one in found for each in (one.elts if isinstance(one, ast.Tuple) else [one])):
            while isinstance(target, ast.Subscript):
                target = target.value
            if isinstance(target, ast.Attribute):
                yield target


def test_each_attribute_of_a_partition_is_written_by_one_class() -> None:
    """Beside its first value no attribute of a partition has two classes that write it."""
    writers: defaultdict[str, set[str]] = defaultdict(set)
    for name, body in OWNERS:
        for target in targets(body):
            if isinstance(target.value, ast.Name) and target.value.id == "part":
                writers[target.attr].add(name)
            owned = isinstance(target.value, ast.Attribute) and target.value.attr in ("lanes", "ledger")
            assert not owned, f"{name}: {ast.unparse(target)} is written outside its class"
    assert writers.keys() <= set(Partition.__slots__)
    assert {name: owners for name, owners in writers.items() if len(owners) > 1} == {}
    assert writers["send_limit"] == {"SendLimits"}


def test_records_end_in_one_file() -> None:
    """Nobody but `finish` marks the ledger, and counts outcomes."""
    for name, tree in FILES.items():
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        marks = [
            each for each in calls if isinstance(each, ast.Attribute) and ast.unparse(each).endswith("ledger.finish")
        ]
        counts = [target for target in targets(tree) if target.attr == "finished"]
        assert bool(marks or counts) is (name == "finish"), name
