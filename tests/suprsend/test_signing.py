from __future__ import annotations

import json
import locale
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st
from suprsend.signature import get_request_signature

from bridge.suprsend.signing import CONTENT_TYPE, Bearer, Credentials, CredentialsError, Hmac, http_date, signature

VECTORS = json.loads((Path(__file__).parent / "data" / "hmac_vectors.json").read_text(encoding="utf-8"))
KEY = "workspaceKeyOfTests0123"


def _target(url: str) -> str:
    split = urlsplit(url)
    return split.path + (f"?{split.query}" if split.query else "")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: urlsplit(vector["url"]).path)
def test_vectors_hold(vector: dict[str, str]) -> None:
    """Each recorded vector of the official SDK's signer gives the same signature."""
    signed = signature(
        vector["secret"].encode(),
        method=vector["method"],
        body=vector["body"].encode(),
        content_type=vector["content_type"],
        date=vector["date"],
        target=_target(vector["url"]),
    )
    assert signed == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: urlsplit(vector["url"]).path)
def test_hmac_headers_carry_key_signature_and_date(vector: dict[str, str]) -> None:
    """The headers of an attempt are `key:signature` without a scheme word, the date signed and the content type."""
    now = datetime.strptime(vector["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    headers = Hmac(vector["key"], vector["secret"]).headers(
        "POST", _target(vector["url"]), vector["body"].encode(), now + 0.9
    )
    assert headers == [
        f"Authorization: {vector['key']}:{vector['signature']}",
        f"Date: {vector['date']}",
        f"Content-Type: {CONTENT_TYPE}",
    ]


@given(
    content=st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans()),
    secret=st.text(min_size=1),
    path=st.sampled_from(["/v2/event/", "/v2/bulk/event/", "/pre/fix/event/"]),
)
def test_signature_is_the_official_one(content: dict[str, object], secret: str, path: str) -> None:
    """For any content, secret and path the signature is the one that the official SDK makes of the same bytes."""
    try:
        secret.encode()
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    date = http_date(1_700_000_000)
    headers = {"Content-Type": CONTENT_TYPE, "Date": date}
    text, expected = get_request_signature(f"https://hub.suprsend.com{path}", "POST", content, headers, secret)
    signed = signature(
        secret.encode(), method="POST", body=text.encode(), content_type=CONTENT_TYPE, date=date, target=path
    )
    assert signed == expected


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_http_date_is_rfc_1123(seconds: int) -> None:
    """A date reads as the standard library writes it, to the second."""
    assert http_date(seconds + 0.999) == format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


def test_http_date_knows_no_locale() -> None:
    """A process locale with other names of days and months changes nothing."""
    before = locale.setlocale(locale.LC_TIME)
    known = [name for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8", "C") if _settable(name)]
    try:
        for name in known:
            locale.setlocale(locale.LC_TIME, name)
            assert http_date(1_700_028_800) == "Wed, 15 Nov 2023 06:13:20 GMT"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def _settable(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    return True


def test_bearer_is_not_signed() -> None:
    """An API key goes as a Bearer token, without date or signature, and the workspace UID is `env`."""
    bearer: Credentials = Bearer("token-of-tests", "workspaceUidOfTests0123")
    assert bearer.headers("POST", "/v2/event/", b"{}", 0.0) == [
        "Authorization: Bearer token-of-tests",
        f"Content-Type: {CONTENT_TYPE}",
    ]
    assert bearer.env == "workspaceUidOfTests0123"
    assert Hmac(KEY, "s").env == KEY


@pytest.mark.parametrize("shown", [repr, str, "{}".format])
def test_credentials_never_show_a_secret(shown: object) -> None:
    """No way of printing credentials shows the secret or the API key."""
    assert callable(shown)
    text = shown(Hmac(KEY, "top-secret")) + shown(Bearer("top-secret", KEY))
    assert "top-secret" not in text
    assert KEY in text


@pytest.mark.parametrize(
    ("key", "secret", "says"),
    [
        ("short", "hidden", "at least 20"),
        (KEY + "\n", "hidden", "line break"),
        (KEY + ":x", "hidden", "colon"),
        (KEY, "", "empty"),
        (KEY, "hidden\n", "white space"),
        (KEY, "hid\r\nX-Evil: 1", "line break"),
        (KEY, "hidden\ud800", "surrogate"),
    ],
)
def test_impossible_credentials_are_refused(key: str, secret: str, says: str) -> None:
    """A key or secret that cannot be right is refused with a reason, and the reason does not quote it."""
    with pytest.raises(CredentialsError, match=says) as caught:
        Hmac(key, secret)
    assert not secret or secret not in str(caught.value)
    with pytest.raises(CredentialsError):
        Bearer(secret, key)
