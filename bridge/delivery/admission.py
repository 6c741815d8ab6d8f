"""Whether something may go out now, and if not, what lifts that or when to look again. Pure: the clock is passed in.

A *hold* is one mechanism for every reason to stop sending without losing anything. It stops the partitions where it occurred,
not the others; `SETUP` and `WORKSPACE` stop all. What lifts each, and whether the process is ready meanwhile, is the table
`KINDS`.

*Rate control* is the back-off, the retry budget, the breaker, the calls in flight and the events per second. `Admission` joins
both in one decision. All times are monotonic seconds. Used by the delivery thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from math import inf
from typing import NamedTuple

from bridge.delivery.policy import Policy
from bridge.flow import Judged, Reply, TopicPartition, Verdict

MOST_NEWS = 2_000
LONGEST_QUIET = 300.0
"""Seconds: a hostile or broken `Retry-After` must not silence the bridge for a day."""


class Reason(StrEnum):
    """Why something is held; a metric label."""

    SETUP = "setup"
    UNREADABLE = "unreadable_answers"
    WORKSPACE = "workspace"
    REWIND = "rewind"
    RETENTION_GAP = "retention_gap"
    BRAKE = "brake"
    HALT = "halt"
    STORM = "storm"
    DEAD_LETTER_TOPIC = "dead_letter_topic"
    DEDUPE_EXPIRED = "dedupe_expired"
    OVERSIZED = "oversized"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is true of every hold of one reason."""

    lifted_by: str
    heals: bool
    """Goes away by itself once the cause is mended; else a person has to act, and the process is not ready."""
    by_reload: bool = False
    by_resume: bool = False
    wanted: bool = False
    """Somebody wants it so: the process stays ready, else no roll-out would end while it lasts."""


KINDS: dict[Reason, Kind] = {
    Reason.SETUP: Kind("a probe that is accepted; mend the credentials, host or proxy it names", heals=True),
    Reason.UNREADABLE: Kind("a probe whose answer can be read; see what stands between here and SuprSend", heals=True),
    Reason.WORKSPACE: Kind("the former workspace key, or a restart that accepts the new one", heals=False),
    Reason.REWIND: Kind("suprsend-bridge accept-rewind TOKEN, or TOKEN in delivery.accept_rewind", heals=False),
    Reason.RETENTION_GAP: Kind("suprsend-bridge resume, which goes on behind the gap", heals=False, by_resume=True),
    Reason.BRAKE: Kind(
        "a reload with mended rules, suprsend-bridge resume or suprsend-bridge skip",
        heals=False,
        by_reload=True,
        by_resume=True,
    ),
    Reason.HALT: Kind(
        "a reload with mended rules, suprsend-bridge resume or suprsend-bridge skip",
        heals=False,
        by_reload=True,
        by_resume=True,
    ),
    Reason.STORM: Kind("suprsend-bridge resume, which sends, or suprsend-bridge skip", heals=False, by_resume=True),
    Reason.DEAD_LETTER_TOPIC: Kind("the dead-letter topic taking a write again; it is tried by itself", heals=True),
    Reason.DEDUPE_EXPIRED: Kind(
        "suprsend-bridge resume, which sends, or suprsend-bridge skip", heals=False, by_resume=True
    ),
    Reason.OVERSIZED: Kind(
        "a call of that size getting through; it is tried by itself; or suprsend-bridge skip", heals=True
    ),
    Reason.OPERATOR: Kind("suprsend-bridge resume TARGET", heals=False, wanted=True),
}

EVERYWHERE: frozenset[Reason] = frozenset({Reason.SETUP, Reason.UNREADABLE, Reason.WORKSPACE})
"""Reasons that stop every partition."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. `scope` is None where it stops everything; `since` is in milliseconds since 1970."""

    reason: Reason
    scope: TopicPartition | None
    since: int
    detail: str
    offset: int | None = None
    rule: str | None = None
    token: str | None = None
    whole: bool = False
    """An operator's pause of the whole topic."""


class News(NamedTuple):
    """A hold began, or ended."""

    hold: Hold
    began: bool


def rewind_token(scope: TopicPartition, offset: int, detail: str) -> str:
    """What a person repeats to let exactly these offsets go out again: the same for the same rewind, in any process."""
    text = f"{scope[0]}:{scope[1]}:{offset}:{detail}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=5).hexdigest()


class Holds:
    """The holds in force, by scope and reason. Used by the delivery thread alone."""

    __slots__ = ("_by_scope", "_changed", "_news")

    def __init__(self) -> None:
        self._changed: dict[TopicPartition, None] = {}
        self._news: deque[News] = deque(maxlen=MOST_NEWS)
        self._by_scope: dict[TopicPartition | None, dict[Reason, Hold]] = {}

    def add(self, hold: Hold) -> bool:
        """Put a hold in force; False if that reason holds there already: the first one stays, with its time.

        Where everything is held it tells the newest cause: behind one that was mended another may come to light.
        """
        held = self._by_scope.setdefault(hold.scope, {})
        if hold.reason in held:
            if hold.scope is None:
                held[hold.reason] = replace(held[hold.reason], detail=hold.detail)
            return False
        held[hold.reason] = hold
        self._note(hold, began=True)
        return True

    def _note(self, hold: Hold, *, began: bool) -> None:
        self._news.append(News(hold, began))
        if hold.scope is not None:
            self._changed[hold.scope] = None

    def news(self) -> list[News]:
        """What began and ended since the last call, in that order, however short it was; the latest `MOST_NEWS`."""
        news = list(self._news)
        self._news.clear()
        return news

    def changed(self) -> AbstractSet[TopicPartition]:
        """Partitions on which a hold was put or lifted since the last call, in that order."""
        changed, self._changed = self._changed, {}
        return changed.keys()

    def lift(self, scope: TopicPartition | None, reason: Reason) -> Hold | None:
        """End one hold; returns it if it was in force."""
        held = self._by_scope.get(scope, {})
        hold = held.pop(reason, None)
        if hold is not None:
            self._note(hold, began=False)
        if not held:
            self._by_scope.pop(scope, None)
        return hold

    def drop(self, scope: TopicPartition) -> None:
        """The partition is not ours any more."""
        ended = self._by_scope.pop(scope, {})
        self._news.extend(News(hold, began=False) for hold in ended.values())

    def on(self, scope: TopicPartition | None) -> dict[Reason, Hold]:
        """What holds exactly that scope."""
        return self._by_scope.get(scope, {})

    def paused(self, scope: TopicPartition) -> bool:
        """Whether an operator paused the partition."""
        return Reason.OPERATOR in self.on(scope)

    def all(self) -> tuple[Hold, ...]:
        """Every hold in force, oldest first."""
        held = [hold for holds in self._by_scope.values() for hold in holds.values()]
        return tuple(sorted(held, key=lambda hold: hold.since))

    def everything(self) -> bool:
        """Whether no call but a probe may go out."""
        return None in self._by_scope


class TokenBucket:
    """A token bucket: `rate` tokens a second, at most `burst` at once. It may go into debt by one take."""

    __slots__ = ("_at", "_burst", "_have", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._have = burst
        self._at = now

    def _fill(self, now: float) -> None:
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
    tokens: TokenBucket

    @classmethod
    def of(cls, share: float, per_second: float, now: float) -> RetryBudget:
        return cls(share, TokenBucket(per_second, max(10.0, per_second), now))

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
        self.probe_at = -inf

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
        self._cool_until = -inf
        self._slow_start = True

    @property
    def value(self) -> int:
        return int(self._value)

    def succeeded(self, in_flight: int) -> None:
        """A call was answered well while `in_flight` calls were out."""
        if in_flight >= int(self._value) - 1:
            self._value = min(float(self._highest), self._value + (1.0 if self._slow_start else 1.0 / self._value))

    def troubled(self, now: float, seconds: float) -> None:
        """A call that took `seconds` was throttled, timed out or failed."""
        if now >= self._cool_until:
            self._slow_start = False
            self._value = max(float(self._lowest), self._value / 2)
            self._cool_until = now + min(max(seconds, 0.1), 5.0)


FAILED = frozenset({Verdict.TRANSIENT, Verdict.UNKNOWN})
"""Verdicts of a call as a whole that speak of the API's health."""


@dataclass(frozen=True, slots=True)
class Closed:
    """No call may go out, because of `reason`, before `until` (monotonic seconds; None: only an event opens it)."""

    reason: str
    until: float | None


class Admission:
    """Used by the delivery thread alone."""

    def __init__(self, policy: Policy, holds: Holds, now: float) -> None:
        self._policy = policy
        self._holds = holds
        self.limit = Limit(policy.initial_in_flight, policy.max_in_flight)
        self.breaker = Breaker(policy.breaker_failures)
        self.budget = RetryBudget.of(policy.retry_share, policy.retry_floor, now)
        self._rate = TokenBucket(policy.rate_limit, policy.rate_limit, now) if policy.rate_limit else None
        self._silent_until = -inf
        self._probe_at = -inf
        self._probing = False
        self._unreadable = 0
        self.maybe_applied = False
        """Whether the last call that failed may have been applied all the same."""

    def closed(self, in_flight: int, now: float) -> Closed | None:
        """Why no call may go out now, or None."""
        if now < self._silent_until:
            return Closed("retry_after", self._silent_until)
        if Reason.WORKSPACE in self._holds.on(None):
            return Closed("hold", None)
        if self._holds.everything():
            if self._probing or now < self._probe_at:
                return Closed("hold", None if self._probing else self._probe_at)
            return None
        if not self.breaker.may_call(now):
            return Closed("breaker", self.breaker.probe_at if self.breaker.probe_at > now else None)
        if in_flight >= self.limit.value:
            return Closed("in_flight", None)
        wait = self._rate.wait(now) if self._rate else 0.0
        return Closed("rate_limit", now + wait) if wait > 0 else None

    def one_at_a_time(self) -> bool:
        """Whether the next call is a probe, so that one batch is enough."""
        return self.breaker.open or self._holds.everything()

    def held(self) -> bool:
        """Whether everything is held, so that the next call is a probe of the hold."""
        return self._holds.everything()

    def shut(self, now: float) -> bool:
        """Whether nothing that waits can go out soon: an outage or a hold, so that a drain need not wait for it."""
        return self.breaker.open or self._holds.everything() or now < self._silent_until - 1.0

    def called(self, events: int, *, immediate: bool, now: float) -> None:
        """A call goes out."""
        self._probing = self._holds.everything()
        self.breaker.called()
        if self._rate:
            self._rate.take(events, now)
        if immediate:
            self.budget.attempted(now)
        else:
            self.budget.retried(now)

    def answered(self, reply: Reply, judged: Judged, in_flight: int, *, retried: bool, now: float, now_ms: int) -> None:
        """What an answer says of the API as a whole."""
        probing, self._probing = self._probing, False
        whole = judged.whole
        self.maybe_applied = judged.applied
        self._count_unreadable(reply, judged, now, now_ms)
        if whole is Verdict.THROTTLED:
            self._throttled(reply, now, now_ms)
        elif whole is Verdict.SETUP:
            self.breaker.abandoned()
            self.hold_setup(judged.message, now, now_ms)
        elif whole is Verdict.TRANSIENT and judged.items is not None:
            self._answered_by_record(reply, len(judged.items), now)
            self._be_silent(reply, now, now_ms)
        elif whole in FAILED:
            self.breaker.failed(now)
            self.limit.troubled(now, reply.seconds)
            self._be_silent(reply, now, now_ms)
        elif whole is Verdict.OVERSIZED:
            self.breaker.abandoned()
        else:
            self.breaker.succeeded()
            self.limit.succeeded(in_flight)
            if retried:
                self.budget.tokens.add(1.0, now)
            self._lift(Reason.SETUP, Reason.UNREADABLE)
        if probing and self._holds.everything():
            self._probe_at = now + self._policy.probe_interval

    def _answered_by_record(self, reply: Reply, events: int, now: float) -> None:
        """Every event failed for a while, each by its own result: the API is up, so nothing is stopped.

        Where several failed together it may be overloaded behind its front: fewer calls at a time. Why: ADR 0007.
        """
        self.breaker.succeeded()
        if events > 1:
            self.limit.troubled(now, reply.seconds)
        self._lift(Reason.SETUP, Reason.UNREADABLE)

    def _throttled(self, reply: Reply, now: float, now_ms: int) -> None:
        self.breaker.abandoned()
        self.limit.troubled(now, reply.seconds)
        self._be_silent(reply, now, now_ms)

    def _be_silent(self, reply: Reply, now: float, now_ms: int) -> None:
        """Whoever asks for quiet gets it, whatever the status: a 503 may carry `Retry-After` too."""
        wait = reply.quiet(now_ms / 1000)
        if wait is not None:
            self._silent_until = max(self._silent_until, now + min(wait, LONGEST_QUIET))

    def _count_unreadable(self, reply: Reply, judged: Judged, now: float, now_ms: int) -> None:
        if reply.status // 100 != 2:
            return
        if judged.whole is Verdict.UNKNOWN:
            self._unreadable += 1
            if self._unreadable >= self._policy.unreadable_in_row:
                self._hold(Reason.UNREADABLE, f"{self._unreadable} answers in a row: {judged.message}", now, now_ms)
        else:
            self._unreadable = 0

    def hold_setup(self, detail: str, now: float, now_ms: int) -> None:
        """Credentials, host or proxy are wrong: nothing goes out but a probe now and then."""
        self._hold(Reason.SETUP, detail, now, now_ms)

    def hold_oversized(self, scope: TopicPartition, offset: int, size: int, judged: Judged, now_ms: int) -> None:
        """Something on the way takes no call with this one event: its partition waits for it, alone."""
        detail = (
            f"{judged.code} for a call of {size} bytes with one event, and not from SuprSend ({judged.message}): raise "
            "the limit of what stands in between, or skip the record; `suprsend.max_event_bytes` puts such events into "
            "the dead-letter topic, `delivery.batch_bytes` makes the calls of several events smaller"
        )
        self._holds.add(Hold(Reason.OVERSIZED, scope, now_ms, detail, offset))

    def lift_oversized(self, scope: TopicPartition) -> None:
        """The event got through, or has an outcome. Where another one holds the partition, too, its next attempt says so."""
        self._holds.lift(scope, Reason.OVERSIZED)

    def _hold(self, reason: Reason, detail: str, now: float, now_ms: int) -> None:
        self._holds.add(Hold(reason, None, now_ms, detail))
        self._probe_at = now + self._policy.probe_interval

    def _lift(self, *reasons: Reason) -> None:
        for reason in reasons:
            self._holds.lift(None, reason)
