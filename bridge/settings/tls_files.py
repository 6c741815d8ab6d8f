"""The certificates and keys that settings name, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bridge.pem import Problem, authorities_problem, pair_problem
from bridge.secrets import SecretError
from bridge.settings.model import Settings

__all__ = ["TlsProblem", "tls_problems"]


class TlsProblem(NamedTuple):
    """A problem of the file that the setting at `path` names."""

    path: tuple[str, ...]
    file: Path
    problem: Problem


class _Files(NamedTuple):
    """The files of one side, and the settings that name them."""

    section: tuple[str, ...]
    names: dict[str, str]
    files: dict[str, Path | None]
    password: Callable[[], str] | None


def tls_problems(settings: Settings) -> list[TlsProblem]:
    """What is wrong with the files for TLS, of SuprSend and of Kafka. Reads them; connects to nothing."""
    return [found for files in _files(settings) for found in _problems(files)]


def _files(settings: Settings) -> Iterator[_Files]:
    suprsend, security = settings.suprsend, settings.kafka.security
    names = {"ca": "ca_file", "cert": "client_cert_file", "key": "client_key_file"}
    files = {kind: getattr(suprsend, name) for kind, name in names.items()}
    yield _Files(("suprsend",), names, files, None)
    names = {"ca": "ca_file", "cert": "cert_file", "key": "key_file"}
    files = {kind: getattr(security, name) for kind, name in names.items()}
    secret = security.key_secret
    yield _Files(("kafka", "security"), names, files, None if secret is None else secret.read)


def _problems(of: _Files) -> Iterator[TlsProblem]:
    ca, cert, key = (of.files[kind] for kind in ("ca", "cert", "key"))
    found = [authorities_problem(ca) if ca is not None else None]
    # Where the password cannot be read, the loader tells of its file.
    with suppress(SecretError):
        found.append(pair_problem(cert, key, of.password) if cert is not None and key is not None else None)
    for problem in found:
        if problem is not None:
            yield TlsProblem((*of.section, of.names[problem.file]), of.files[problem.file] or Path(), problem)
