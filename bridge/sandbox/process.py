"""The sandbox as a process of its own, for tests and the demo."""

from __future__ import annotations

import http.client
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote, urlencode, urlsplit

from bridge.jsontext import dumps, loads
from bridge.sandbox.workspaces import EXAMPLE, Workspace


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused a request; the message is its own."""


class SandboxProcess:
    """Starts `suprsend-bridge sandbox` on a free port, and stops it; it also ends when this process does.

    `with SandboxProcess() as sandbox: …`, or `start()` and `stop()`. `options` are passed on as `--name value`.
    Not for two threads at once.
    """

    def __init__(
        self, *, workspace: Workspace = EXAMPLE, seed: int = 1, options: Mapping[str, str] | None = None
    ) -> None:
        self.workspace = workspace
        self.url = ""
        self._seed = seed
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self, timeout: float = 30) -> Self:
        """Start it and wait until it listens. Raises SandboxError where it does not within so many seconds."""
        with tempfile.TemporaryFile() as complaints:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
            assert self._process.stdout is not None
            line = _first_line(self._process.stdout, timeout)
            _, found, rest = line.partition(" ready at ")
            if not found:
                self._process.kill()
                self._process.communicate()
                complaints.seek(0)
                raise SandboxError(complaints.read().decode(errors="replace").strip() or "it did not become ready")
        self.url = rest.split()[0]
        return self

    def stop(self, timeout: float = 10) -> int:
        """Stop it by SIGTERM (SIGKILL after so many seconds); its exit code."""
        process = self._process
        if process is None:
            return 0
        process.terminate()
        try:
            process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self._process = None
        return process.returncode

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def post_faults(self, *rules: Mapping[str, Any]) -> list[int]:
        """Put fault rules in force; their ids."""
        added: list[int] = self.call("POST", "/_sandbox/faults", list(rules))["added"]
        return added

    def faults(self) -> list[dict[str, Any]]:
        """The rules with what they have done."""
        found: list[dict[str, Any]] = self.call("GET", "/_sandbox/faults")["faults"]
        return found

    def clear_faults(self) -> None:
        """End all faults."""
        self.call("DELETE", "/_sandbox/faults")

    def stats(self) -> dict[str, Any]:
        """All counters."""
        counters: dict[str, Any] = self.call("GET", "/_sandbox/stats")
        return counters

    def events(self, **wanted: str | int) -> Iterator[dict[str, Any]]:
        """Read the events that are kept whole (the last 10,000), by `event`, `distinct_id`, `key`, `workspace`, `taken`.

        Pages are fetched as they are needed; `limit` is the size of one, `after` the number to begin behind.
        """
        after: int | None = int(wanted.pop("after", 0))
        while after is not None:
            page = self.call("GET", "/_sandbox/events?" + urlencode({"limit": 1000, **wanted, "after": after}))
            yield from page["events"]
            after = page["next"]

    def calls(self, after: int = 0, limit: int = 10_000) -> list[dict[str, Any]]:
        """The last calls, oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"/_sandbox/calls?after={after}&limit={limit}")["calls"]
        return found

    def keys(self) -> Iterator[dict[str, Any]]:
        """Every key ever accepted, one by one: fit for millions."""
        connection = self._connect()
        try:
            connection.request("GET", "/_sandbox/keys")
            for line in connection.getresponse():
                yield loads(line)
        finally:
            connection.close()

    def key(self, key: str) -> dict[str, Any]:
        """What is known of one key. Raises SandboxError where it was never accepted."""
        found: dict[str, Any] = self.call("GET", f"/_sandbox/events/{quote(key, safe='')}")
        return found

    def advance(self, seconds: float) -> None:
        """Move its clock forward."""
        self.call("POST", "/_sandbox/clock", {"advance_seconds": seconds})

    def put_workspace(self, workspace: Workspace) -> None:
        """Add a workspace, or change the credentials or the activity of the one with this key."""
        fields = ("key", "secret", "api_key", "uid", "active")
        self.call("POST", "/_sandbox/workspaces", {name: getattr(workspace, name) for name in fields})

    def reset(self) -> None:
        """Forget all events, counters, faults and the moved clock."""
        self.call("POST", "/_sandbox/reset")

    def call(self, method: str, path: str, value: object = None) -> Any:
        """One request to a control path; its JSON. Raises SandboxError for any status but 2xx."""
        connection = self._connect()
        try:
            connection.request(method, path, b"" if value is None else dumps(value))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise SandboxError(f"{method} {path}: {answer.status} {body[:2000].decode(errors='replace')}")
        return loads(body)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def _command(self) -> list[str]:
        own = {
            "port": "0",
            "workspace-key": self.workspace.key,
            "workspace-secret": self.workspace.secret,
            "api-key": self.workspace.api_key,
            "workspace-uid": self.workspace.uid,
            "seed": str(self._seed),
        }
        options = [f"--{name}={value}" for name, value in {**own, **self._options}.items()]
        return [sys.executable, "-m", "bridge.cli.sandbox", "--until-stdin-ends", *options]


def _first_line(stream: IO[bytes], timeout: float) -> str:
    """What the process says first; empty where it ends or says nothing in time."""
    deadline = time.monotonic() + timeout
    said = b""
    while b"\n" not in said:
        if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return ""
        piece = os.read(stream.fileno(), 4096)
        if not piece:
            return ""
        said += piece
    return said.decode(errors="replace")
