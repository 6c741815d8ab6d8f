"""The page of differences is made from the tables."""

from __future__ import annotations

from pathlib import Path

from bridge.jq.reference import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jq-differences.md"


def test_the_page_is_current() -> None:
    """`make docs` has been run since the tables changed."""
    assert PAGE.read_text(encoding="utf-8") == page()
