"""Certificates and keys in files, looked at before anything connects."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli.main import run
from bridge.findings import Finding
from bridge.pem import Problem, authorities_problem, pair_problem
from bridge.settings import load_settings

DATA = Path(__file__).parent / "suprsend" / "data"
NOW = ssl.cert_time_to_seconds("Nov 30 12:00:00 2030 GMT")
LAST = ssl.cert_time_to_seconds("Oct 31 06:37:31 2126 GMT")
KEY = (DATA / "client.key").read_bytes()
CERTIFICATE = (DATA / "client.pem").read_bytes()


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True, timeout=120).stdout


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(data: bytes) -> Path:
        path = tmp_path / f"file-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return written


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"hello", "holds no PEM text"),
        (KEY, "holds a private key where certificates belong"),
        (openssl("ec", "-pubout", given=KEY), "holds a public key where certificates belong"),
        (openssl("x509", "-outform", "der", given=CERTIFICATE), "binary form"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n", "a request for a"),
        (CERTIFICATE[:300] + b"\n-----END CERTIFICATE-----\n", "damaged"),
        ((DATA / "expired.pem").read_bytes(), "the last expired on 2020-01-31"),
        ((DATA / "early.pem").read_bytes(), "the first is from 2099-01-01 00:00 UTC on"),
    ],
)
def test_trusted_certificates_that_cannot_be(write: Callable[[bytes], Path], data: bytes, words: str) -> None:
    """A file of trusted certificates is told as empty, a key, a request, binary, damaged or out of date."""
    problem = authorities_problem(write(data), NOW)
    assert problem is not None
    assert words in problem.text


def test_trusted_certificates_that_can_be(write: Callable[[bytes], Path]) -> None:
    """One good certificate among old ones is enough, with text around it and Windows' line ends, and so is a leaf."""
    expired, good = (DATA / "expired.pem").read_bytes(), (DATA / "ca.pem").read_bytes()
    for data in (good, expired + good, b"# ours\r\n" + good.replace(b"\n", b"\r\n"), CERTIFICATE):
        assert authorities_problem(write(data), NOW) is None
    assert authorities_problem(Path("/nowhere/ca.pem"), NOW) == Problem(
        "ca", "cannot be read: No such file or directory"
    )
    assert authorities_problem(DATA, NOW) == Problem("ca", "cannot be read: Is a directory")


def encrypted(password: str) -> bytes:
    return openssl("ec", "-aes256", "-passout", f"pass:{password}", given=KEY)


@pytest.mark.parametrize(
    ("cert", "key", "file", "words"),
    [
        (CERTIFICATE, (DATA / "server.key").read_bytes(), "key", "belongs to another certificate"),
        (CERTIFICATE, openssl("genrsa", "2048"), "key", "belongs to another certificate"),
        ((DATA / "ca.pem").read_bytes() + CERTIFICATE, KEY, "key", "the first one counts"),
        (KEY, KEY, "cert", "holds a private key where a certificate belongs"),
        (CERTIFICATE, CERTIFICATE, "key", "holds a certificate where a private key belongs"),
        (b"", KEY, "cert", "is empty"),
        (CERTIFICATE, b"", "key", "is empty"),
        (CERTIFICATE, KEY[:100] + b"\n-----END EC PRIVATE KEY-----\n", "key", "damaged"),
        (CERTIFICATE, encrypted("sesame"), "key", "is encrypted with a password"),
        ((DATA / "expired.pem").read_bytes(), (DATA / "expired.key").read_bytes(), "cert", "expired on 2020-01-31"),
        ((DATA / "early.pem").read_bytes(), (DATA / "early.key").read_bytes(), "cert", "not valid before 2099-01-01"),
    ],
)
def test_a_certificate_and_its_key_that_cannot_be(
    write: Callable[[bytes], Path], cert: bytes, key: bytes, file: str, words: str
) -> None:
    """Which of the two files is wrong, and how: the other's key, exchanged, empty, damaged, encrypted, out of date."""
    problem = pair_problem(write(cert), write(key), None, NOW)
    assert problem is not None
    assert problem.file == file
    assert words in problem.text


def test_a_certificate_and_its_key_that_can_be(write: Callable[[bytes], Path]) -> None:
    """A pair that fits is silent, also in one file and with a password; shortly before its end it is a warning."""
    assert pair_problem(DATA / "client.pem", DATA / "client.key", None, NOW) is None
    both = write(KEY + CERTIFICATE)
    assert pair_problem(both, both, None, NOW) is None
    locked = write(encrypted("sesame"))
    assert pair_problem(DATA / "client.pem", locked, lambda: "sesame", NOW) is None
    wrong = pair_problem(DATA / "client.pem", locked, lambda: "simsim", NOW)
    assert wrong is not None
    assert wrong.text == "cannot be decrypted with the password that is set for it"
    soon = pair_problem(DATA / "client.pem", DATA / "client.key", None, LAST - 86_400)
    assert soon is not None
    assert (soon.severity, soon.date, soon.text) == ("warning", True, "expires soon, on 2126-10-31 06:37 UTC")


SETTINGS = """\
kafka:
  bootstrap_servers: ["127.0.0.1:9"]
  topics: [t]
  group_id: g
  dead_letter_topic: dead
  security: {{protocol: ssl, {kafka}}}
suprsend:
  workspace_key: sandbox-workspace-key-01
  workspace_secret: sandbox-workspace-secret-01
  {suprsend}
"""
RULE = "rules:\n  - {name: a, topics: [t], event: told, distinct_id: u1}\n"


@pytest.mark.parametrize(
    ("suprsend", "kafka", "words"),
    [
        ("ca_file: client.key", "ca_file: ca.pem", ("10:12", "`suprsend.ca_file`", "holds a private key", "S007")),
        (
            "{client_cert_file: client.pem, client_key_file: server.key}",
            "ca_file: ca.pem",
            ("`suprsend.client_key_file`", "belongs to another certificate", "S007"),
        ),
        (
            "{client_cert_file: expired.pem, client_key_file: expired.key}",
            "ca_file: ca.pem",
            ("`suprsend.client_cert_file`", "expired on 2020", "S008"),
        ),
        ("timeout: 10s", "ca_file: client.key", ("6:38", "`kafka.security.ca_file`", "holds a private key", "S007")),
        (
            "timeout: 10s",
            "cert_file: client.pem, key_file: server.key",
            ("`kafka.security.key_file`", "belongs to another certificate", "S007"),
        ),
        (
            "timeout: 10s",
            "cert_file: expired.pem, key_file: expired.key",
            ("`kafka.security.cert_file`", "expired on 2020", "S008"),
        ),
    ],
)
def test_check_looks_at_the_files_of_both_sides(
    suprsend: str,
    kafka: str,
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`suprsend-bridge check` names setting, file and what is wrong with it, for SuprSend and Kafka alike, without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    for file in DATA.glob("*.[pk]e[my]"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lines = suprsend.strip("{}").replace(", ", "\n  ")
    (tmp_path / "bridge.yaml").write_text(SETTINGS.format(kafka=kafka, suprsend=lines))
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULE)
    assert run(["check", "--config", "bridge.yaml"]) == 2
    shown = capsys.readouterr()
    for word in words:
        assert word in shown.out
    assert "PRIVATE KEY" not in shown.out + shown.err


def test_a_certificate_that_expired_stops_no_start(tmp_path: Path) -> None:
    """Settings with one load, and say it: it may be renewed in place, while the bridge runs."""
    for name in ("expired.pem", "expired.key", "ca.pem"):
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    file = tmp_path / "bridge.yaml"
    lines = "client_cert_file: expired.pem\n  client_key_file: expired.key"
    file.write_text(SETTINGS.format(kafka="ca_file: ca.pem", suprsend=lines))
    notes: list[Finding] = []
    assert load_settings(file, {}, notes=notes).suprsend.client_cert_file == tmp_path / "expired.pem"
    assert [(note.code, note.severity, note.line) for note in notes] == [("S008", "error", 10)]


def test_check_looks_at_the_certificates_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no `ca_file` is set, the file that is trusted instead is looked at, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    text = SETTINGS.format(kafka="", suprsend="timeout: 10s").replace("{protocol: ssl, }", "{protocol: ssl}")
    (tmp_path / "bridge.yaml").write_text(text)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULE)
    assert run(["check", "--config", "bridge.yaml"]) == 2
    assert f"the trusted certificates: the file '{tmp_path}/empty.pem' is empty" in capsys.readouterr().out
