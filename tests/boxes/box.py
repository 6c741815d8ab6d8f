"""One real box: a process with a configuration of its own, on a port of the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_START_SECONDS: Final = 120.0
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

_NGINX: Final = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port}{options};
{text}
    }}
}}
"""
_HAPROXY: Final = """\
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}{options}
{text}
"""
_SQUID: Final = """\
http_port 127.0.0.1:{port}{options}
pid_filename none
access_log none
cache_log /dev/null
cache deny all
cache_mem 8 MB
shutdown_lifetime 0 seconds
visible_hostname squid.test
acl CONNECT method CONNECT
dns_timeout 3 seconds
{text}
"""
_TINYPROXY: Final = """\
Port {port}
Listen 127.0.0.1
Timeout 30
LogLevel Critical
MaxClients 50
{text}
"""
_STUNNEL: Final = """\
foreground = yes
pid =
syslog = no
debug = 3
[in]
accept = 127.0.0.1:{port}
{text}
"""


class NotInstalledError(Exception):
    """A box is not installed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A program, the frame of its configuration, and how it is started."""

    frame: str
    command: tuple[str, ...]


KINDS: Final = {
    "nginx": Kind(_NGINX, ("nginx", "-p", "{folder}", "-c", "{config}")),
    "haproxy": Kind(_HAPROXY, ("haproxy", "-db", "-q", "-f", "{config}")),
    "squid": Kind(_SQUID, ("squid", "-N", "-n", "test{port}", "-f", "{config}")),
    "tinyproxy": Kind(_TINYPROXY, ("tinyproxy", "-d", "-c", "{config}")),
    "stunnel": Kind(_STUNNEL, ("stunnel", "{config}")),
}


@dataclass
class Boxes:
    """Starts boxes, and ends those that it started."""

    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, name: str, text: str, options: str = "") -> int:
        """Start a box with `text` in its configuration and `options` behind its address; returns its port.

        Raises NotInstalledError where it is not installed, AssertionError where it does not start.
        """
        kind = KINDS[name]
        if shutil.which(kind.command[0], path=_PATH) is None:
            raise NotInstalledError(name)
        folder = self.folder / f"{name}-{len(self.started)}"
        folder.mkdir(parents=True)
        port = _free_port()
        config = folder / f"{name}.conf"
        config.write_text(kind.frame.format(folder=folder, port=port, text=text, options=options and f" {options}"))
        command = [part.format(folder=folder, config=config, port=port) for part in kind.command]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, "PATH": _PATH}
            )
        self.started.append(process)
        _await(process, port, command, folder / "out")
        return port

    def stop(self) -> None:
        """End all that was started."""
        for process in self.started:
            process.terminate()
        for process in self.started:
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await(process: subprocess.Popen[bytes], port: int, command: Sequence[str], out: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{command[0]} did not start: {out.read_text(errors='replace')[-2_000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
