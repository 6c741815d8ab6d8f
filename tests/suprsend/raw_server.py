"""A server of bare sockets that answers exactly what a test tells it, however wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import NamedTuple, Self


class Request(NamedTuple):
    """What arrived: request line, header lines as sent, body."""

    line: str
    headers: list[str]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [line.partition(":")[2].strip() for line in self.headers if line.lower().startswith(name.lower() + ":")]
        return found[0] if found else None


class Peer:
    """One connection, seen from the server. Writing to a client that has gone is no error: `send` is then False."""

    def __init__(self, sock: socket.socket, number: int, server: RawServer) -> None:
        self.sock = sock
        self.number = number
        self._server = server
        self._data = b""

    def request(self) -> Request | None:
        """Read one whole request; None when the client closed."""
        while b"\r\n\r\n" not in self._data:
            if not self._read():
                return None
        head, _, rest = self._data.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        request = Request(line, headers, b"")
        length = int(request.header("content-length") or 0)
        while len(rest) < length:
            self._data = b""
            if not self._read():
                return None
            rest += self._data
        self._data = rest[length:]
        request = request._replace(body=rest[:length])
        self._server.requests.append(request)
        return request

    def send(self, data: bytes) -> bool:
        try:
            self.sock.sendall(data)
        except OSError:
            return False
        return True

    def answer(self, status: str, body: bytes = b"", *headers: str) -> bool:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        return self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def drip(self, data: bytes, seconds: float) -> None:
        """Send byte by byte, for as long as the client stays."""
        for byte in data:
            if self._server.stopped.wait(seconds) or not self.send(bytes([byte])):
                return

    def reset(self) -> None:
        """Close with an RST instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _read(self) -> bool:
        try:
            data = self.sock.recv(1 << 16)
        except OSError:
            return False
        self._data += data
        return bool(data)


class RawServer:
    """Runs `script` on a thread for each connection, which it closes afterwards; `stopped` ends its waits."""

    def __init__(self, script: Callable[[Peer], None], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.stopped = threading.Event()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/"

    def stop_listening(self) -> None:
        """Take no more connections; those that stand go on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopped.set()
        self.stop_listening()
        self._thread.join(120)

    def _accept(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock:
            if self._tls is not None:
                with self._tls.wrap_socket(sock, server_side=True) as wrapped:
                    self._script(Peer(wrapped, number, self))
            else:
                self._script(Peer(sock, number, self))
