"""A producer that checks nothing: any bytes as header names, any timestamp, as clients in other languages write them."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_PRODUCE: Final = 0
_VERSION: Final = 7
_SECONDS: Final = 120.0
_CASTAGNOLI: Final = 0x82F63B78


class Raw(NamedTuple):
    """A record as it lies in a batch; `timestamp` is any signed number of 64 bits."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    timestamp: int = 0


def produce_raw(address: str, topic: str, batches: Iterable[Sequence[Raw]], partition: int = 0) -> None:
    """Write each batch to the partition's leader at `address` and await its answer; raises RuntimeError if refused."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=_SECONDS) as connection:
        for number, batch in enumerate(batches):
            connection.sendall(_request(number, topic, partition, _batch(batch)))
            (length,) = struct.unpack(">i", _exactly(connection, 4))
            error = _error_of(_exactly(connection, length), topic)
            if error:
                raise RuntimeError(f"batch {number} was refused: Kafka's error {error}")


def _exactly(connection: socket.socket, length: int) -> bytes:
    found = bytearray()
    while len(found) < length:
        more = connection.recv(length - len(found))
        if not more:
            raise RuntimeError("the broker closed the connection")
        found += more
    return bytes(found)


def _request(number: int, topic: str, partition: int, records: bytes) -> bytes:
    name = topic.encode()
    head = struct.pack(">hhih", _PRODUCE, _VERSION, number, -1)
    body = struct.pack(">hhi", -1, -1, int(_SECONDS * 1000))
    body += struct.pack(">ih", 1, len(name)) + name + struct.pack(">iii", 1, partition, len(records)) + records
    return struct.pack(">i", len(head) + len(body)) + head + body


def _error_of(answer: bytes, topic: str) -> int:
    """The code of the one partition: behind the answer's number, two counts, the topic's name and its number."""
    at = 4 + 4 + 2 + len(topic.encode()) + 4 + 4
    return int(struct.unpack_from(">h", answer, at)[0])


def _batch(records: Sequence[Raw]) -> bytes:
    first = records[0].timestamp
    body = struct.pack(">hi", 0, len(records) - 1)
    body += struct.pack(">qqqhii", first, max(each.timestamp for each in records), -1, -1, -1, len(records))
    body += b"".join([_record(each, offset, first) for offset, each in enumerate(records)])
    behind = struct.pack(">ibI", -1, 2, _crc(body)) + body
    return struct.pack(">qi", 0, len(behind)) + behind


def _record(record: Raw, offset: int, first: int) -> bytes:
    body = b"\0" + _varint(record.timestamp - first) + _varint(offset) + _bytes(record.key) + _bytes(record.value)
    body += _varint(len(record.headers))
    body += b"".join([_bytes(name) + _bytes(value) for name, value in record.headers])
    return _varint(len(body)) + body


def _bytes(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Zigzag, of 64 bits: a difference that is larger goes round, and comes back as what it was."""
    signed = (number + (1 << 63)) % (1 << 64) - (1 << 63)
    left = (signed << 1) ^ (signed >> 63)
    found = bytearray()
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


def _table() -> list[int]:
    table = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return table


_TABLE: Final = _table()


def _crc(data: bytes) -> int:
    """CRC-32C, which the standard library has not."""
    table, value = _TABLE, 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
