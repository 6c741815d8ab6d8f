"""A Kafka that can be wrong, for tests: franz-go's kfake behind the small program in `faulty/`, built once by Go.

It refuses, leaves unanswered, knows old versions only, has no cluster id, or names brokers that nobody reaches. What a
real Kafka can show, `tests.brokers.real` shows.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from tests.brokers.jars import Unavailable

_SOURCE: Final = Path(__file__).with_name("faulty")
_BUILD_SECONDS: Final = 540


class Fault(NamedTuple):
    """Requests that get the error `code` for an answer, or none where it is 0; of one group, or of all."""

    requests: Sequence[str]
    group: str = ""
    code: int = 0


class FaultyKafka:
    """One running fake cluster. Use as a context; `heal` ends its faults."""

    def __init__(self, **plan: Any) -> None:
        """`plan` is that of `faulty/main.go`; raises Unavailable without Go."""
        plan = {"brokers": 3, "topics": {}, "cluster_id": "faulty", **plan}
        plan["faults"] = [each._asdict() for each in plan.get("faults", ())]
        self._dead: Sequence[int] = plan.get("dead", ())
        command = [str(_built()), json.dumps(plan)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        self.addresses: Sequence[str] = answer["addresses"]
        self.coordinators: Mapping[str, int] = answer["coordinators"]
        """Of the `groups` of the plan: the broker that each one's coordinator is, from 0 on."""
        self.leaders: Mapping[str, Sequence[int]] = answer["leaders"]
        """By topic: the broker that leads each partition."""

    @property
    def bootstrap(self) -> str:
        """The address of a broker that can be reached."""
        return next(address for number, address in enumerate(self.addresses) if number not in self._dead)

    def group_on(self, brokers: Sequence[int], *, elsewhere: bool = False) -> str:
        """One of the plan's groups, with its coordinator on one of the brokers; or on none of them."""
        return next(group for group, node in self.coordinators.items() if (node in brokers) != elsewhere)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def heal(self) -> None:
        """End every fault."""
        assert self._process.stdin is not None
        self._process.stdin.write("heal\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _built() -> Path:
    """The program, built where it is not there yet into a cache outside the tree."""
    go = shutil.which("go")
    if go is None:
        raise Unavailable("Go is not on the PATH")
    sources = sorted(path for path in _SOURCE.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    mark = zlib.crc32(b"".join(path.read_bytes() for path in sources))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "suprsend-kafka-bridge"
    made = cache / f"faulty-kafka-{mark:08x}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".faulty.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            command = [go, "build", "-o", str(made), "."]
            done = subprocess.run(
                command, cwd=_SOURCE, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
            )
            if done.returncode:
                raise Unavailable(f"the faulty Kafka cannot be built: {done.stderr[-2_000:]}")
    return made
