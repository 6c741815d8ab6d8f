"""The `delivery` section: order, batches, pace and what stops a flood."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bridge.settings.kinds import Duration, Name, RewindToken, Section, Size

__all__ = ["BrakeSettings", "DeliverySettings", "StormSettings", "StuckSettings"]


class BrakeSettings(Section):
    """When so many records of a rule fail that something must be wrong with the rule, it is stopped."""

    consecutive: int = Field(default=50, ge=1, examples=[50])
    """So many failures of one rule in a row stop it on its partitions."""
    ratio: float = Field(default=0.2, gt=0, le=1, examples=[0.2])
    """Or this share of its last records (1,000: `tuning.brake_window`)."""


class StormSettings(Section):
    """A guard against too many notifications to one person, counted in the records' own time."""

    events: int = Field(ge=1, examples=[20])
    """More events than this for one recipient and rule …"""
    per: Duration = Field(gt=0, examples=["1h"])
    """… within this time are a storm."""
    action: Literal["dead_letter", "hold"] = Field(default="dead_letter", examples=["hold"])
    """What is done with the events above the limit: put aside (they can be replayed), or stop the rule."""


class StuckSettings(Section):
    """When a record that keeps failing for no stated reason is given up, though others succeed."""

    attempts: int = Field(default=20, ge=2, examples=[20])
    """So many attempts that failed while others succeeded …"""
    seconds: float = Field(default=600.0, ge=1, examples=[600])
    """… over at least so many seconds."""


class DeliverySettings(Section):
    """How events are sent."""

    ordering: Literal["key", "partition", "none"] = Field(default="key", examples=["partition"])
    """What stays in order: the records of a key, of a partition, or nothing."""
    strict_order: bool = Field(default=False, examples=[True])
    """Put no two records of one key (or partition) into a call, so that a refused one never overtakes. Slower."""
    linger: Duration = Field(default=0.02, ge=0, le=60, examples=["20ms"])
    """How long an event waits for others to share its call."""
    batch_events: int = Field(default=100, ge=1, le=100, examples=[100])
    """Events of one call, at most."""
    batch_bytes: Size = Field(default=819_200, ge=1024, le=819_200, examples=["800KiB"])
    """Bytes of one call's body, at most."""
    max_in_flight: int = Field(default=64, ge=1, le=1024, examples=[64])
    """Calls side by side, at most. It begins with fewer (`tuning.initial_in_flight`); success raises it, trouble halves it."""
    rate_limit: float | None = Field(default=None, gt=0, examples=[500])
    """Events per second and process, at most."""
    max_age: Duration | None = Field(default=None, gt=0, examples=["24h"])
    """Records older than this are not sent any more (they end as `expired`). Rules can set their own."""
    on_dedupe_expired: Literal["dead_letter", "hold", "send"] = Field(default="dead_letter", examples=["hold"])
    """What happens to an event that may have been sent so long ago that SuprSend forgot its key (24 h, less an hour). `send` may notify twice."""
    brake: BrakeSettings = Field(default_factory=BrakeSettings)
    """Stops a rule whose records fail in numbers, before it fills the dead-letter topic."""
    storm: StormSettings | None = Field(default=None)
    """Stops too many notifications to one person."""
    stuck: StuckSettings = Field(default_factory=StuckSettings)
    """Gives up on a record that fails for ever while others succeed."""
    only_recipients: tuple[Name, ...] = Field(default=(), examples=[["test-*", "jane@example.com"]])
    """If set, events for all other recipients are dropped and counted: for staging. `*` stands for anything."""
    accept_rewind: tuple[RewindToken, ...] = Field(default=(), examples=[["4f1c2a9b7e"]])
    """Tokens of rewinds that may be sent again, as `suprsend-bridge status` shows them: exactly those offsets, nothing else.

    For where nobody can call `suprsend-bridge accept-rewind`. Take a token out once it has done its work: the same rewind, made
    once more, would not hold."""
    namespace: Name | None = Field(default=None, max_length=64, examples=["orders-eu"])
    """The first part of every idempotency key; without it the Kafka cluster's id. Changing it makes all keys new."""
