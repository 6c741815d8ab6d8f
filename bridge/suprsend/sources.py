"""Credentials that follow their files: read for each attempt, made anew only when a text changed."""

from __future__ import annotations

from collections.abc import Callable

from bridge.suprsend.signing import Bearer, Credentials, CredentialsError, Hmac

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
