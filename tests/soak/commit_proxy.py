"""A proxy before a broker that answers commits itself, with an error, when it is told to; all else goes through.

It reads just enough of Kafka's protocol: the header of each request, and OffsetCommit (versions 2 to 9).
"""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import KafkaError

_OFFSET_COMMIT: Final = 8
_FIRST_FLEXIBLE: Final = 8


class CommitError(NamedTuple):
    """How often an error is answered: the ones that end an assignment come once."""

    name: str
    code: int
    times: int = 20
    fatal: bool = False


COMMIT_ERRORS: Final = (
    CommitError("REQUEST_TIMED_OUT", KafkaError.REQUEST_TIMED_OUT),
    CommitError("NOT_COORDINATOR", KafkaError.NOT_COORDINATOR),
    CommitError("COORDINATOR_LOAD_IN_PROGRESS", KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    CommitError("REBALANCE_IN_PROGRESS", KafkaError.REBALANCE_IN_PROGRESS),
    CommitError("STALE_MEMBER_EPOCH", KafkaError.STALE_MEMBER_EPOCH),
    CommitError("ILLEGAL_GENERATION", KafkaError.ILLEGAL_GENERATION, times=1),
    CommitError("UNKNOWN_MEMBER_ID", KafkaError.UNKNOWN_MEMBER_ID, times=1),
    CommitError("GROUP_AUTHORIZATION_FAILED", KafkaError.GROUP_AUTHORIZATION_FAILED),
    CommitError("OFFSET_METADATA_TOO_LARGE", KafkaError.OFFSET_METADATA_TOO_LARGE),
    CommitError("FENCED_INSTANCE_ID", KafkaError.FENCED_INSTANCE_ID, times=1, fatal=True),
)


class CommitProxy:
    """Listens before one broker; a context manager. `refuse` may be called from any thread."""

    def __init__(self, target: int, port: int) -> None:
        self.port = port
        self._target = target
        self._lock = threading.Lock()
        self._code = self._left = self._refused = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, name="commit-proxy", daemon=True).start()

    def refuse(self, code: int, times: int) -> int:
        """Answer the next so many commits with this error; how many were refused in all until now."""
        with self._lock:
            self._code, self._left = code, times
            return self._refused

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += [near, far]
            answering = threading.Lock()
            for pump in (self._requests, self._answers):
                threading.Thread(target=pump, args=(near, far, answering), name="commit-proxy", daemon=True).start()

    def _requests(self, near: socket.socket, far: socket.socket, answering: threading.Lock) -> None:
        try:
            while True:
                frame = _frame(near)
                key, version, correlation = struct.unpack_from(">hhi", frame)
                code = self._drawn() if key == _OFFSET_COMMIT else 0
                if code:
                    with answering:
                        near.sendall(_sized(refusal(frame, version, correlation, code)))
                else:
                    far.sendall(_sized(frame))
        except OSError:
            _close(near, far)

    def _answers(self, near: socket.socket, far: socket.socket, answering: threading.Lock) -> None:
        try:
            while True:
                frame = _frame(far)
                with answering:
                    near.sendall(_sized(frame))
        except OSError:
            _close(near, far)

    def _drawn(self) -> int:
        with self._lock:
            if not self._left:
                return 0
            self._left -= 1
            self._refused += 1
            return self._code


def refusal(frame: bytes, version: int, correlation: int, code: int) -> bytes:
    """The answer to an OffsetCommit request that refuses every partition of it with an error."""
    flexible = version >= _FIRST_FLEXIBLE
    read = _Reader(frame, 8, flexible=flexible)
    _skip_header(read)
    read.text()  # the group
    read.skip(4)  # its generation
    read.text()  # the member
    if version >= 7:
        read.text()  # its instance
    if version <= 4:
        read.skip(8)  # how long to keep
    said = struct.pack(">i", correlation) + (b"\0" if flexible else b"") + struct.pack(">i", 0)
    topics = read.length()
    said += _length(topics, flexible=flexible)
    for _ in range(topics):
        said += read.text()
        parts = read.length()
        said += _length(parts, flexible=flexible)
        for _ in range(parts):
            said += read.take(4) + struct.pack(">h", code) + (b"\0" if flexible else b"")
            read.skip(8 + (4 if version >= 6 else 0))  # offset, leader epoch
            read.text()  # metadata
            read.tags()
        read.tags()
        said += b"\0" if flexible else b""
    return said + (b"\0" if flexible else b"")


class _Reader:
    """Walks through a request; compact forms where it is flexible."""

    def __init__(self, data: bytes, at: int, *, flexible: bool) -> None:
        self._data, self._at, self.flexible = data, at, flexible

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def skip(self, count: int) -> None:
        self._at += count

    def text(self) -> bytes:
        """A text as it stands, with its length before it; None is a text, too."""
        begin = self._at
        size = self._varint() - 1 if self.flexible else struct.unpack(">h", self.take(2))[0]
        self.skip(max(0, size))
        return self._data[begin : self._at]

    def length(self) -> int:
        """How many an array has."""
        found: int = self._varint() - 1 if self.flexible else struct.unpack(">i", self.take(4))[0]
        return found

    def tags(self) -> None:
        """Nothing is known about any."""
        if self.flexible:
            for _ in range(self._varint()):
                self._varint()
                self.skip(self._varint())

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value


def _skip_header(read: _Reader) -> None:
    """The client's id has its length in two bytes in all versions."""
    (size,) = struct.unpack(">h", read.take(2))
    read.skip(max(0, size))
    read.tags()


def _length(count: int, *, flexible: bool) -> bytes:
    if not flexible:
        return struct.pack(">i", count)
    said, value = b"", count + 1
    while value >= 0x80:
        said += bytes([value & 0x7F | 0x80])
        value >>= 7
    return said + bytes([value])


def _frame(source: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(source, 4))
    return _exactly(source, size)


def _exactly(source: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = source.recv(count - len(found))
        if not piece:
            raise ConnectionError("closed")
        found += piece
    return bytes(found)


def _sized(frame: bytes) -> bytes:
    return struct.pack(">i", len(frame)) + frame


def _close(*those: socket.socket) -> None:
    for each in those:
        each.close()
