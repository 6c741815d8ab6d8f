"""Secrets: where one comes from, and how it is read again when its file changes."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from pydantic import SecretStr

__all__ = ["Secret", "SecretError"]

_LARGEST = 65_536
_Stamp = tuple[int, int, int]


class SecretError(Exception):
    """A secret's file cannot be used; the message names the file and what to do, never what is in it."""


class Secret:
    """A secret given as text or as the path of a file that holds it; its repr never shows it.

    A file is looked at on each `read` (one `stat`) and read again when it was replaced or rewritten, so that a
    rotated Kubernetes secret takes effect without a restart. Any thread may call it.
    """

    __slots__ = ("_file", "_known", "_value")

    def __init__(self, value: SecretStr | None = None, file: Path | None = None) -> None:
        if (value is None) == (file is None):
            message = "a secret has either a value or a file"
            raise ValueError(message)
        self._value = value
        self._file = file
        self._known: tuple[_Stamp, SecretStr] | None = None

    @classmethod
    def of(cls, value: SecretStr | None, file: Path | None) -> Secret | None:
        """Make the secret that two settings (`x` and `x_file`) describe, or None where neither is set."""
        return None if value is None and file is None else cls(value, file)

    @property
    def file(self) -> Path | None:
        return self._file

    def read(self) -> str:
        """Return the secret as it is now, without a line break at its end.

        Raises `SecretError` where the file cannot be read, is empty, too large or not UTF-8 text; where a file that
        was read once is away for a moment (a rotation under way), the known text is returned.
        """
        if self._value is not None:
            return self._value.get_secret_value()
        try:
            return self._read_file().get_secret_value()
        except SecretError:
            if self._known is None:
                raise
            return self._known[1].get_secret_value()

    def trouble(self) -> str | None:
        """Why the secret cannot be read at this moment, though `read` may still know it; None where it can be."""
        try:
            if self._file is not None:
                self._read_file()
        except SecretError as error:
            return str(error)
        return None

    def _read_file(self) -> SecretStr:
        assert self._file is not None
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._known is not None and self._known[0] == stamp:
                return self._known[1]
            with self._file.open("rb") as file:
                raw = file.read(_LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
            self._refuse(f"cannot be read: {reason}", error)
        value = SecretStr(self._text(raw))
        self._known = (stamp, value)
        return value

    def _text(self, raw: bytes) -> str:
        if len(raw) > _LARGEST:
            self._refuse(f"is larger than {_LARGEST} bytes: is it the right file?")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            self._refuse("is not UTF-8 text")
        text = text.removesuffix("\n").removesuffix("\r")
        if not text.strip():
            self._refuse("is empty")
        if "\n" in text or "\r" in text or "\0" in text:
            self._refuse("has more than one line")
        return text

    def _refuse(self, why: str, cause: BaseException | None = None) -> NoReturn:
        message = f"the secret's file {str(self._file)!r} {why}"
        # Without a cause the context is dropped: the decoder's error quotes the bytes that it met.
        raise SecretError(message) from cause

    def __repr__(self) -> str:
        return f"Secret(file={str(self._file)!r})" if self._file else "Secret('**********')"
