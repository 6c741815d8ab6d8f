"""Keeps a process to the workspace that it began with, while its secrets may change."""

from __future__ import annotations

from collections.abc import Callable

from bridge.suprsend.signing import Credentials


class WorkspaceGuard:
    """Credentials for each attempt, always of one workspace. Raises what `source` raises at first, then nothing.

    A key that is rotated within the workspace takes effect at once; another workspace's is never used.
    """

    def __init__(self, source: Callable[[], Credentials]) -> None:
        self._source = source
        self._own = source()

    @property
    def env(self) -> str:
        """The workspace's key or UID, as events name it."""
        return self._own.env

    def __call__(self) -> Credentials:
        """The credentials as they are now."""
        found = self._source()
        if found.env == self._own.env:
            self._own = found
        return self._own

    def other(self) -> str | None:
        """The workspace that the secrets name now, where that is another one."""
        found = self._source().env
        return None if found == self._own.env else found
