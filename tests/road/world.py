"""Topics, rules and records of which it is known what must come out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import jsontext
from bridge.sandbox.process import SandboxProcess
from tests.brokers.real import RealKafka, Sent
from tests.road.bridge_process import settings

RULES = """\
version: 1
rules:
  - name: placed
    topics: [{topics}]
    when: .type == "placed"
    event: order_placed
    distinct_id: ${{ .who }}
    idempotency_key: ${{ .id }}
    properties:
      number: ${{ .n }}
      text: ${{ .id }} for ${{ .who }}
"""


@dataclass(frozen=True, slots=True)
class World:
    """One group reading topics of its own, with one rule: `placed` records become events, others are filtered."""

    kafka: RealKafka
    sandbox: SandboxProcess
    folder: Path
    topics: tuple[str, ...]
    dead_letters: str
    group: str

    @classmethod
    def make(cls, kafka: RealKafka, sandbox: SandboxProcess, folder: Path, *, topics: int, partitions: int) -> World:
        names = tuple(kafka.create_topic(kafka.unique("orders"), partitions) for _ in range(topics))
        dead = kafka.create_topic(kafka.unique("dead"))
        rules = folder / "rules"
        rules.mkdir()
        (rules / "orders.yaml").write_text(RULES.format(topics=", ".join(names)))
        return cls(kafka, sandbox, folder, names, dead, kafka.unique("bridge"))

    def settings(self, **more: dict[str, Any]) -> dict[str, Any]:
        return settings(
            self.kafka,
            self.sandbox,
            list(self.topics),
            self.group,
            self.dead_letters,
            rules={"path": str(self.folder / "rules")},
            **more,
        )


def records(topic: str, numbers: Iterable[int]) -> list[Sent]:
    """One record a number; every tenth is of a type that no rule wants."""
    made = []
    for n in numbers:
        who = f"u{n % 997}"
        value = {"id": f"{topic}-{n}", "type": "placed" if n % 10 else "viewed", "who": who, "n": n}
        made.append(Sent(jsontext.dumps(value), key=who.encode()))
    return made


def expected(topic: str, numbers: Iterable[int]) -> set[str]:
    """The idempotency keys of the events that must come of them."""
    return {f"{topic}-{n}" for n in numbers if n % 10}


def accepted(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    """What the sandbox accepted, by key."""
    return {entry["key"]: entry for entry in sandbox.keys()}  # noqa: SIM118 (a stream of its own)
