"""The `suprsend` section: where events go, and who the bridge is there."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from bridge.flow import Verdict
from bridge.secrets import Secret
from bridge.settings.kinds import (
    Conflict,
    Duration,
    FilePath,
    HttpUrl,
    Name,
    SecretHttpUrl,
    SecretText,
    Section,
    Size,
    set_both_ways,
    without_conflicts,
)

__all__ = ["AnswerRow", "SuprSend"]


_STATUS = WithJsonSchema(
    {"anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]}
)


class AnswerRow(Section):
    """One more row of the table by which answers are judged; what is set must all hold. Rows here come first."""

    status: Annotated[int | str, _STATUS] | None = Field(default=None, examples=[422, "5xx"])
    """The HTTP status of the call, or the status code of one item in it; `4xx` means all of a class."""
    type: Name | None = Field(default=None, examples=["tenant_not_found"])
    """The error's type or code, as the answer spells it."""
    message: Name | None = Field(default=None, examples=["tenant .* does not exist"])
    """A regular expression (RE2) that is found in the error's message, whatever its case.

    It does not see what a record may have put into the message (ids, names of properties, whatever is quoted), unless it
    has a quote itself."""
    shape: Name | None = Field(default=None, examples=["message_id"])
    """What the body of the call's answer looks like; for calls only."""
    verdict: Literal[
        "accepted", "invalid", "too_large", "throttled", "transient", "setup", "unknown", "doubtful", "oversized"
    ] = Field(examples=["setup"])
    """What such an answer means for the event."""

    @property
    def means(self) -> Verdict:
        return Verdict(self.verdict)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        from bridge.suprsend.answer_rules import AnswerRule, AnswerRuleError

        try:
            AnswerRule(self.means, self.status, self.type, self.message, self.shape)
        except AnswerRuleError as error:
            return without_conflicts(self, [Conflict((), str(error))])
        return self


class SuprSend(Section):
    """Where the events go."""

    base_url: HttpUrl = Field(default="https://hub.suprsend.com/", examples=["https://hub.suprsend.com/"])
    """SuprSend's address, or the one of a local `suprsend-bridge sandbox`."""
    workspace_key: SecretText | None = Field(default=None, examples=["…"])
    """The workspace's key; signs together with `workspace_secret`."""
    workspace_key_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/workspace-key"])
    """The path of a file that holds the workspace's key."""
    workspace_secret: SecretText | None = Field(default=None, examples=["…"])
    """The workspace's secret. Better in a file or in the environment than here."""
    workspace_secret_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/workspace-secret"])
    """The path of a file that holds the workspace's secret; read again when it changes."""
    api_key: SecretText | None = Field(default=None, examples=["…"])
    """The other way: an API key, together with `workspace_uid`."""
    api_key_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/api-key"])
    """The path of a file that holds the API key; read again when it changes."""
    workspace_uid: Name | None = Field(default=None, examples=["0123456789abcdefghijklmn"])
    """The workspace's UID, for `api_key` only."""
    proxy: SecretHttpUrl | None = Field(default=None, examples=["http://proxy.example.com:3128"])
    """A proxy for all calls; may hold a user and a password. The usual proxy variables are not looked at."""
    ca_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/company-ca.pem"])
    """The certificates (PEM) to trust instead of the system's, as behind a company proxy."""
    client_cert_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/client.crt"])
    """A client certificate (PEM) to show; needs `client_key_file`."""
    client_key_file: FilePath | None = Field(default=None, examples=["/etc/bridge/tls/client.key"])
    """The private key (PEM) of `client_cert_file`."""
    timeout: Duration = Field(default=30.0, ge=0.1, le=600, examples=["30s"])
    """How long one attempt may take, from its beginning to the last byte of the answer."""
    max_event_bytes: Size = Field(default=102_400, ge=1024, le=819_200, examples=["100KiB"])
    """A larger event goes to the dead-letter topic. SuprSend documents 100 KiB; its SDKs allow up to 800 KiB."""
    answers: tuple[AnswerRow, ...] = Field(
        default=(), examples=[[{"status": 422, "type": "tenant_not_found", "verdict": "setup"}]]
    )
    """Rows to put before the built-in table that judges answers."""

    @property
    def key(self) -> Secret | None:
        """The workspace's key, wherever it comes from."""
        return Secret.of(self.workspace_key, self.workspace_key_file)

    @property
    def secret(self) -> Secret | None:
        """The workspace's secret, wherever it comes from."""
        return Secret.of(self.workspace_secret, self.workspace_secret_file)

    @property
    def token(self) -> Secret | None:
        """The API key, wherever it comes from; None where requests are signed."""
        return Secret.of(self.api_key, self.api_key_file)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts = self._credential_conflicts()
        if (self.client_cert_file is None) != (self.client_key_file is None):
            names = ("client_cert_file", "client_key_file")
            lone, other = names if self.client_key_file is None else names[::-1]
            conflicts.append(Conflict((lone,), f"`{lone}` needs `{other}` beside it"))
        return without_conflicts(self, conflicts)

    def _credential_conflicts(self) -> list[Conflict]:
        pairs = ("workspace_key", "workspace_secret", "api_key")
        conflicts = [problem for name in pairs for problem in set_both_ways(self, name)]
        key, secret, api_key = (
            next((name for name in (pair, f"{pair}_file") if getattr(self, name) is not None), None) for pair in pairs
        )
        signed = key or secret
        bearer = api_key or (self.workspace_uid and "workspace_uid")
        if signed and bearer:
            message = f"`{signed}` and `{bearer}` are two ways to authenticate: leave one of them out"
            conflicts.append(Conflict((bearer,), message))
        elif signed and not (key and secret):
            other = "workspace_secret" if key else "workspace_key"
            conflicts.append(Conflict((signed,), f"`{signed}` needs `{other}` (or `{other}_file`) beside it"))
        elif bearer and not (api_key and self.workspace_uid):
            other = "`workspace_uid`" if api_key else "`api_key` (or `api_key_file`)"
            conflicts.append(Conflict((bearer,), f"`{bearer}` needs {other} beside it"))
        elif not signed and not bearer:
            message = "nothing says who the bridge is: set `workspace_key` and `workspace_secret`"
            hint = "each also as `…_file` or by the environment; the other way is `api_key` with `workspace_uid`"
            conflicts.append(Conflict((), message, hint))
        return conflicts
