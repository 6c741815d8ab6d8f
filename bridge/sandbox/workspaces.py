"""Who may call: workspaces, their credentials, and both ways of authentication (contract §2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hmac import compare_digest
from typing import NamedTuple

from bridge.sandbox.answers import Refusal
from bridge.sandbox.call import ApiCall
from bridge.suprsend.signing import signature


@dataclass(frozen=True, slots=True)
class Workspace:
    """One SuprSend workspace: a key and secret (HMAC), an API key (Bearer) and its uid."""

    key: str
    secret: str = field(repr=False)
    api_key: str = field(repr=False)
    uid: str
    active: bool = True


EXAMPLE = Workspace(
    key="sandbox-workspace-key-01",
    secret="sandbox-workspace-secret-01",  # noqa: S106 (an example, public by purpose)
    api_key="sandbox-api-key-01",
    uid="sandbox-workspace-uid-01",
)
"""The credentials of a sandbox that was told none. Fixed, public and good for nothing else."""


class Caller(NamedTuple):
    """Who a call was proven to come from, and what the `env` of its events must be (contract §2c)."""

    workspace: Workspace
    env: str


class Workspaces:
    """The workspaces by their key and API key. One thread.

    `max_skew_seconds` bounds the distance of a signed Date from real time; None lets any well-signed Date pass.
    SuprSend's tolerance is unknown (contract §2a).
    """

    def __init__(self, first: Workspace, max_skew_seconds: float | None = None) -> None:
        self._by_key: dict[str, Workspace] = {first.key: first}
        self._max_skew_seconds = max_skew_seconds

    def put(self, workspace: Workspace) -> None:
        """Add one, or replace the one with the same key (a rotated secret, say)."""
        self._by_key[workspace.key] = workspace

    def all(self) -> list[Workspace]:
        """In the order they were added."""
        return list(self._by_key.values())

    def get(self, key: str) -> Workspace | None:
        """The one with this key."""
        return self._by_key.get(key)

    def authenticate(self, call: ApiCall) -> Caller | Refusal:
        """Who calls, or the 401 to answer (403 where the workspace is switched off)."""
        credentials = call.headers.get("Authorization", "")
        if not credentials:
            return _unauthorized("Authorization header is missing")
        if not (
            credentials + call.target + call.headers.get("Content-Type", "") + call.headers.get("Date", "")
        ).isascii():
            return _unauthorized("a signed header or the path has a character beyond ASCII")
        scheme, _, token = credentials.partition(" ")
        found = self._by_bearer(token.strip()) if scheme.lower() == "bearer" else self._by_signature(call, credentials)
        if isinstance(found, Caller) and not found.workspace.active:
            return Refusal(403, "permission_denied", "workspace key inactive")
        return found

    def _by_bearer(self, token: str) -> Caller | Refusal:
        for workspace in self._by_key.values():
            if compare_digest(workspace.api_key.encode(), token.encode()):
                return Caller(workspace, workspace.uid)
        return _unauthorized("API key is unknown")

    def _by_signature(self, call: ApiCall, credentials: str) -> Caller | Refusal:
        key, _, sent = credentials.rpartition(":")
        workspace = self._by_key.get(key)
        if workspace is None:
            return _unauthorized(
                "Authorization must be `<workspace key>:<signature>` of a known workspace, or a Bearer API key"
            )
        date = call.headers.get("Date", "")
        if not date:
            return _unauthorized("Date header is missing")
        expected = signature(
            workspace.secret.encode(),
            method=call.method,
            body=call.body,
            content_type=call.headers.get("Content-Type", ""),
            date=date,
            target=call.target,
        )
        if not compare_digest(expected.encode(), sent.encode()):
            return _unauthorized("signature does not match")
        return self._check_date(date) or Caller(workspace, workspace.key)

    def _check_date(self, date: str) -> Refusal | None:
        if self._max_skew_seconds is None:
            return None
        moment = _moment(date)
        if moment is None:
            return _unauthorized("Date header is not a date")
        skew = abs((datetime.now(UTC) - moment).total_seconds())
        return _unauthorized("Date is too far from now") if skew > self._max_skew_seconds else None


def _unauthorized(message: str) -> Refusal:
    return Refusal(401, "authentication_failed", message)


def _moment(date: str) -> datetime | None:
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(date)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
