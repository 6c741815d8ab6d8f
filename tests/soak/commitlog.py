"""Every commit of a group, in order, as the brokers wrote it down: `__consumer_offsets`, read from its beginning.

Better than asking now and then: no commit is missed, and each has the broker's own time. The format is Kafka's
`OffsetCommitKey` (versions 0, 1) and `OffsetCommitValue` (versions 1, 3 and 4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from bridge.offsets.commits import decode
from tests.brokers.real import RealKafka

TOPIC: Final = "__consumer_offsets"


class Commit(NamedTuple):
    """One commit of one partition; `offset` is None where the brokers forgot it (the topic or group was deleted)."""

    topic: str
    partition: int
    offset: int | None
    metadata: str
    at_ms: int

    def finished_ranges(self) -> list[tuple[int, int]]:
        """The offsets that it calls finished, as ranges (first, last)."""
        if self.offset is None:
            return []
        found = [(0, self.offset - 1)] if self.offset else []
        note = decode(self.metadata, self.offset)
        if note is None or not note.fits:
            return found
        at = self.offset
        for first, last in note.unfinished:
            if first > at:
                found.append((at, first - 1))
            at = last + 1
        if at <= note.delivered:
            found.append((at, note.delivered))
        return found


def commits_of(kafka: RealKafka, group: str) -> list[Commit]:
    """All commits of the group, in the order of the broker's log (a group has one partition of it)."""
    found: list[Commit] = []
    for message in kafka.read(TOPIC, seconds=90):
        commit = _read(message.key(), message.value(), group, message.timestamp()[1])
        if commit is not None:
            found.append(commit)
    return found


def by_partition(commits: Iterable[Commit]) -> dict[tuple[str, int], list[Commit]]:
    """The commits of each partition."""
    parted: dict[tuple[str, int], list[Commit]] = {}
    for commit in commits:
        parted.setdefault((commit.topic, commit.partition), []).append(commit)
    return parted


def _read(key: bytes | str | None, value: bytes | str | None, group: str, stamp_ms: int) -> Commit | None:
    if not isinstance(key, bytes) or struct.unpack_from(">h", key)[0] not in (0, 1):
        return None
    named, at = _text(key, 2)
    if named != group:
        return None
    topic, at = _text(key, at)
    (partition,) = struct.unpack_from(">i", key, at)
    if not isinstance(value, bytes):
        return Commit(topic, partition, None, "", stamp_ms)
    offset, metadata, at_ms = _value(value)
    return Commit(topic, partition, offset, metadata, at_ms)


def _value(value: bytes) -> tuple[int, str, int]:
    version, offset = struct.unpack_from(">hq", value)
    if version not in (1, 3, 4):
        raise ValueError(f"commits of version {version} cannot be read")
    at = 10 if version == 1 else 14
    metadata, at = _compact(value, at) if version == 4 else _text(value, at)
    return offset, metadata, struct.unpack_from(">q", value, at)[0]


def _text(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def _compact(data: bytes, at: int) -> tuple[str, int]:
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return data[at : at + length - 1].decode(), at + length - 1
