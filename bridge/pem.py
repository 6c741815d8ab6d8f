"""Certificates and keys in files: what is wrong with them, told before anything connects.

Of the standard library alone, and used for SuprSend's and Kafka's files alike. No text here quotes a file.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

__all__ = ["Problem", "authorities_problem", "pair_problem"]

_LARGEST: Final = 8 * 1024 * 1024
_SOON_SECONDS: Final = 14 * 86_400
_LABEL: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)
_CERTIFICATES: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_ELSE: Final = (
    (b"CERTIFICATE REQUEST", "a request for a certificate"),
    (b"PUBLIC KEY", "a public key"),
    (b"CRL", "a list of revoked certificates"),
)
_MISMATCHES: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""OpenSSL's reasons; the last one where the two are of different kinds (RSA and EC)."""
_WEAK: Final = ("TOO_SMALL", "TOO_WEAK")


class Problem(NamedTuple):
    """What is wrong with one of the files. A `date` says that it would work at another time."""

    file: Literal["ca", "cert", "key"]
    text: str
    severity: Literal["error", "warning"] = "error"
    date: bool = False


class _EncryptedError(Exception):
    """The key has a password, and none is known."""


def authorities_problem(path: Path, now: float | None = None) -> Problem | None:
    """What is wrong with a file of trusted certificates; None where it can be used. Reads the file."""
    data = _read(path)
    if isinstance(data, str):
        return Problem("ca", data)
    if not _labels(data) & _CERTIFICATES:
        return Problem("ca", f"{_holds(data)} where certificates belong")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return Problem("ca", "holds a certificate that is damaged: copy it again, from BEGIN to END")
    dates = _dates(data)
    at = time.time() if now is None else now
    if dates and all(ends < at for _begins, ends in dates):
        return Problem("ca", f"holds no certificate that is valid now: the last expired on {_day(dates, 1)}", date=True)
    if dates and all(begins > at for begins, _ends in dates):
        return Problem(
            "ca", f"holds no certificate that is valid now: the first is from {_day(dates, 0)} on", date=True
        )
    return None


def pair_problem(
    cert: Path, key: Path, password: Callable[[], str] | None = None, now: float | None = None
) -> Problem | None:
    """What is wrong with a certificate and its private key; None where they can be used. Reads both.

    `password` is asked where the key has one; what it raises goes through.
    """
    read = {"cert": _read(cert), "key": _read(key)}
    certificate, private = read["cert"], read["key"]
    if isinstance(certificate, str):
        return Problem("cert", certificate)
    if isinstance(private, str):
        return Problem("key", private)
    if not _labels(certificate) & _CERTIFICATES:
        return Problem("cert", f"{_holds(certificate)} where a certificate belongs")
    if not any(label.endswith(b"PRIVATE KEY") for label in _labels(private)):
        return Problem("key", f"{_holds(private)} where a private key belongs")
    return _mismatch(cert, key, password) or _date_of_own(certificate, time.time() if now is None else now)


def _mismatch(cert: Path, key: Path, password: Callable[[], str] | None) -> Problem | None:
    """Let OpenSSL try them."""
    asked = []

    def ask() -> str:
        if password is None:
            raise _EncryptedError
        asked.append(True)
        return password()

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, ask)
    except _EncryptedError:
        return Problem("key", "is encrypted with a password, and none is set for it")
    except ssl.SSLError as error:
        return _refused(error.reason or "", decrypted=bool(asked))
    except (OSError, ValueError):
        return Problem("key", "cannot be used with the certificate")
    return None


def _refused(reason: str, *, decrypted: bool) -> Problem:
    if reason in _MISMATCHES:
        return Problem("key", "belongs to another certificate (of several in a file the first one counts)")
    if any(word in reason for word in _WEAK):
        return Problem("cert", "has too weak a key or signature for OpenSSL")
    if decrypted:
        return Problem("key", "cannot be decrypted with the password that is set for it")
    return Problem("key", "(or its certificate) is damaged: copy both again, from BEGIN to END")


def _date_of_own(data: bytes, now: float) -> Problem | None:
    dates = _dates(data)
    if not dates:
        return None
    ends, begins = min(end for _begin, end in dates), max(begin for begin, _end in dates)
    if ends < now:
        return Problem("cert", f"expired on {_shown(ends)}", date=True)
    if begins > now:
        return Problem("cert", f"is not valid before {_shown(begins)}", date=True)
    if ends < now + _SOON_SECONDS:
        return Problem("cert", f"expires soon, on {_shown(ends)}", "warning", date=True)
    return None


def _read(path: Path) -> bytes | str:
    """The file, or why it cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or 'not a usable path'}"
    if len(data) > _LARGEST:
        return f"is larger than {_LARGEST >> 20} MiB: is it the right file?"
    return data if data.strip() else "is empty"


def _labels(data: bytes) -> set[bytes]:
    return set(_LABEL.findall(data))


def _holds(data: bytes) -> str:
    """What a file holds that holds not what it should."""
    labels = _labels(data)
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        return "holds a private key"
    for part, name in _ELSE:
        if any(part in label for label in labels):
            return f"holds {name}"
    if labels & _CERTIFICATES:
        return "holds a certificate"
    if data[:1] == b"\x30" or data[:4] == b"\xfe\xed\xfe\xed":
        return "is in a binary form (DER, PKCS#12 or a Java key store; openssl makes PEM of it)"
    return "holds no PEM text (-----BEGIN …-----)"


def _dates(data: bytes) -> list[tuple[float, float]]:
    """From when until when each certificate is valid, in seconds since 1970; those that cannot be read are left out."""
    found = []
    for block in _CERTIFICATE.findall(data):
        try:
            text = f"{ssl.PEM_HEADER}\n{block.decode('ascii').strip()}\n{ssl.PEM_FOOTER}"
            found.append(_validity(ssl.PEM_cert_to_DER_cert(text)))
        except (ValueError, IndexError):
            continue
    return found


def _validity(der: bytes) -> tuple[float, float]:
    """`notBefore` and `notAfter` of a certificate (X.509, RFC 5280 4.1): what the standard library does not tell."""
    _tag, at, _end = _element(der, 0)
    _tag, at, _end = _element(der, at)
    tag, _start, end = _element(der, at)
    # The version is left out in those of the first version; then come number, algorithm and issuer.
    for _ in range(3 if tag == 0xA0 else 2):
        _tag, _start, end = _element(der, end)
    _tag, at, _end = _element(der, end)
    tag, begin, end = _element(der, at)
    begins = _time(tag, der[begin:end])
    tag, begin, end = _element(der, end)
    return begins, _time(tag, der[begin:end])


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, beginning and end of the value at a place."""
    size, start = der[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, start = int.from_bytes(der[start : start + count], "big"), start + count
    return der[at], start, start + size


def _time(tag: int, text: bytes) -> float:
    digits = text.decode("ascii").removesuffix("Z")
    if tag == 0x17:
        digits = ("20" if digits[:2] < "50" else "19") + digits
    return datetime.strptime(digits[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _day(dates: list[tuple[float, float]], which: Literal[0, 1]) -> str:
    return _shown(max(ends for _begins, ends in dates) if which else min(begins for begins, _ends in dates))
