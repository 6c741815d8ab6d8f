"""Secrets: read from text or a file, read again when it changes, never shown."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.secrets import Secret, SecretError


def test_a_secret_s_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A rotated secret takes effect at the next read, whether rewritten in place or swapped as Kubernetes does."""
    first, second, link = tmp_path / "first", tmp_path / "second", tmp_path / "link"
    first.write_text("one\n")
    second.write_text("two\r\n")
    link.symlink_to(first)
    secret = Secret(file=link)
    assert secret.read() == "one"
    link.unlink()
    link.symlink_to(second)
    assert secret.read() == "two"
    second.write_text("three")
    assert secret.read() == "three"


def test_a_file_that_is_away_for_a_moment_keeps_what_was_known(tmp_path: Path) -> None:
    """While a rotation is under way the last good text is used; one that never was readable is an error."""
    file = tmp_path / "s"
    file.write_text("known")
    secret = Secret(file=file)
    secret.read()
    file.unlink()
    assert secret.read() == "known"
    file.write_text("")
    assert secret.read() == "known"
    with pytest.raises(SecretError, match="No such file"):
        Secret(file=file.with_name("other")).read()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\nhunter3", "more than one line"),
        (b"hunter2\xff", "not UTF-8"),
        (b"hunter2\0", "more than one line"),
        (b"hunter2" * 20_000, "larger than"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes, why: str) -> None:
    """The error names the file and the reason; neither it nor its traceback holds what is in the file."""
    file = tmp_path / "s"
    file.write_bytes(content)
    with pytest.raises(SecretError, match=why) as caught:
        Secret(file=file).read()
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter" not in shown


def test_an_unreadable_file_is_one_clear_line(tmp_path: Path) -> None:
    """A directory in place of the file is named with the reason."""
    with pytest.raises(SecretError, match=f"{tmp_path.name}' cannot be read: Is a directory"):
        Secret(file=tmp_path).read()


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    """`repr` and `str` show where it comes from, not what it is."""
    file = tmp_path / "s"
    file.write_text("hunter2")
    for secret in (Secret(SecretStr("hunter2")), Secret(file=file)):
        assert secret.read() == "hunter2"
        assert "hunter2" not in repr(secret) + str(secret) + f"{secret}"


def test_a_secret_has_exactly_one_source() -> None:
    """Neither both nor none of text and file make a secret; two unset settings make no secret."""
    with pytest.raises(ValueError):
        Secret()
    with pytest.raises(ValueError):
        Secret(SecretStr("x"), Path("y"))
    assert Secret.of(None, None) is None


def test_reading_costs_one_look_when_nothing_changed(tmp_path: Path) -> None:
    """The file's content is not read again while its time, size and inode stay."""
    file = tmp_path / "s"
    file.write_text("one")
    secret = Secret(file=file)
    secret.read()
    stamp = file.stat()
    file.write_text("two")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert secret.read() == "one"
