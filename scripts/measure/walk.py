"""Follows single records through the pure core, and counts what a reader must hold to follow them.

    python -m scripts.measure.walk            a row per walk
    python -m scripts.measure.walk --list     … and every function entered, with its calls
    python -m scripts.measure.walk --json     the same for programs

A profiler hook around the real classes, with no Kafka and no HTTP: a good record, a 503, a record that cannot be mapped,
a revoke, a reload, and `suprsend-bridge check`. `core` are the files of the pure rooms that are entered, `files` those of the
whole package; `value()` is how often the record was asked for its bytes, `parses` how often they were read as JSON.

Called by `make walk` and `tests/test_walk.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import bridge.jsontext

PARSED: Final[list[object]] = []
"""Every text that was read as JSON."""


def _parse(text: Any, _loads: Callable[[Any], Any] = bridge.jsontext.loads) -> Any:
    PARSED.append(text)
    return _loads(text)


# Before the rooms import it by name: calls that C code makes, such as `map(loads, …)`, are seen like all others.
bridge.jsontext.loads = _parse

from bridge.cli.main import run as run_command  # noqa: E402
from bridge.delivery import operate  # noqa: E402
from bridge.delivery.policy import Policy  # noqa: E402
from bridge.flow import Drained, MappingContext, PlainRecord, Progress, Start  # noqa: E402
from bridge.offsets.commits import Committer  # noqa: E402
from bridge.rules.map.mapping import compile_mapping  # noqa: E402
from bridge.rules.read.load import load_rules  # noqa: E402
from tests.delivery.bench import EPOCH_MS, TOPIC, Bench, reply  # noqa: E402

PACKAGE: Final = Path(bridge.__file__).parent
CORE: Final = ("flow.py", "jq/", "rules/", "delivery/", "offsets/", "document/", "findings.py")
"""The rooms that pyproject.toml keeps pure."""
GENERATED: Final = "(generated)"
"""Code that was made of the rules."""
PART: Final = (TOPIC, 0)
RULES: Final = """version: 1
rules:
  - name: placed
    topics: [t]
    when: .type == "placed" and .total > 0
    event: order_placed
    distinct_id: ${ .customer.id }
    properties:
      order_id: ${ .id }
      amount: ${ .total / 100 }
      customer: ${ .customer.first_name } ${ .customer.last_name }
"""
GOOD: Final = {
    "id": "o-1",
    "type": "placed",
    "total": 3495,
    "customer": {"id": "u1", "first_name": "A", "last_name": "B"},
}
POISON: Final = {**GOOD, "total": "3495"}
ACCEPTED: Final = {"status": "success", "records": [{"status": "success", "message_id": "m", "status_code": 202}]}


@dataclass
class Walk:
    """What one record went through."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(file below the package, function) → calls."""
    values: int = 0
    parses: int = 0

    @property
    def files(self) -> list[str]:
        return sorted({file for file, _ in self.calls if file != GENERATED})

    @property
    def core(self) -> list[str]:
        return [file for file in self.files if file.startswith(CORE)]

    def facts(self) -> dict[str, object]:
        """All of it, for programs."""
        return {
            "core": self.core,
            "files": self.files,
            "functions": len(self.calls),
            "calls": self.calls.total(),
            "value()": self.values,
            "parses": self.parses,
        }


class Watched(PlainRecord):
    """A record that counts how often it is asked for its bytes."""

    __slots__ = ("asked",)

    def __init__(self, offset: int, value: dict[str, Any]) -> None:
        super().__init__(*PART, offset, json.dumps(value).encode(), key=b"u1", timestamp=EPOCH_MS)
        self.asked = 0

    def value(self) -> bytes | None:
        self.asked += 1
        return super().value()


class Member:
    """One bridge's core with one partition: what its two threads do, step by step."""

    def __init__(self, rules: Path) -> None:
        self.mapping = compile_mapping(load_rules(rules).rules, MappingContext("w" * 24, "cluster"))
        self.bench = Bench(Policy(linger=0.0, progress_interval=0.0), self.mapping)
        self.commits = Committer()
        self.commits.assigned(PART, 1, Start(0), runs="", fresh=True)
        self.bench.assign(send_limit=-1)
        self.commit()

    def read(self, record: Watched) -> None:
        """Read it, and let the commit that covers it be acknowledged."""
        self.commits.read(PART, record.offset())
        self.bench.feed([record])
        self.commit()

    def commit(self) -> None:
        """Carry the progress to Kafka, and its answer back."""
        self.bench.pass_time(1.0)
        for order in self.bench.collect():
            if isinstance(order, Progress):
                self.commits.progress(order)
            elif isinstance(order, Drained):
                self.commits.progress(order.progress)
                self.commits.final(PART, self.bench.now, self.bench.now_ms, order.handed)
        for commit in self.commits.due(self.bench.now, self.bench.now_ms):
            bounded = self.commits.acknowledged(commit)
            if bounded is not None:
                self.bench.take(bounded)

    def send(self, status: int, body: object = b"") -> None:
        """Make the call that may be made, and answer it."""
        [call] = self.bench.start_once()
        self.bench.answer(call, reply(status, body))

    def finish(self) -> None:
        """Have it accepted and committed."""
        self.send(202, ACCEPTED)
        self.commit()


def _good(member: Member, record: Watched) -> None:
    member.read(record)
    member.finish()


def _refused_for_now(member: Member, record: Watched) -> None:
    member.read(record)
    member.send(503)
    member.bench.pass_time(60.0)
    member.finish()


def _poison(member: Member, record: Watched) -> None:
    member.read(record)
    assert not member.bench.start_once()
    assert member.bench.write_dead_letters()
    member.commit()


def _revoked(member: Member, record: Watched) -> None:
    member.read(record)
    [call] = member.bench.start_once()
    member.bench.revoke(0)
    member.bench.accept(call)
    member.commit()


def _reloaded(member: Member, record: Watched) -> None:
    member.read(record)
    operate.reload(member.bench.delivery, member.mapping)
    member.finish()


WALKS: Final[dict[str, tuple[Callable[[Member, Watched], None], dict[str, Any]]]] = {
    "good record": (_good, GOOD),
    "503": (_refused_for_now, GOOD),
    "poison record": (_poison, POISON),
    "revoke": (_revoked, GOOD),
    "reload": (_reloaded, GOOD),
}


def follow(run: Callable[[], object]) -> Walk:
    """Run it under the hook."""
    walk = Walk()

    def hook(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        # Python 3.12 and later have no frames for comprehensions: they are left out everywhere.
        if event != "call" or code.co_name in ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"):
            return
        if code.co_filename.startswith("<"):
            walk.calls[GENERATED, code.co_name] += 1
            return
        path = Path(code.co_filename)
        if path.is_relative_to(PACKAGE):
            walk.calls[path.relative_to(PACKAGE).as_posix(), code.co_qualname] += 1

    sys.setprofile(hook)
    try:
        run()
    finally:
        sys.setprofile(None)
    return walk


def walk_of(name: str, rules: Path) -> Walk:
    """One record's walk, behind a good one: what is made once for a topic is there."""
    member = Member(rules)
    _good(member, Watched(0, GOOD))
    steps, value = WALKS[name]
    record = Watched(1, value)
    PARSED.clear()
    walk = follow(lambda: steps(member, record))
    assert member.bench.unfinished() == 0, f"{name}: the record has no outcome"
    walk.values, walk.parses = record.asked, PARSED.count(PlainRecord.value(record))
    return walk


def walk_of_check(rules: Path) -> Walk:
    """What `suprsend-bridge check` goes through, its imports made before."""

    def check() -> None:
        with contextlib.redirect_stdout(io.StringIO()) as told:
            code = run_command(["check", str(rules)])
        assert code == 0, told.getvalue()

    check()
    return follow(check)


def walks() -> dict[str, Walk]:
    """Every walk, by name."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder)
        (rules / "rules.yaml").write_text(RULES)
        return {**{name: walk_of(name, rules) for name in WALKS}, "check": walk_of_check(rules)}


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m scripts.measure.walk")
    parser.add_argument("--list", action="store_true", help="name every function")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args()
    found = walks()
    if chosen.json:
        print(json.dumps({name: walk.facts() for name, walk in found.items()}, indent=2))
        return
    print(f"{'':<15}{'core':>6}{'files':>7}{'functions':>11}{'calls':>7}{'value()':>9}{'parses':>8}")
    for name, walk in found.items():
        counts = f"{len(walk.core):>6}{len(walk.files):>7}{len(walk.calls):>11}{walk.calls.total():>7}"
        print(f"{name:<15}{counts}{walk.values:>9}{walk.parses:>8}")
        if chosen.list:
            for (file, function), calls in sorted(walk.calls.items()):
                print(f"    {file}: {function} ×{calls}")


if __name__ == "__main__":
    main()
