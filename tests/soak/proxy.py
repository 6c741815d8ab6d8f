"""A TCP proxy that spoils connections on command, as a process of its own: it stands before Kafka and the API.

    python -m tests.soak.proxy HOST:LISTEN_PORT TARGET_PORT [CERTIFICATE]

With a certificate (a file with the key, too) it speaks TLS to who comes, and none to its target. It is told by lines on
its standard input: a JSON object of `Spoil`'s fields, answered by a line: `ok`, and how many connections there were.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Final, Self

from bridge import jsontext
from tests.brokers.node import free_ports

_CHUNK: Final = 16_384
_STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Spoil:
    """How connections are treated from now on; the default is not at all."""

    refuse: bool = False
    """New connections are closed at once."""
    cut: bool = False
    """Connections that are open now are reset, once."""
    frozen: bool = False
    """Connections stay open and nothing comes through: half-open, as behind a router that forgot them."""
    delay: float = 0.0
    """Seconds that each piece of data is late."""
    bytes_per_second: float = 0.0
    """0 is no limit."""
    certificate: str = ""
    """A file to use for new connections from now on."""


class ProxyProcess:
    """Starts the proxy before a port of this machine; a context manager. One thread."""

    def __init__(self, target: int, port: int = 0, *, host: str = "127.0.0.1", certificate: str = "") -> None:
        self.port = port or free_ports(1)[0]
        command = [sys.executable, "-m", "tests.soak.proxy", f"{host}:{self.port}", str(target)]
        command += [certificate] if certificate else []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.spoil(Spoil())

    def spoil(self, how: Spoil) -> int:
        """Treat connections so from now on; returns, when it does, how many connections there were so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(jsontext.dumps(asdict(how)) + b"\n")
        self._process.stdin.flush()
        said, _, count = self._process.stdout.readline().partition(b" ")
        if said != b"ok":
            raise RuntimeError("the proxy has ended")
        return int(count)

    def heal(self) -> None:
        """Let everything through again; connections that were frozen are cut, as a router's would be."""
        self.spoil(Spoil(cut=True))

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate(timeout=_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Proxy:
    """The process's own side."""

    def __init__(self, target: int, certificate: str) -> None:
        self._target = target
        self._how = Spoil()
        self.count = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self.tls is not None:
            # A session that is taken up again shows no certificate, and so would hide a change of it.
            self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
            self.tls.num_tickets = 0
            self.tls.load_cert_chain(certificate)
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def change(self, how: Spoil) -> None:
        self._how = how
        if self.tls is not None and how.certificate:
            self.tls.load_cert_chain(how.certificate)
        self._changed.set()
        self._changed = asyncio.Event()
        if how.cut:
            for writer in list(self._writers):
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._how.refuse:
            writer.transport.abort()
            return
        self.count += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        ways = [self._pump(reader, far_writer), self._pump(far_reader, writer)]
        await asyncio.gather(*ways, return_exceptions=True)
        self._writers -= {writer, far_writer}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(_CHUNK):
                while self._how.frozen:
                    await self._changed.wait()
                pause = self._how.delay
                if self._how.bytes_per_second:
                    pause += len(piece) / self._how.bytes_per_second
                if pause:
                    await asyncio.sleep(pause)
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


async def _main(listen: str, target: int, certificate: str = "") -> None:
    proxy = _Proxy(target, certificate)
    host, _, port = listen.rpartition(":")
    await asyncio.start_server(proxy.serve, host, int(port), ssl=proxy.tls)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        proxy.change(Spoil(**jsontext.loads(line)))
        sys.stdout.write(f"ok {proxy.count}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
