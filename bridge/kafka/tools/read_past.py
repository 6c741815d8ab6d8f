"""Finds the first offset that can be read behind what cannot: each offset that is passed is proven unreadable.

Readability does not follow from that of a neighbour: batches that can be read may lie between those that cannot. But
offsets of one batch share its fate, and the client's error names the batch. So the end of a batch is sought by halves,
and what names no batch is gone through one by one. What the network says proves nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError

from bridge.flow import UNREADABLE, PlainRecord
from bridge.kafka.config import consumer_conf
from bridge.kafka.errors import unread
from bridge.settings.kafka import Kafka

__all__ = ["Beyond", "Met", "ProbeError", "Prober", "beyond"]

_QUIET_SECONDS: Final = 20.0
_PROBE_SECONDS: Final = 120.0
_SMALL: Final = 8_000_000
"""What a batch may unpack to where it is only to be named: then zstd is refused instead of unpacked."""
_OWN_DEATHS: Final = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
"""How the client ends that gets no memory. Whoever is killed proves nothing."""
_FAR: Final = 1 << 62
_OWN: Final = frozenset(
    {"group.protocol", "partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "logger"}
    | {"group.remote.assignor", "group.instance.id", "fetch.message.max.bytes", "max.partition.fetch.bytes"}
)
_ONE_BATCH: Final = {
    # A broker answers with one batch, however large, where not even one fits; and nothing is fetched ahead of it.
    "max.partition.fetch.bytes": 1,
    "message.max.bytes": 1_000,
    "fetch.max.bytes": 1_000,
    "queued.min.messages": 1,
    "log_level": 0,
}


class ProbeError(Exception):
    """Nothing is proven; one line that says why and what to do."""


class Met(NamedTuple):
    """What reading from an offset met first: a `record`, the `end`, something `unreadable`, or nothing (`beyond` the end).

    `offset` is that of the record or the end; of what is unreadable the first of its batch, -1 where nothing names it.
    """

    kind: str
    offset: int = -1
    message: str = ""
    advice: str = ""


class Beyond(NamedTuple):
    """From `first` on nothing can be read below `to`, where a record or the end of the log is."""

    first: int
    to: int
    message: str
    advice: str


def beyond(probe: Callable[[int], Met], first: int, tell: Callable[[int], None] = lambda _: None) -> Beyond | None:
    """Go past everything unreadable from `first` on; None where `first` can be read. Raises ProbeError.

    `tell` is called with each offset that was reached.
    """
    probe = cache(probe)
    at, why = first, None
    while (met := probe(at)).kind == "unreadable":
        why = why or met
        at = _behind(probe, at, met)
        tell(at)
    if why is None:
        return None
    return Beyond(first, at if met.kind == "beyond" else met.offset, why.message, why.advice)


def _behind(probe: Callable[[int], Met], at: int, met: Met) -> int:
    """The first offset from `at` on that is not in the batch that was met."""
    if met.offset < 0:
        return at + 1

    def inside(offset: int) -> bool:
        again = probe(offset)
        return again.kind == "unreadable" and again.offset == met.offset

    low, step = max(at, met.offset), 1
    while inside(low + step):
        low, step = low + step, 2 * step
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return high


class Prober:
    """Reads one partition in processes of their own. `memory` is what a batch may take, in bytes.

    Raises ConfigError and SecretError where it is made, ProbeError where Kafka does not answer.
    """

    def __init__(self, settings: Kafka, topic: str, partition: int, memory: int) -> None:
        self._place = (topic, partition)
        self._memory = memory
        self._names = True
        conf = consumer_conf(settings)
        # It never joins the group, and needs the right to no other.
        self._conf = {name: value for name, value in conf.items() if name not in _OWN} | _ONE_BATCH

    @property
    def mib(self) -> int:
        """What a batch may take."""
        return self._memory // 1024**2

    def first(self, offset: int) -> Met:
        """What reading from `offset` meets first."""
        return self._met(self._answers(offset, _FAR, first=True)[-1], offset)

    def sound(self, offset: int, until: int = _FAR, *, content: bool = False) -> tuple[list[PlainRecord], Met]:
        """The records from `offset` on that can be read one after the other, below `until`, and what ended them."""
        answers = self._answers(offset, until, content=content)
        records = [self._record(answer) for answer in answers if answer["is"] == "record"]
        at = records[-1].offset() + 1 if records else offset
        return records, self._met(answers[-1], at)

    def _met(self, last: dict[str, Any], at: int) -> Met:
        kind, offset = last["is"], int(last.get("offset", -1))
        if kind == "unknown":
            message = f"nothing is proven, since Kafka does not answer: {last['message']}; try again"
            raise ProbeError(message)
        if kind != "unreadable":
            return Met(kind, offset)
        if last["code"] is None:
            # Of a codec that cannot be told to stop early no batch is ever named.
            named = self._named(at) if self._names else -1
            self._names = named >= 0
            return Met(kind, named, last["message"], last["advice"])
        found = unread(KafkaError(last["code"], last["message"]), at, self._place[0])
        advice = found.advice if last["code"] else "most likely a batch is damaged: no setting is known to read it"
        return Met(kind, offset, last["message"], advice)

    def _named(self, at: int) -> int:
        """The first offset of a batch that takes more memory than there is, where the client names it."""
        last = self._answers(at, _FAR, first=True, small=True)[-1]
        return int(last["offset"]) if last["is"] == "unreadable" else -1

    def _answers(
        self, offset: int, until: int, *, first: bool = False, content: bool = False, small: bool = False
    ) -> list[dict[str, Any]]:
        conf = self._conf | ({"receive.message.max.bytes": _SMALL} if small else {})
        asked = {"conf": conf, "topic": self._place[0], "partition": self._place[1], "offset": offset, "until": until}
        asked |= {"content": content, "memory": self._memory, "seconds": _QUIET_SECONDS}
        with _process() as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(asked))
            process.stdin.close()
            answers: list[dict[str, Any]] = []
            reading = False
            for answer in _lines(process):
                if answer["is"] == "reading":
                    reading = True
                    continue
                answers.append(answer)
                if first or answer["is"] != "record":
                    process.kill()
                    return answers
            code = process.wait(_PROBE_SECONDS)
        return [*answers, self._died(-code, reading=reading)]

    def _died(self, code: int, *, reading: bool) -> dict[str, Any]:
        """What the end of the reading process says of the batch: something only where it died by itself, for want of memory."""
        if not reading or code not in _OWN_DEATHS:
            return {
                "is": "unknown",
                "message": f"the process that reads ended with {-code}, or was killed from outside",
            }
        return {
            "is": "unreadable",
            "offset": -1,
            "code": None,
            "message": f"the client that reads it ends with {self.mib} MiB for it (signal {code})",
            "advice": "a batch takes more memory to unpack: a bridge with more may read it (try a larger --memory first)",
        }

    def _record(self, answer: dict[str, Any]) -> PlainRecord:
        found = answer.get("headers", ())
        return PlainRecord(
            *self._place,
            answer["offset"],
            _bytes(answer.get("value")),
            key=_bytes(answer.get("key")),
            timestamp=answer.get("timestamp", -1),
            headers=UNREADABLE if found is None else [(name, _bytes(value)) for name, value in found],
        )


def _process() -> subprocess.Popen[str]:
    """The process that reads: settings and secrets go by its standard input, never by its arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "bridge.kafka.tools.probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # One heap for all threads, so that the limit is of what is really taken.
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        # One that dies may leave half a line.
        with suppress(ValueError):
            yield json.loads(line)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
