"""How much memory there is for records in work: what the container's limit leaves, where there is one."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

MIB: Final = 1024**2
DEFAULT: Final = 64 * MIB
LEAST: Final = 8 * MIB
BESIDE: Final = 112 * MIB
"""What the process takes beside the records in work: the interpreter, librdkafka's queues, connections."""
_NO_LIMIT: Final = 1 << 60
"""Version 1 of cgroups writes a number like this where there is no limit."""


def budget_of(limit: int | None) -> int:
    """Bytes for records in work under a memory limit: 64 MiB, or what the limit leaves, but 8 MiB at least."""
    return DEFAULT if limit is None else max(LEAST, min(DEFAULT, limit - BESIDE))


def cgroup_limit(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """The smallest memory limit that holds for this process, in bytes; None where there is none to be seen."""
    limits = [_read(folder / "memory.max") for folder in _folders(root, own)]
    limits.append(_read(root / "memory" / "memory.limit_in_bytes"))
    return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _folders(root: Path, own: Path) -> list[Path]:
    """The group of the process and those above it, which hold as well."""
    path = ""
    with suppress(OSError, UnicodeDecodeError):
        lines = own.read_text("utf-8").splitlines()
        path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "")
    folder = root / path.strip("/")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def _read(file: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(file.read_text("utf-8").strip())
    return None
