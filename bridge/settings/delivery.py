"""The `delivery` section: order, batches, pace, retries and what stops a flood."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.settings.checks import Problem, complain
from bridge.settings.kinds import Duration, Name, RewindToken, Section, Size

__all__ = ["Brake", "Delivery", "Retry", "Storm", "Stuck"]


class Retry(Section):
    """How a call that failed for a while is made again."""

    base: Duration = Field(default=0.5, gt=0, examples=["500ms"])
    """The first wait is between nothing and this; it doubles with each attempt."""
    cap: Duration = Field(default=30.0, gt=0, examples=["30s"])
    """No wait is longer than this, unless the answer asks for it (`Retry-After`)."""
    budget: float = Field(default=0.1, gt=0, le=1, examples=[0.1])
    """The share of all calls that may be repeats; one a second is always allowed."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems = [Problem(("cap",), "`cap` is shorter than `base`")] if self.cap < self.base else []
        return complain(self, problems)


class Brake(Section):
    """When so many records of a rule fail that something must be wrong with the rule, it is stopped."""

    consecutive: int = Field(default=50, ge=1, examples=[50])
    """So many failures of one rule in a row stop it on its partitions."""
    ratio: float = Field(default=0.2, gt=0, le=1, examples=[0.2])
    """Or this share of its last records (`window`)."""
    window: int = Field(default=1000, ge=10, le=1_000_000, examples=[1000])
    """How many of a rule's last records `ratio` looks at."""


class Storm(Section):
    """A guard against too many notifications to one person, counted in the records' own time."""

    events: int = Field(ge=1, examples=[20])
    """More events than this for one recipient and rule …"""
    per: Duration = Field(gt=0, examples=["1h"])
    """… within this time are a storm."""
    action: Literal["dead_letter", "hold"] = Field(default="dead_letter", examples=["hold"])
    """What is done with the events above the limit: put aside (they can be replayed), or stop the rule."""


class Stuck(Section):
    """When a record that keeps failing for no stated reason is given up, though others succeed."""

    attempts: int = Field(default=20, ge=2, examples=[20])
    """So many attempts that failed while others succeeded …"""
    seconds: float = Field(default=600.0, ge=1, examples=[600])
    """… over at least so many seconds."""


class Delivery(Section):
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
    """Calls side by side, at most."""
    initial_in_flight: int = Field(default=16, ge=1, le=1024, examples=[16])
    """Calls side by side in the beginning; success raises it, trouble halves it."""
    commit_interval: Duration = Field(default=0.1, ge=0.01, le=60, examples=["100ms"])
    """How often offsets are committed. What was delivered since may be sent again after a crash (with the same key)."""
    commit_records: int = Field(default=5000, ge=1, examples=[5000])
    """Or after so many finished records, whichever comes first."""
    span: int = Field(default=10_000, ge=100, le=1_000_000, examples=[10_000])
    """How far reading may be ahead of the oldest unfinished record of a partition."""
    rate_limit: float | None = Field(default=None, gt=0, examples=[500])
    """Events per second and process, at most."""
    max_age: Duration | None = Field(default=None, gt=0, examples=["24h"])
    """Records older than this are not sent any more (they end as `expired`). Rules can set their own."""
    retry: Retry = Field(default_factory=Retry)
    """Calls that failed for a while."""
    breaker_failures: int = Field(default=10, ge=1, examples=[10])
    """After so many failed calls in a row only single probes are sent until one succeeds."""
    probe_interval: Duration = Field(default=30.0, ge=1, le=3600, examples=["30s"])
    """How often one call is tried while everything is held or the breaker is open."""
    dedupe_window: Duration = Field(default=86_400.0, ge=60, examples=["24h"])
    """How long SuprSend remembers an idempotency key."""
    dedupe_margin: Duration = Field(default=3600.0, ge=0, examples=["1h"])
    """So long before the end of that window an event is not sent again any more."""
    on_dedupe_expired: Literal["dead_letter", "hold", "send"] = Field(default="dead_letter", examples=["hold"])
    """What happens to an event that may have been sent longer ago than that. `send` may notify twice."""
    brake: Brake = Field(default_factory=Brake)
    """Stops a rule whose records fail in numbers, before it fills the dead-letter topic."""
    storm: Storm | None = Field(default=None)
    """Stops too many notifications to one person. Off unless set."""
    stuck: Stuck = Field(default_factory=Stuck)
    """Gives up on a record that fails for ever while others succeed."""
    only_recipients: tuple[Name, ...] = Field(default=(), examples=[["test-*", "jane@example.com"]])
    """If set, events for all other recipients are dropped and counted: for staging. `*` stands for anything."""
    accept_rewind: tuple[RewindToken, ...] = Field(default=(), examples=[["4f1c2a9b7e"]])
    """Tokens of rewinds that may be sent again, as `suprsend-bridge status` shows them: exactly those offsets, nothing else.

    For where nobody can call `suprsend-bridge accept-rewind`. Take a token out once it has done its work: the same rewind, made
    once more, would not hold."""
    namespace: Name | None = Field(default=None, max_length=64, examples=["orders-eu"])
    """The first part of every idempotency key; without it the Kafka cluster's id. Changing it makes all keys new."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems: list[Problem] = []
        if self.initial_in_flight > self.max_in_flight:
            message = "`initial_in_flight` is more than `max_in_flight`"
            culprit = "initial_in_flight" if "initial_in_flight" in self.model_fields_set else "max_in_flight"
            problems.append(Problem((culprit,), message))
        if self.dedupe_margin >= self.dedupe_window:
            problems.append(Problem(("dedupe_margin",), "`dedupe_margin` must be shorter than `dedupe_window`"))
        return complain(self, problems)
