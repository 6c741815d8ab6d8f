"""Where the real Apache Kafka of the tests comes from: its jars, fetched once by Maven into a cache outside the tree."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.4.0"
_LEAST_JAVA: Final = 17
_FETCH_SECONDS: Final = 540
_POM: Final = Path(__file__).with_name("pom.xml")


class Unavailable(RuntimeError):  # noqa: N818 - a state of the machine, not a failure of the code
    """No real Kafka can be had here; the text says what is missing."""


def java() -> str:
    """Path of a Java of version 17 or later; raises Unavailable."""
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java"] if home else []
    for candidate in (*candidates, "java"):
        path = shutil.which(candidate)
        if path and _version(path) >= _LEAST_JAVA:
            return path
    raise Unavailable(f"Java {_LEAST_JAVA} or later is not on the PATH")


def _version(path: str) -> int:
    answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    return int(found[1]) if found else 0


def jars(version: str = KAFKA_VERSION) -> Path:
    """The folder with the jars of a Kafka, fetched where they are not there yet; raises Unavailable."""
    return fetched(f"kafka-{version}", _POM, {"kafka.version": version})


def fetched(name: str, pom: Path, chosen: Mapping[str, str] | None = None) -> Path:
    """The folder with the jars that a `pom.xml` names, kept under a name of their own; raises Unavailable.

    `chosen` are properties of the pom.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "suprsend-kafka-bridge" / name
    library = cache / "lib"
    marker = cache / f".complete-{zlib.crc32(pom.read_bytes()):08x}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not marker.exists():
            _fetch(name, pom, library, chosen or {})
            marker.touch()
    return library


def _fetch(name: str, pom: Path, library: Path, chosen: Mapping[str, str]) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"Maven is not on the PATH, and the jars of {name} are not in {library}")
    shutil.rmtree(library, ignore_errors=True)
    command = [
        *(maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"),
        *(f"-DoutputDirectory={library}", "-DincludeScope=runtime"),
        *(f"-D{key}={value}" for key, value in chosen.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise Unavailable(f"Maven could not fetch {name}: {tail}")
