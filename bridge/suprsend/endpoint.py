"""Where SuprSend is and how it is reached: addresses, time limits and TLS, checked before anything connects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bridge import __version__

BASE_URL: Final = "https://hub.suprsend.com/"
EVENT_PATH: Final = "v2/event/"
BULK_PATH: Final = "v2/bulk/event/"

_CA_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the certificates they trust; a bundled libcurl does not know."""


class EndpointError(ValueError):
    """A setting of the way to SuprSend that cannot work; the message never shows a password."""


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """The way to SuprSend. Times are seconds, sizes bytes. Raises EndpointError when made with what cannot work.

    A path in `base_url` is kept and a missing `/` at its end is added (contract §1). Proxies named by environment
    variables are ignored: only `proxy` counts. `ca_file` replaces the system's certificates.
    """

    base_url: str = BASE_URL
    deadline: float = 30.0
    """For a whole attempt: name look-up, connection, TLS, request and answer."""
    connect_timeout: float = 10.0
    max_answer_bytes: int = 8 * 1024 * 1024
    max_connections: int = 64
    connection_lifetime: float = 300.0
    """After this a connection is not used again, so that a changed DNS entry or certificate takes effect."""
    connection_idle: float = 50.0
    """A connection idle for longer is not used again; most load balancers close theirs after 60 s."""
    proxy: str | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    user_agent: str = f"suprsend-kafka-bridge/{__version__}"

    def __post_init__(self) -> None:
        split = _split("base_url", self.base_url, ("https", "http"))
        if "@" in split.netloc:
            raise EndpointError("base_url holds a user or password; give the workspace key and secret apart from it")
        if split.query or split.fragment or "?" in self.base_url or "#" in self.base_url:
            raise EndpointError("base_url has a `?` or `#` part; write it as https://host/path/")
        if not self.base_url.endswith("/"):
            object.__setattr__(self, "base_url", self.base_url + "/")
        if self.proxy is not None:
            _split("proxy", self.proxy, ("http", "https", "socks5", "socks5h"))
        if self.client_key is not None and self.client_certificate is None:
            raise EndpointError("client_key is set without client_certificate; set both")
        for name in ("deadline", "connect_timeout", "max_answer_bytes", "max_connections"):
            if not 0 < getattr(self, name) < float("inf"):
                raise EndpointError(f"{name} must be greater than 0")
        for name in ("connection_lifetime", "connection_idle"):
            if not 1 <= getattr(self, name) < float("inf"):
                raise EndpointError(f"{name} must be at least 1 second")
        if not self.user_agent.isascii() or not self.user_agent.isprintable():
            raise EndpointError("user_agent must be printable ASCII on one line")

    def __repr__(self) -> str:
        """Everything, save the user and password of the proxy."""
        shown = (f"{item.name}={self._shown(item.name)!r}" for item in fields(self))
        return f"Endpoint({', '.join(shown)})"

    def _shown(self, name: str) -> object:
        value = getattr(self, name)
        if name == "proxy" and isinstance(value, str) and "@" in value:
            scheme, _, rest = value.partition("://")
            return f"{scheme}://***@{rest.rpartition('@')[2]}"
        return value

    def url(self, path: str) -> str:
        """The URL of a path such as `v2/event/`."""
        return self.base_url + path

    def target(self, path: str) -> str:
        """The request target of a path: what the request line says and the signature covers."""
        return urlsplit(self.base_url).path + path

    def check_files(self) -> None:
        """Raise EndpointError when a certificate or key file cannot be read."""
        for name in ("ca_file", "client_certificate", "client_key"):
            path = getattr(self, name)
            if path is None:
                continue
            try:
                with Path(path).open("rb") as file:
                    file.read(1)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or "not a usable path"
                raise EndpointError(f"{name}: {path}: {why}; give the path of a readable PEM file") from None

    def ca_bundle(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The file of trusted certificates: `ca_file`, `SSL_CERT_FILE` or the distribution's; None for http.

        Raises EndpointError when there is none.
        """
        if self.ca_file is not None:
            return self.ca_file
        for path in (environ.get("SSL_CERT_FILE"), *_CA_BUNDLES):
            if path and Path(path).is_file():
                return path
        if self.base_url[:6].lower() == "https:":
            raise EndpointError("no trusted certificates found; install ca-certificates or set ca_file")
        return None


def _split(name: str, url: str, schemes: tuple[str, ...]) -> SplitResult:
    """Split a URL that must be plain ASCII with a known scheme and a host; errors never quote it."""
    expected = f"write it as {schemes[0]}://host/" if name == "base_url" else f"write it as {schemes[0]}://host:port"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise EndpointError(f"{name} has a space or a character beyond ASCII; {expected}")
    try:
        split = urlsplit(url)
        host, _port = split.hostname, split.port
    except ValueError:
        raise EndpointError(f"{name} is no URL; {expected}") from None
    if split.scheme not in schemes or not url[: len(split.scheme) + 3].endswith("://"):
        raise EndpointError(f"{name} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not host:
        raise EndpointError(f"{name} names no host; {expected}")
    return split
