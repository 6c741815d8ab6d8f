from __future__ import annotations

import pytest

from bridge.suprsend.signing import CredentialsError, bearer_source, hmac_source

KEY = "workspaceKeyOfTests0123"


def test_credentials_follow_their_files() -> None:
    """A changed secret is used at the next asking; while nothing changed the same object is given."""
    kept = {"secret": "one"}
    source = hmac_source(lambda: KEY, lambda: kept["secret"])
    first = source()
    assert source() is first
    kept["secret"] = "two"
    assert source() is not first
    assert source().headers("POST", "/", b"x", 0.0) != first.headers("POST", "/", b"x", 0.0)


def test_a_half_written_secret_is_passed_over() -> None:
    """A text that cannot be right is an error only when there was no good one before it."""
    kept = {"key": "", "uid": "workspaceUidOfTests0123"}
    source = bearer_source(kept["uid"], lambda: kept["key"])
    with pytest.raises(CredentialsError):
        source()
    kept["key"] = "good"
    good = source()
    kept["key"] = "half\nwritten"
    assert source() is good
    kept["key"] = "better"
    assert source() is not good
