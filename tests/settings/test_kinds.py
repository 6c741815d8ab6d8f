"""Durations, sizes and times as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.settings.kinds import parse_duration, parse_size, parse_time_ms, show_duration, show_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20ms", 0.02), ("10s", 10), ("1.5s", 1.5), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("0s", 0)],
)
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    """A duration is a number and one of ms, s, m, h, d."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong", ["10", 10, 1.5, None, True, "", "s", "10 s", "-1s", "1w", "1h30m", "10S", "1e3s", "9" * 40 + "s"]
)
def test_what_is_no_duration_is_refused(wrong: object) -> None:
    """Without a unit, with another one, or of another type: the message shows how durations are written."""
    with pytest.raises(ValueError, match="20ms, 10s, 5m, 24h"):
        parse_duration(wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), (819_200, 819_200), ("512KiB", 524_288), ("64MiB", 67_108_864), ("1GiB", 2**30), ("9B", 9)],
)
def test_sizes_are_bytes_or_have_a_unit(text: object, size: int) -> None:
    """A size is a number of bytes, or has one of KiB, MiB, GiB."""
    assert parse_size(text) == size


@pytest.mark.parametrize("wrong", ["64MB", "64 MiB", "-1", -1, 1.5, True, None, "", "MiB", "64mib"])
def test_what_is_no_size_is_refused(wrong: object) -> None:
    """MB is not MiB, and nobody knows which was meant: it is refused."""
    with pytest.raises(ValueError, match="64MiB"):
        parse_size(wrong)


@given(st.integers(1, 10**8))
def test_durations_are_shown_as_they_can_be_written(milliseconds: int) -> None:
    """What `show_duration` writes, `parse_duration` reads as the same time."""
    assert parse_duration(show_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000, abs=1e-9)


@given(st.integers(0, 2**39))
def test_sizes_are_shown_as_they_can_be_written(size: int) -> None:
    """What `show_size` writes, `parse_size` reads as the same size."""
    assert parse_size(show_size(size)) == size


@pytest.mark.parametrize(
    "wrong", ["2026-01-31", "2026-01-31T08:00:00", "2026-13-31T08:00:00Z", "now", "", "2026-01-31T25:00:00Z"]
)
def test_a_time_needs_its_offset(wrong: str) -> None:
    """A time without an offset means another moment on each machine, so it is refused."""
    with pytest.raises(ValueError):
        parse_time_ms(wrong)
