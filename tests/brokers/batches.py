"""Record batches made byte by byte, for what no producer writes, and batches that are spoiled on a broker's disk.

Kafka looks into a batch when it takes it and never again: what rots later is served as it is.
"""

from __future__ import annotations

import re
import socket
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

GZIP: Final = 1
ZSTD: Final = 4
_PRODUCE: Final = 0
_PRODUCE_VERSION: Final = 7
_HEAD: Final = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, two times, producer (3), count."""
_CRC_AT: Final = 17
_CHECKED_FROM: Final = 21
_ANSWER_SECONDS: Final = 120.0
_ZSTD_BLOCK: Final = 128 * 1024


class Batch(NamedTuple):
    """Where a batch of format 2 lies in a segment."""

    file: Path
    at: int
    size: int
    first: int
    """Its first offset."""
    last: int

    @property
    def payload_at(self) -> int:
        """Where its records begin, packed or not."""
        return self.at + _HEAD.size


def crc32c(data: bytes) -> int:
    """The checksum of batches (Castagnoli)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CASTAGNOLI[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _castagnoli() -> Iterator[int]:
    for number in range(256):
        crc = number
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


_CASTAGNOLI: Final = tuple(_castagnoli())


def batch(values: Sequence[bytes], now_ms: int, *, codec: int = 0, pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """A batch of format 2 with one record for each value, its records packed by `pack` as `codec` says."""
    records = b"".join(_record(number, value) for number, value in enumerate(values))
    checked = struct.pack(">hiqqqhii", codec, len(values) - 1, now_ms, now_ms, -1, -1, -1, len(values)) + pack(records)
    return struct.pack(">qiibI", 0, len(checked) + 9, -1, 2, crc32c(checked)) + checked


def _record(number: int, value: bytes) -> bytes:
    body = b"\0" + _varint(0) + _varint(number) + _varint(-1) + _varint(len(value)) + value + _varint(0)
    return _varint(len(body)) + body


def _varint(number: int) -> bytes:
    left = (number << 1) ^ (number >> 63)
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*made, left])


def make_old(found: Batch, values: Sequence[bytes], now_ms: int, *, broken: int) -> None:
    """Put messages of the format before Kafka 0.11 in the place of a batch, one an offset, as old segments have them.

    The last value is filled up to the same size; that of place `broken` has a checksum that does not fit.
    """
    bodies = [struct.pack(">bbqii", 1, 0, now_ms, -1, len(value)) + value for value in values]
    spare = found.size - sum(len(body) + 16 for body in bodies)
    last = values[-1] + b" " * spare
    bodies[-1] = struct.pack(">bbqii", 1, 0, now_ms, -1, len(last)) + last
    made = b""
    for number, body in enumerate(bodies):
        crc = zlib.crc32(body) ^ (number == broken)
        made += struct.pack(">qiI", found.first + number, len(body) + 4, crc) + body
    overwrite(found.file, found.at, made)


def gzipped(records: bytes) -> bytes:
    """Packed as gzip packs."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(records) + packer.flush()


def zstd_of_no_size(records: bytes) -> bytes:
    """Packed as a streaming writer of zstd packs: the frame does not say how much it holds. Only runs of `p` shrink."""
    blocks: list[tuple[int, int, bytes]] = []
    for text in re.split(rb"(p{64,})", records):
        for at in range(0, len(text), _ZSTD_BLOCK):
            size = min(_ZSTD_BLOCK, len(text) - at)
            blocks.append((1, size, b"p") if text.startswith(b"pp") else (0, size, text[at : at + size]))
    made = [b"\x28\xb5\x2f\xfd\x00\x38"]
    for number, (kind, size, data) in enumerate(blocks, 1):
        made.append(((number == len(blocks)) | kind << 1 | size << 3).to_bytes(3, "little") + data)
    return b"".join(made)


def send(bootstrap: str, topic: str, made: bytes, partition: int = 0) -> int:
    """Have the broker append a batch to a partition that it leads; returns its first offset."""
    name = topic.encode()
    head = struct.pack(">hhih4s", _PRODUCE, _PRODUCE_VERSION, 1, 4, b"test")
    body = struct.pack(">hhii", -1, -1, 30_000, 1) + struct.pack(">h", len(name)) + name
    body += struct.pack(">iii", 1, partition, len(made)) + made
    host, port = bootstrap.split(",", maxsplit=1)[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), _ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        answer = connection.makefile("rb")
        (size,) = struct.unpack(">i", answer.read(4))
        told = answer.read(size)
    error, offset = struct.unpack_from(">hq", told, 4 + 4 + 2 + len(name) + 4 + 4)
    if error:
        raise RuntimeError(f"the broker refuses the batch: error {error}")
    return int(offset)


def batches(logs: Path, topic: str, partition: int = 0) -> Iterator[Batch]:
    """The batches of format 2 in a partition's segments under `log.dirs`, in order."""
    for file in sorted((logs / f"{topic}-{partition}").glob("*.log")):
        data, at = file.read_bytes(), 0
        while at + _HEAD.size <= len(data):
            head = _HEAD.unpack_from(data, at)
            if not head[1]:
                break
            yield Batch(file, at, head[1] + 12, head[0], head[0] + head[6])
            at += head[1] + 12


def overwrite(file: Path, at: int, data: bytes) -> None:
    """Change bytes of a segment where they lie."""
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def spoil(found: Batch, at: int, data: bytes, *, sealed: bool = False) -> None:
    """Change bytes of a batch, `at` counted from its first record; `sealed`: with a checksum that fits the change."""
    overwrite(found.file, found.payload_at + at, data)
    if sealed:
        whole = found.file.read_bytes()[found.at : found.at + found.size]
        overwrite(found.file, found.at + _CRC_AT, struct.pack(">I", crc32c(whole[_CHECKED_FROM:])))
