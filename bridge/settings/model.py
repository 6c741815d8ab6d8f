"""All settings in one model."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from bridge.settings.checks import Problem, complain
from bridge.settings.delivery import Delivery
from bridge.settings.kafka import Kafka
from bridge.settings.kinds import Section, parse_size
from bridge.settings.rest import Admin, Logs, Rules
from bridge.settings.suprsend import SuprSend

__all__ = ["MEMORY_BYTES", "Settings"]

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


class Settings(Section):
    """Everything that can be set. Frozen: a change of settings is a restart; rules and secrets change in place."""

    kafka: Kafka
    """Where the records come from."""
    suprsend: SuprSend
    """Where the events go."""
    delivery: Delivery = Field(default_factory=Delivery)
    """How events are sent; the defaults fit most."""
    rules: Rules = Field(default_factory=Rules)
    """Where the rules are."""
    memory: Memory = Field(default="default", examples=["small", "64MiB"])
    """Bytes for records in work: `default` is 64 MiB, or what a container's memory limit leaves after 112 MiB for the rest of the process; `small` is 32 MiB."""
    admin: Admin = Field(default_factory=Admin)
    """The HTTP server for metrics, health and status."""
    logs: Logs = Field(default_factory=Logs)
    """What is logged, and how."""

    @property
    def memory_bytes(self) -> int:
        """The budget for records in work, in bytes, where no container has a say (`assembly.memory_of`)."""
        return MEMORY_BYTES[self.memory] if isinstance(self.memory, str) else self.memory

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems: list[Problem] = []
        if self.suprsend.max_event_bytes > self.delivery.batch_bytes:
            message = "`delivery.batch_bytes` is smaller than one event may be (`suprsend.max_event_bytes`)"
            problems.append(Problem(("delivery", "batch_bytes"), message))
        return complain(self, problems)
