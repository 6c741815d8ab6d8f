"""The `tuning` section: what nobody has to touch. Each default has its reason; tests and rare machines set others."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from bridge.settings.kinds import Conflict, Duration, Formerly, Section, without_conflicts

__all__ = ["TuningSettings"]


class TuningSettings(Section):
    """What nobody has to touch: the defaults hold for every load that was measured. Write down why, if you do."""

    initial_in_flight: Annotated[int, Formerly("delivery.initial_in_flight")] = Field(
        default=16, ge=1, le=1024, examples=[16]
    )
    """Calls side by side in the beginning. Success raises it up to `delivery.max_in_flight`, trouble halves it."""
    connect_timeout: Annotated[Duration, Formerly("suprsend.connect_timeout")] = Field(
        default=10.0, ge=0.1, le=600, examples=["10s"]
    )
    """How long making a connection to SuprSend may take, within `suprsend.timeout`."""
    retry_base: Annotated[Duration, Formerly("delivery.retry.base")] = Field(default=0.5, gt=0, examples=["500ms"])
    """A call that failed for a while waits between nothing and this; it doubles with each attempt."""
    retry_cap: Annotated[Duration, Formerly("delivery.retry.cap")] = Field(default=30.0, gt=0, examples=["30s"])
    """No wait is longer than this, unless the answer asks for it (`Retry-After`)."""
    retry_budget: Annotated[float, Formerly("delivery.retry.budget")] = Field(default=0.1, gt=0, le=1, examples=[0.1])
    """The share of all calls that may be repeats, so that they do not keep down what is down; one a second is always allowed."""
    breaker_failures: Annotated[int, Formerly("delivery.breaker_failures")] = Field(default=10, ge=1, examples=[10])
    """After so many failed calls in a row only single probes are sent until one succeeds."""
    probe_interval: Annotated[Duration, Formerly("delivery.probe_interval")] = Field(
        default=30.0, ge=1, le=3600, examples=["30s"]
    )
    """How often one call is tried while everything is held or the breaker is open."""
    commit_interval: Annotated[Duration, Formerly("delivery.commit_interval")] = Field(
        default=0.1, ge=0.01, le=60, examples=["100ms"]
    )
    """How often offsets are committed. What was delivered since may be sent again after a crash (with the same key)."""
    commit_records: Annotated[int, Formerly("delivery.commit_records")] = Field(default=5000, ge=1, examples=[5000])
    """Or after so many finished records, whichever comes first."""
    span: Annotated[int, Formerly("delivery.span")] = Field(default=10_000, ge=100, le=1_000_000, examples=[10_000])
    """How far reading may be ahead of the oldest unfinished record of a partition. What lies between is remembered in the commit."""
    dedupe_window: Annotated[Duration, Formerly("delivery.dedupe_window")] = Field(
        default=86_400.0, ge=60, examples=["24h"]
    )
    """How long SuprSend remembers an idempotency key: 24 h, as it documents."""
    dedupe_margin: Annotated[Duration, Formerly("delivery.dedupe_margin")] = Field(
        default=3600.0, ge=0, examples=["1h"]
    )
    """So long before the end of that window an event is not sent again any more (`delivery.on_dedupe_expired`): clocks differ."""
    brake_window: Annotated[int, Formerly("delivery.brake.window")] = Field(
        default=1000, ge=10, le=1_000_000, examples=[1000]
    )
    """How many of a rule's last records `delivery.brake.ratio` looks at."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        conflicts: list[Conflict] = []
        if self.retry_cap < self.retry_base:
            conflicts.append(self._between("retry_cap", "retry_base", "`retry_cap` is shorter than `retry_base`"))
        if self.dedupe_margin >= self.dedupe_window:
            message = "`dedupe_margin` must be shorter than `dedupe_window`"
            conflicts.append(self._between("dedupe_margin", "dedupe_window", message))
        return without_conflicts(self, conflicts)

    def _between(self, name: str, other: str, message: str) -> Conflict:
        """Point at the one that is set."""
        return Conflict((name if name in self.model_fields_set else other,), message)
