"""A process of its own that reads a partition from an offset, batch by batch, and says what comes: `python -m bridge.kafka.tools.probe`.

A batch of some hundred kilobytes may unpack to hundreds of megabytes, or end the process that reads it. So this one has
a limit of memory, and whoever asked lives on. It is asked by one JSON object on its standard input and answers with one
a line: that it begins to read, records, and at last what ended it. It joins no group and commits nothing.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.flow import Record, UnreadableHeaders, headers_of
from bridge.kafka.errors import plain

_THREADS: Final = 64 * 1024 * 1024
"""What the client's threads and buffers take beside the batch."""
_QUESTION_SECONDS: Final = 5.0
_LOOK_MS: Final = 100
_PLACE_SECONDS: Final = 2.5
_FETCHES: Final = 6
"""The count is a moment old where something came."""
_BUSY_SECONDS: Final = 0.005
_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's local errors are public)
_BEYOND: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001
_OF_A_BATCH: Final = frozenset(
    {
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001
        KafkaError._CRIT_SYS_RESOURCE,  # noqa: SLF001
        KafkaError.MSG_SIZE_TOO_LARGE,
    }
)
"""Errors that speak of the batch itself: whatever else comes proves nothing of it."""


def main() -> None:
    """Read what is asked, answer, and leave without waiting for the client's threads."""
    asked = json.load(sys.stdin)
    if asked["memory"]:
        limit = _taken() + _THREADS + asked["memory"]
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for answer in _read(asked):
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    except MemoryError:
        # As the client itself ends where it gets no memory.
        os.abort()
    os._exit(0)


def _taken() -> int:
    """Bytes of data that this process has already."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData")), 0)


def _read(asked: dict[str, Any]) -> Any:
    """What comes from `offset` on, below `until`; the last answer says why it ended."""
    place = (asked["topic"], asked["partition"])
    fetches = _Fetches(*place)
    consumer = Consumer(asked["conf"] | {"statistics.interval.ms": _LOOK_MS, "stats_cb": fetches.look})
    at, said = asked["offset"], ""
    consumer.assign([TopicPartition(*place, at)])
    yield {"is": "reading"}
    heard, used = time.monotonic(), time.process_time()
    while True:
        message = consumer.poll(0.05)
        now, before, used = time.monotonic(), used, time.process_time()
        error = None if message is None else message.error()
        if message is not None and error is None:
            at = int(message.offset() or 0) + 1
            heard = now
            fetches.forget()
            if at > asked["until"]:
                yield {"is": "enough", "offset": at - 1}
                return
            yield {"is": "record", "offset": at - 1, **(_content(message) if asked["content"] else {})}
        elif message is not None and error is not None:
            found = _ended(message, error)
            if found is not None:
                yield found
                return
            said = plain(error)
        elif fetches.in_vain() or now - heard > asked["seconds"]:
            yield _silent(consumer, place, at, said, proven=fetches.in_vain())
            return
        elif used - before > _BUSY_SECONDS:
            # A large batch is being unpacked.
            heard = now


def _ended(message: Message, error: KafkaError) -> dict[str, Any] | None:
    if error.code() == _END:
        return {"is": "end", "offset": message.offset()}
    if error.code() in _BEYOND:
        return {"is": "beyond"}
    if error.code() in _OF_A_BATCH:
        return {"is": "unreadable", "offset": message.offset(), "code": error.code(), "message": plain(error)}
    return None


class _Fetches:
    """Counts the client's requests for records at one offset: each further one shows that the answer before was read.

    What was rolled back gives nothing either, but the place moves on.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, str(partition)
        self._place = -1
        self._sent = 0
        self.forget()

    def look(self, statistics: str) -> None:
        """The client's callback; must not raise."""
        told = json.loads(statistics)
        self._sent = sum(broker.get("req", {}).get("Fetch", 0) for broker in told.get("brokers", {}).values())
        part = told.get("topics", {}).get(self._topic, {}).get("partitions", {}).get(self._partition, {})
        place = part.get("next_offset", -1)
        if place != self._place:
            self._place = place
            self.forget()

    def forget(self) -> None:
        """Something came, or the place moved on."""
        self._since, self._at = self._sent, time.monotonic()

    def in_vain(self) -> bool:
        """Whether several were answered, and nothing came of it. The place is told once a second."""
        return self._sent - self._since >= _FETCHES and time.monotonic() - self._at > _PLACE_SECONDS


def _silent(consumer: Consumer, place: tuple[str, int], at: int, said: str, *, proven: bool) -> dict[str, Any]:
    """What to say when nothing came. It proves something only where fetches were answered and the leader has more."""
    try:
        (part,) = consumer.offsets_for_times([TopicPartition(*place, -1)], timeout=_QUESTION_SECONDS)
    except KafkaException as error:
        return {"is": "unknown", "message": said or plain(error.args[0])}
    if part.error is not None:
        return {"is": "unknown", "message": plain(part.error)}
    if part.offset <= at:
        return {"is": "end", "offset": max(at, part.offset)}
    if not proven:
        return {"is": "unknown", "message": said or "nothing came"}
    return {"is": "unreadable", "offset": -1, "code": 0, "message": "no record, no end and no error"}


def _content(message: Message) -> dict[str, Any]:
    kind, milliseconds = message.timestamp()
    headers: list[tuple[str, str | None]] | None = None
    with suppress(UnreadableHeaders):
        headers = [(name, _text(value)) for name, value in headers_of(cast("Record", message))]
    key, value = message.key(), message.value()
    return {"key": _text(key), "value": _text(value), "timestamp": milliseconds if kind else -1, "headers": headers}


def _text(data: str | bytes | None) -> str | None:
    if data is None:
        return None
    return b64encode(data.encode() if isinstance(data, str) else data).decode("ascii")


if __name__ == "__main__":
    main()
