"""How a command says that it cannot go on: one clear line and an exit code."""

from __future__ import annotations

__all__ = ["FATAL", "FOUND", "INTERRUPTED", "USAGE", "Failure"]

FOUND = 1
"""A problem was found in what was looked at."""
USAGE = 2
"""Wrong usage or wrong settings."""
FATAL = 70
"""Fenced out of the group, or a bug."""
INTERRUPTED = 130
"""Stopped by Ctrl-C."""


class Failure(Exception):  # noqa: N818 (the user's word)
    """A user's mistake, or something of the machine: `main` prints the message, without a traceback, and exits."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code
