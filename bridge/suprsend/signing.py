"""Who is asking: signatures and API keys, as headers of one attempt (contract §2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from bridge.suprsend import limits

CONTENT_TYPE: Final = "application/json; charset=utf-8"
"""What the official SDKs send and sign, to the letter."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class CredentialsError(ValueError):
    """A key or secret that cannot be right; the message never shows it."""


class Credentials(Protocol):
    """What proves to SuprSend who sends, made anew for every attempt. Immutable; any thread."""

    @property
    def env(self) -> str:
        """The value of each event's `env`."""

    def headers(self, method: str, target: str, body: bytes, now: float) -> list[str]:
        """The header lines for one attempt.

        `target` is the path (and `?query`) of the request line, `body` the very bytes that are sent, `now` seconds
        since 1970.
        """


def http_date(seconds: float) -> str:
    """Format a time as HTTP writes dates, in English whatever the locale: `Wed, 15 Nov 2023 06:13:20 GMT`."""
    return _date_of(math.floor(seconds))


@lru_cache(maxsize=4)
def _date_of(second: int) -> str:
    at = time.gmtime(second)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"
    )


def signature(secret: bytes, *, method: str, body: bytes, content_type: str, date: str, target: str) -> str:
    """Sign one request: Base64 of HMAC-SHA256 over five lines (contract §2a)."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest() if body and method != "GET" else ""
    text = f"{method}\n{digest}\n{content_type}\n{date}\n{target}"
    return base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode("ascii")


@dataclass(frozen=True, slots=True, repr=False, init=False)
class Hmac:
    """Workspace key and workspace secret. Raises CredentialsError for a key or secret that cannot be right."""

    key: str
    secret: bytes

    def __init__(self, key: str, secret: str | bytes) -> None:
        _refuse_key("workspace key", key)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "secret", _secret_bytes("workspace secret", secret))

    def __repr__(self) -> str:
        """The key names the workspace; the secret is never shown."""
        return f"Hmac(key={self.key!r}, secret=***)"

    @property
    def env(self) -> str:
        """The workspace key."""
        return self.key

    def headers(self, method: str, target: str, body: bytes, now: float) -> list[str]:
        """Sign these bytes at this second."""
        date = http_date(now)
        signed = signature(self.secret, method=method, body=body, content_type=CONTENT_TYPE, date=date, target=target)
        return [f"Authorization: {self.key}:{signed}", f"Date: {date}", f"Content-Type: {CONTENT_TYPE}"]


@dataclass(frozen=True, slots=True, repr=False)
class Bearer:
    """API key of a workspace, with the workspace's UID. Raises CredentialsError for what cannot be right."""

    api_key: str
    workspace_uid: str

    def __post_init__(self) -> None:
        _refuse_key("workspace UID", self.workspace_uid)
        _secret_bytes("API key", self.api_key)
        if " " in self.api_key or not self.api_key.isascii():
            raise CredentialsError("the API key has a space or a character beyond ASCII; copy it again")

    def __repr__(self) -> str:
        """The UID names the workspace; the API key is never shown."""
        return f"Bearer(api_key=***, workspace_uid={self.workspace_uid!r})"

    @property
    def env(self) -> str:
        """The workspace UID."""
        return self.workspace_uid

    def headers(self, method: str, target: str, body: bytes, now: float) -> list[str]:
        """The same for every request: nothing is signed."""
        del method, target, body, now
        return [f"Authorization: Bearer {self.api_key}", f"Content-Type: {CONTENT_TYPE}"]


def _refuse_key(what: str, key: str) -> None:
    if not isinstance(key, str):
        raise CredentialsError(f"the {what} must be text, not {type(key).__name__}")
    problem = limits.env_problem(key)
    if problem is not None:
        raise CredentialsError(problem)
    if ":" in key:
        raise CredentialsError(f"the {what} holds a colon; give the key alone, and the secret apart")


def _secret_bytes(what: str, secret: str | bytes) -> bytes:
    if not isinstance(secret, str | bytes):
        raise CredentialsError(f"the {what} must be text, not {type(secret).__name__}")
    try:
        data = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise CredentialsError(f"the {what} holds half of a surrogate pair; copy it again") from None
    if not data:
        raise CredentialsError(f"the {what} is empty; copy it from the dashboard")
    if data != data.strip() or any(byte < 32 or byte == 127 for byte in data):
        raise CredentialsError(f"the {what} has white space at an end or a line break in it; remove it")
    return data


Read = Callable[[], str]
"""Reads a key or secret as it is now; cheap enough to be called for each attempt."""


def hmac_source(key: Read, secret: Read) -> Callable[[], Credentials]:
    """A source of signing credentials for `CurlTransport`, from where workspace key and secret are kept."""
    return _Followed(lambda: (key(), secret()), Hmac)


def bearer_source(workspace_uid: str, api_key: Read) -> Callable[[], Credentials]:
    """A source of Bearer credentials for `CurlTransport`, from where the API key is kept."""
    return _Followed(lambda: (api_key(), workspace_uid), Bearer)


class _Followed:
    """Remembers the last credentials and the texts they were made of.

    A changed text that cannot be right (a file half written) is passed over for the last good one, so that only the
    first reading raises CredentialsError.
    """

    def __init__(self, read: Callable[[], tuple[str, str]], make: Callable[[str, str], Credentials]) -> None:
        self._read = read
        self._make = make
        self._last: tuple[tuple[str, str], Credentials] | None = None

    def __call__(self) -> Credentials:
        texts = self._read()
        last = self._last
        if last is not None and last[0] == texts:
            return last[1]
        try:
            made = self._make(*texts)
        except CredentialsError:
            if last is None:
                raise
            return last[1]
        self._last = (texts, made)
        return made
