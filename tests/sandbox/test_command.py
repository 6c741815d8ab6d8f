"""`suprsend-bridge sandbox` as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.sandbox.process import SandboxError, SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE, Workspace
from tests.sandbox.raw import BULK, SINGLE, connect, event, exchange, post, request

COMMAND = [sys.executable, "-m", "bridge.cli.sandbox"]

NONSENSE = (
    b"\x00" * 100 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
)


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=120, check=False)


def test_it_says_where_it_is_and_writes_its_port(tmp_path: Path) -> None:
    """One line with its URL when it is ready, and its port in the file that was asked for."""
    port_file = tmp_path / "port"
    with SandboxProcess(options={"port-file": str(port_file)}) as sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port_file.read_text().strip()}/"
        assert sandbox.stats()["calls"]["total"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_even_with_a_hanging_call(number: signal.Signals) -> None:
    """A signal ends it at once with exit code 0, in the middle of a hanging answer too."""
    sandbox = SandboxProcess().start()
    sandbox.post_faults({"fault": "hang"})
    with connect(sandbox) as connection:
        connection.sendall(request(sandbox, BULK, [event(EXAMPLE.key)]))
        deadline = time.monotonic() + 120
        while not sandbox.stats()["load"]["in_flight"]:
            assert time.monotonic() < deadline
        assert sandbox.pid is not None
        os.kill(sandbox.pid, number)
        assert connection.recv(100) == b""
    began = time.monotonic()
    assert sandbox.stop() == 0
    assert time.monotonic() - began < 60


def test_it_ends_with_the_process_that_started_it() -> None:
    """When its starter is killed without a chance to stop it, it goes too."""
    code = (
        "import sys, time; from bridge.sandbox.process import SandboxProcess; s = SandboxProcess().start(); "
        "print(s.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    deadline = time.monotonic() + 120
    while _running(pid):
        assert time.monotonic() < deadline, "the sandbox outlived its starter"
        time.sleep(0.02)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_port_in_use_is_one_clear_line() -> None:
    """A port that another process has is a line that says what to do, and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert f"port {port} on 127.0.0.1 is in use" in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["--workspace-key", "short"], "--workspace-key"),
        (["--workspace-uid", "with:colon-in-the-middle"], "--workspace-uid"),
        (["--workspace-secret", ""], "--workspace-secret"),
        (["--host", "203.0.113.1", "--port", "0"], "cannot listen on 203.0.113.1"),
        (["--host", "no such host", "--port", "0"], "cannot listen on no such host"),
        (["--port", "0", "--port-file", "/nonexistent/file"], "--port-file"),
        (["--max-event-bytes", "900000"], "--max-event-bytes"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_is_one_clear_line(args: list[str], part: str) -> None:
    """Every mistake on the command line is one line and exit code 2, without a traceback."""
    ended = run(*args)
    assert ended.returncode == 2
    assert part in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_start_that_fails_says_why() -> None:
    """The process wrapper passes on what the command complained of."""
    with pytest.raises(SandboxError, match="--max-event-bytes"):
        SandboxProcess(options={"max-event-bytes": "0"}).start()


def test_its_options_count() -> None:
    """Own credentials, own sizes and an own window are what is enforced."""
    workspace = Workspace("an-own-workspace-key-1", "own-secret", "own-api-key", "an-own-workspace-uid-1")
    options = {"max-event-bytes": "819200", "window": "10", "max-skew": "60"}
    with SandboxProcess(workspace=workspace, options=options) as sandbox:
        assert post(sandbox, SINGLE, event(workspace.key)).json()["error"]["message"] == "Date is too far from now"
        headers = {"Authorization": "Bearer own-api-key"}
        made = {**event(workspace.uid, properties={"pad": "x" * 800_000}), "$idempotency_key": "k"}
        assert post(sandbox, SINGLE, made, headers).status == 202
        sandbox.advance(10)
        assert post(sandbox, SINGLE, made, headers).status == 202
        assert sandbox.stats()["events"]["after_window"] == 1


def test_its_seed_and_its_bound_on_a_body_count() -> None:
    """Faults by chance strike the same calls in each run with a seed; a body beyond the bound is refused as a whole."""
    struck = []
    for seed in (5, 5, 6):
        with SandboxProcess(seed=seed, options={"max-body-bytes": "1000"}) as sandbox:
            assert post(sandbox, BULK, [event(EXAMPLE.key, properties={"pad": "x" * 1000})]).status == 413
            sandbox.post_faults({"fault": "status", "status": 503, "when": {"probability": 0.5}})
            struck.append([post(sandbox, SINGLE, event(EXAMPLE.key)).status for _ in range(40)])
    assert struck[0] == struck[1]
    assert struck[0] != struck[2]


def test_nonsense_leaves_no_trace_on_the_terminal() -> None:
    """Bytes that are no HTTP print nothing: the terminal has one line, and the exit code is 0."""
    process = subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    host, port = process.stdout.readline().split()[4].removeprefix("http://").rstrip("/").split(":")
    for nonsense in NONSENSE:
        with socket.create_connection((host, int(port)), timeout=120) as connection:
            connection.sendall(nonsense)
            assert connection.recv(65_536).startswith(b"HTTP/1.0 400")
    process.terminate()
    assert process.communicate(timeout=120) == ("", "")
    assert process.returncode == 0


def test_what_is_no_http_does_not_hurt(sandbox: SandboxProcess) -> None:
    """Nonsense on the wire ends that connection and nothing else."""
    for nonsense in NONSENSE:
        with connect(sandbox) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
    assert exchange(sandbox, SINGLE, event(EXAMPLE.key), most=12).startswith(b"HTTP/1.1 202")
