"""The small sections: `rules`, `admin`, `logs`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.secrets import Secret
from bridge.settings.checks import complain, complain_of_pair
from bridge.settings.kinds import FilePath, Name, SecretText, Section

__all__ = ["Admin", "Logs", "Rules"]

PERSONAL = tuple(
    f"**.{name}"
    for name in (
        "email",
        "$email",
        "phone",
        "phone_number",
        "mobile",
        "$sms",
        "$whatsapp",
        "address",
        "date_of_birth",
        "iban",
        "card_number",
    )
)
"""What is masked in payloads unless the settings say otherwise: the usual names of what leads to a person."""


class Rules(Section):
    """Where the rules are."""

    path: FilePath = Field(default=Path("rules"), examples=["rules"])
    """The directory of the rule files; relative to this file."""
    watch: bool = Field(default=True, examples=[False])
    """Load the rules again when they change. A broken file keeps the rules that were loaded."""


class Admin(Section):
    """The HTTP server for metrics, health and status."""

    host: Name = Field(default="127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 (an example)
    """The address to listen on. `0.0.0.0` in a container, so that probes and Prometheus reach it."""
    port: int = Field(default=8080, ge=0, le=65535, examples=[8080])
    """The port to listen on; 0 takes any free one."""
    token: SecretText | None = Field(default=None, examples=["…"])
    """What `suprsend-bridge pause`, `resume`, `skip` and `accept-rewind` must show. Without it those are switched off."""
    token_file: FilePath | None = Field(default=None, examples=["/etc/bridge/secrets/admin-token"])
    """The path of a file that holds the token; read again when it changes."""

    @property
    def secret(self) -> Secret | None:
        """The token, wherever it comes from."""
        return Secret.of(self.token, self.token_file)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        return complain(self, complain_of_pair(self, "token"))


class Logs(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", examples=["debug"])
    """Lines below this level are left out."""
    format: Literal["auto", "json", "console"] = Field(default="auto", examples=["json"])
    """`auto` is `console` in a terminal and `json` elsewhere."""
    log_payloads: bool = Field(default=False, examples=[True])
    """Show each record that becomes a dead letter and each event that is refused, and at level `debug` each event that is sent, in lines named `payload`. They hold personal data: not in production, and never for long."""
    redact: tuple[Name, ...] = Field(default=PERSONAL, examples=[["**.email", "customer.name", "items[].note"]])
    """Paths whose values are masked where payloads are logged: keys with dots between, `[]` for each item, `*` for any key, `**` for any keys on the way. What is named like a secret (password, token, api_key, …) is masked always. A list of your own replaces this one."""
