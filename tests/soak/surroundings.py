"""What a bridge is put into: a clock that is wrong, a full disk, a memory limit, names that move, certificates. Linux.

All but the clock and the certificates need root, for mounts, namespaces and control groups of their own; a row that
cannot have them breaks off and says so.
"""

from __future__ import annotations

import os
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.soak.member import shell

_SECONDS: Final = 30
_GROUPS: Final = Path("/sys/fs/cgroup")
MIB: Final = 1024 * 1024


class Clock:
    """The wall clock of whoever is started with `env`: a library preloaded (`clock.c`), the offset in a file.

    Not libfaketime: with it Python's `sleep` fails and its threads hang.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset-of-the-clock"
        self._file.write_bytes(struct.pack("q", 0))
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        _run("cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread")
        self.env = {"LD_PRELOAD": str(library), "SOAK_CLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        """Be wrong by so much from now on: at once, as when a clock is set."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))


class Disk:
    """A file system of its own, of so many bytes; a context manager."""

    def __init__(self, place: Path, size: int = MIB) -> None:
        self.place = place
        self._size = size
        self._filler = place / "filler"

    def fill(self) -> None:
        """Leave not one byte."""
        with suppress(OSError), self._filler.open("ab", buffering=0) as filler:
            for size in (4096, 1):
                with suppress(OSError):
                    while filler.write(b"x" * size):
                        pass

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def __enter__(self) -> Self:
        self.place.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", str(self.place))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _run("umount", "-l", str(self.place))


class MemoryLimit:
    """A control group with a memory limit, which the kernel holds by killing; a context manager."""

    def __init__(self, name: str, limit: int) -> None:
        first = (_GROUPS / "memory").is_dir()
        self._folder = (_GROUPS / "memory" if first else _GROUPS) / name
        self._limits = ("memory.limit_in_bytes",) if first else ("memory.max",)
        self._none = ("memory.memsw.limit_in_bytes", str(limit)) if first else ("memory.swap.max", "0")
        self._peak = "memory.max_usage_in_bytes" if first else "memory.peak"
        self._events = "memory.oom_control" if first else "memory.events"
        self._limit = limit

    @property
    def wrap(self) -> tuple[str, ...]:
        """The command that starts a process in it."""
        return shell(f"echo $$ > {self._folder}/cgroup.procs")

    def peak(self) -> int:
        """The most bytes that were in use, page cache included."""
        return int((self._folder / self._peak).read_text())

    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        lines = (self._folder / self._events).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def __enter__(self) -> Self:
        self._folder.mkdir()
        for name in self._limits:
            (self._folder / name).write_text(str(self._limit))
        with suppress(OSError):
            (self._folder / self._none[0]).write_text(self._none[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(OSError):
            self._folder.rmdir()


class Names:
    """A table of host names for whoever is started with `wrap`, and for nobody else: a mount in its own namespace."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hosts"
        self._file.write_text("")

    @property
    def wrap(self) -> tuple[str, ...]:
        """The command that starts a process with it."""
        bind = shell(f"mount --bind {self._file} /etc/hosts")
        return ("unshare", "--mount", "--propagation", "private", *bind)

    def point(self, name: str, address: str) -> None:
        """From now on the name has this address. The file stays the same one: it is mounted."""
        self._file.write_text(f"127.0.0.1 localhost\n{address} {name}\n")


class Authority:
    """Issues certificates for 127.0.0.1, under an authority that can be made anew, by the openssl command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        folder.mkdir(parents=True)

    def found(self) -> Path:
        """A new authority; its certificate, to be trusted."""
        self._made += 1
        self._key, self.certificate = self._paths("authority")
        options = ("-x509", "-days", "2", "-subj", f"/CN=authority {self._made}")
        _openssl("req", *options, "-newkey", "rsa:2048", "-nodes", "-keyout", self._key, "-out", self.certificate)
        return self.certificate

    def issue(self) -> Path:
        """A new certificate of this authority; a file with the key, too."""
        self._made += 1
        key, signed = self._paths("server")
        request, extensions = signed.with_suffix(".request"), signed.with_suffix(".extensions")
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
        signer = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-days", "2", "-in", request, *signer, "-out", signed)
        both = signed.with_suffix(".both")
        both.write_bytes(key.read_bytes() + signed.read_bytes())
        return both

    def _paths(self, name: str) -> tuple[Path, Path]:
        base = self._folder / f"{name}-{self._made}"
        return base.with_suffix(".key"), base.with_suffix(".pem")


def _openssl(*arguments: str | Path) -> None:
    _run("openssl", *arguments)


def _run(*command: str | Path) -> None:
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, timeout=_SECONDS, check=False, env=os.environ
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
