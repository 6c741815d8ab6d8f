"""All settings in one model, with its small sections: `rules`, `admin`, `logs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from bridge.secrets import Secret
from bridge.settings.delivery import DeliverySettings
from bridge.settings.kafka import Kafka
from bridge.settings.kinds import (
    Conflict,
    FilePath,
    Name,
    SecretText,
    Section,
    parse_size,
    set_both_ways,
    without_conflicts,
)
from bridge.settings.suprsend import SuprSend
from bridge.settings.tuning import TuningSettings

__all__ = ["MEMORY_BYTES", "PERSONAL", "AdminSettings", "LogSettings", "RulesSettings", "Settings"]

MEMORY_BYTES = {"default": 64 * 1024**2, "small": 32 * 1024**2}
_LEAST = 8 * 1024**2


def _memory(value: object) -> Any:
    if isinstance(value, str) and value in MEMORY_BYTES:
        return value
    try:
        size = parse_size(value)
    except ValueError:
        message = "write default, small, or a size: 64MiB"
        raise ValueError(message) from None
    if size < _LEAST:
        message = "write 8MiB or more"
        raise ValueError(message)
    return size


Memory = Annotated[
    Literal["default", "small"] | int,
    BeforeValidator(_memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["default", "small"]},
                {"type": "integer", "minimum": _LEAST},
                {"type": "string", "pattern": "^[0-9]{1,12}(B|KiB|MiB|GiB)?$"},
            ]
        }
    ),
]


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


class RulesSettings(Section):
    """Where the rules are."""

    path: FilePath = Field(default=Path("rules"), examples=["rules"])
    """The directory of the rule files; relative to this file."""
    watch: bool = Field(default=True, examples=[False])
    """Load the rules again when they change. A broken file keeps the rules that were loaded."""


class AdminSettings(Section):
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
        return without_conflicts(self, set_both_ways(self, "token"))


class LogSettings(Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", examples=["debug"])
    """Lines below this level are left out."""
    format: Literal["auto", "json", "console"] = Field(default="auto", examples=["json"])
    """`auto` is `console` in a terminal and `json` elsewhere."""
    log_payloads: bool = Field(default=False, examples=[True])
    """Show each record that becomes a dead letter and each event that is refused, and at level `debug` each event that is sent, in lines named `payload`. They hold personal data: not in production, and never for long."""
    redact: tuple[Name, ...] = Field(default=PERSONAL, examples=[["**.email", "customer.name", "items[].note"]])
    """Paths whose values are masked where payloads are logged: keys with dots between, `[]` for each item, `*` for any key, `**` for any keys on the way. What is named like a secret (password, token, api_key, …) is masked always. A list of your own replaces this one."""


class Settings(Section):
    """Everything that can be set. Frozen: a change of settings is a restart; rules and secrets change in place."""

    kafka: Kafka
    """Where the records come from."""
    suprsend: SuprSend
    """Where the events go."""
    delivery: DeliverySettings = Field(default_factory=DeliverySettings)
    """How events are sent; the defaults fit most."""
    rules: RulesSettings = Field(default_factory=RulesSettings)
    """Where the rules are."""
    memory: Memory = Field(default="default", examples=["small", "64MiB"])
    """Bytes for records in work: `default` is 64 MiB, or what a container's memory limit leaves after 112 MiB for the rest of the process; `small` is 32 MiB."""
    admin: AdminSettings = Field(default_factory=AdminSettings)
    """The HTTP server for metrics, health and status."""
    logs: LogSettings = Field(default_factory=LogSettings)
    """What is logged, and how."""
    tuning: TuningSettings = Field(default_factory=TuningSettings)
    """What nobody has to touch."""

    @property
    def memory_bytes(self) -> int:
        """The budget for records in work, in bytes, where no container has a say (`assembly.memory_of`)."""
        return MEMORY_BYTES[self.memory] if isinstance(self.memory, str) else self.memory

    @property
    def initial_in_flight(self) -> int:
        """Calls side by side in the beginning: as `tuning` says, and never more than there may be."""
        return min(self.tuning.initial_in_flight, self.delivery.max_in_flight)

    @property
    def connect_timeout(self) -> float:
        """Seconds that making a connection to SuprSend may take: as `tuning` says, within the attempt's time."""
        return min(self.tuning.connect_timeout, self.suprsend.timeout)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts: list[Conflict] = []
        if self.suprsend.max_event_bytes > self.delivery.batch_bytes:
            message = "`delivery.batch_bytes` is smaller than one event may be (`suprsend.max_event_bytes`)"
            conflicts.append(Conflict(("delivery", "batch_bytes"), message))
        chosen = self.tuning
        if "initial_in_flight" in chosen.model_fields_set and chosen.initial_in_flight > self.delivery.max_in_flight:
            message = "`initial_in_flight` is more than `delivery.max_in_flight`"
            conflicts.append(Conflict(("tuning", "initial_in_flight"), message))
        if "connect_timeout" in chosen.model_fields_set and chosen.connect_timeout > self.suprsend.timeout:
            message = "`connect_timeout` is longer than `suprsend.timeout`"
            conflicts.append(Conflict(("tuning", "connect_timeout"), message))
        return without_conflicts(self, conflicts)
