"""How fast calls may go: back-off, retry budget, breaker, calls in flight, events per second. Pure: the clock is passed in.

All times are monotonic seconds. Used by the delivery thread alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter (Brooker, "Exponential Backoff and Jitter"): uniform between 0 and min(cap, base·2ⁿ)."""

    base: float = 0.5
    cap: float = 30.0

    def delay(self, attempt: int, rng: Random) -> float:
        """Seconds to wait after the given number of failed attempts (1 or more)."""
        return rng.uniform(0.0, min(self.cap, self.base * 2 ** min(attempt - 1, 32)))


def retry_after_seconds(text: str | None, now_ms: int, *, longest: float = 300.0) -> float | None:
    """A `Retry-After` header as seconds from now, whether given as seconds or as a date; None if unreadable.

    Clamped to `longest`: a hostile or broken answer must not silence the bridge for a day.
    """
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), longest)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        seconds = (at - datetime.fromtimestamp(now_ms / 1000, UTC)).total_seconds()
    except (OverflowError, ValueError):
        return None
    return min(max(seconds, 0.0), longest)


class Tokens:
    """A token bucket: `rate` tokens a second, at most `burst` at once. It may go into debt by one take."""

    __slots__ = ("_at", "_burst", "_have", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._have = burst
        self._at = now

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._have = min(self._burst, self._have + (now - self._at) * self._rate)
            self._at = now

    def add(self, tokens: float, now: float) -> None:
        self._fill(now)
        self._have = min(self._burst, self._have + tokens)

    def wait(self, now: float) -> float:
        """Seconds until something may be taken; 0 if now."""
        self._fill(now)
        return 0.0 if self._have > 0 else -self._have / self._rate + 1e-6

    def take(self, tokens: float, now: float) -> None:
        self._fill(now)
        self._have -= tokens


@dataclass(slots=True)
class RetryBudget:
    """Retries are at most a share of the first attempts, plus a floor per second (Finagle's retry budget)."""

    share: float
    tokens: Tokens

    @classmethod
    def of(cls, share: float, per_second: float, now: float) -> RetryBudget:
        return cls(share, Tokens(per_second, max(10.0, per_second), now))

    def attempted(self, now: float) -> None:
        self.tokens.add(self.share, now)

    def wait(self, now: float) -> float:
        return self.tokens.wait(now)

    def retried(self, now: float) -> None:
        self.tokens.take(1.0, now)


class Breaker:
    """Opens after `failures` failed calls in a row; then one call at a time probes whether the API is back."""

    __slots__ = ("_failed", "_failures", "_first", "_last", "_probing", "_wait", "opened_at", "probe_at")

    def __init__(self, failures: int, first: float = 5.0, last: float = 30.0) -> None:
        self._failures = failures
        self._first = first
        self._last = last
        self._failed = 0
        self._wait = first
        self._probing = False
        self.opened_at: float | None = None
        self.probe_at = 0.0

    @property
    def open(self) -> bool:
        return self.opened_at is not None

    def may_call(self, now: float) -> bool:
        """Closed, or due for its one probe."""
        return self.opened_at is None or (not self._probing and now >= self.probe_at)

    def called(self) -> None:
        """A call was started; while open it is the probe."""
        self._probing = self.open

    def succeeded(self) -> None:
        self._failed = 0
        self._wait = self._first
        self._probing = False
        self.opened_at = None

    def failed(self, now: float) -> None:
        """A call failed as transient. While open, every failure but the probe's is of a call from before."""
        self._failed += 1
        if self.opened_at is not None:
            if self._probing:
                self._probing = False
                self._wait = min(self._last, self._wait * 2)
                self.probe_at = now + self._wait
        elif self._failed >= self._failures:
            self.opened_at = now
            self._wait = self._first
            self.probe_at = now + self._wait

    def abandoned(self) -> None:
        """The probe ended without saying anything of the API's health (it was throttled, or held)."""
        self._probing = False


class Limit:
    """Calls in flight: one more per round of full use without trouble, half on trouble (AIMD).

    Until the first trouble it grows by one with each call, as TCP's slow start does. Trouble counts once per
    cool-down: the calls that were in flight together fail together.
    """

    __slots__ = ("_cool_until", "_highest", "_lowest", "_slow_start", "_value")

    def __init__(self, start: int, highest: int, lowest: int = 1) -> None:
        self._value = float(min(start, highest))
        self._highest = highest
        self._lowest = lowest
        self._cool_until = 0.0
        self._slow_start = True

    @property
    def value(self) -> int:
        return int(self._value)

    def succeeded(self, in_flight: int) -> None:
        """A call was answered well while `in_flight` calls were out."""
        if in_flight >= int(self._value) - 1 and self._value < self._highest:
            self._value = min(float(self._highest), self._value + (1.0 if self._slow_start else 1.0 / self._value))

    def troubled(self, now: float, seconds: float) -> None:
        """A call that took `seconds` was throttled, timed out or failed."""
        if now >= self._cool_until:
            self._slow_start = False
            self._value = max(float(self._lowest), self._value / 2)
            self._cool_until = now + min(max(seconds, 0.1), 5.0)
