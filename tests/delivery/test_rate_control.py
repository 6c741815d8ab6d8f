"""Back-off, Retry-After, token buckets, the breaker and the limit of calls in flight."""

from __future__ import annotations

from email.utils import formatdate
from math import inf
from random import Random

import pytest
from hypothesis import given, strategies as st

from bridge.delivery.admission import Admission, Breaker, Holds, Limit, RetryBudget, TokenBucket
from bridge.delivery.policy import Backoff, Policy
from bridge.flow import Reply
from bridge.suprsend.answers import make_judge

THROTTLED = Reply(429, None, None, b"", applied=True, seconds=0.1)


@given(st.integers(1, 10_000), st.integers())
def test_backoff_is_full_jitter_below_its_cap(attempt: int, seed: int) -> None:
    """Each delay lies between 0 and min(cap, base·2ⁿ), for any number of attempts."""
    delay = Backoff(0.5, 30.0).delay(attempt, Random(seed))
    assert 0.0 <= delay <= min(30.0, 0.5 * 2 ** min(attempt - 1, 60))


def test_backoff_spreads() -> None:
    """Delays of one attempt differ: a crowd does not come back together."""
    rng = Random(1)
    delays = [Backoff().delay(6, rng) for _ in range(200)]
    assert min(delays) < 0.5 < 15.0 < max(delays)
    assert max(Backoff().delay(60, rng) for _ in range(200)) > 29.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("99999999999999999999", 99999999999999999999.0),
        ("9" * 5_000, inf),
        ("0000000000000007", 7.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 251_702_387_139.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        (formatdate(1_700_000_060, usegmt=True), 60.0),
        (formatdate(1_600_000_000, usegmt=True), 0.0),
        (formatdate(1_900_000_000, usegmt=True), 200_000_000.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("Fri, 99 Xxx 99999 99:99:99 GMT", None),
        ("Thu, 99 Jan 1970 00:00:01 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text: str | None, seconds: float | None) -> None:
    """`Retry-After` is seconds or a date, for the bridge and for the Python API; anything else is ignored."""
    assert THROTTLED._replace(retry_after=text).quiet(1_700_000_000.0) == seconds


@given(st.text(max_size=40) | st.integers(0, 10**12).map(str), st.integers(-(10**16), 10**16))
def test_any_retry_after_is_survived(text: str, now_ms: int) -> None:
    """No header text raises, and none silences the bridge for longer than the clamp."""
    admission = Admission(Policy(), Holds(), 0.0)
    reply = THROTTLED._replace(retry_after=text)
    admission.answered(reply, make_judge()(reply, 1), 1, retried=False, now=0.0, now_ms=now_ms)
    closed = admission.closed(0, 0.0)
    asked = reply.quiet(now_ms / 1000)
    assert (closed.until if closed else 0.0) == min(asked or 0.0, 300.0)


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 100)), min_size=1, max_size=50))
def test_tokens_bound_the_rate(takes: list[tuple[float, int]]) -> None:
    """Over any time no more is taken than burst + rate · time + the one take that may go into debt."""
    bucket = TokenBucket(10.0, 20.0, 0.0)
    now, taken, most = 0.0, 0, 0
    for pause, n in takes:
        now += pause
        if bucket.wait(now) == 0.0:
            bucket.take(n, now)
            taken += n
            most = max(most, n)
    assert taken <= 20.0 + 10.0 * now + most + 1e-6


def test_tokens_say_when_to_come_back() -> None:
    """After the wait that was named, something may be taken."""
    bucket = TokenBucket(10.0, 10.0, 0.0)
    bucket.take(110, 0.0)
    wait = bucket.wait(0.0)
    assert wait == pytest.approx(10.0, abs=0.01)
    assert bucket.wait(wait) == 0.0


def test_with_nothing_left_one_waits_and_with_a_fraction_one_takes_a_whole() -> None:
    """What is taken may go into debt; an empty bucket gives nothing, however soon something comes."""
    bucket = TokenBucket(10.0, 20.0, 0.0)
    bucket.take(19.5, 0.0)
    assert bucket.wait(0.0) == 0.0
    bucket.take(0.5, 0.0)
    wait = bucket.wait(0.0)
    assert 0.0 < wait < 0.001
    assert bucket.wait(wait) == 0.0


@pytest.mark.parametrize(("floor", "at_once"), [(1.0, 10), (9.0, 10), (40.0, 40)])
def test_retries_are_a_few_at_once_and_a_floor_per_second_then(floor: float, at_once: int) -> None:
    """Without any first attempt ten go at once, or the floor where it is more; then so many as the floor says."""
    budget = RetryBudget.of(0.1, floor, 0.0)
    went = [0, 0]
    for second, tokens in enumerate((0.0, 0.999)):
        while budget.wait(tokens) <= 0:
            budget.retried(tokens)
            went[second] += 1
    assert went == [at_once, floor]


def test_retries_are_a_share_of_first_attempts() -> None:
    """With a share of a tenth, a thousand first attempts allow about a hundred retries and the floor."""
    budget = RetryBudget.of(0.1, 1.0, 0.0)
    retries = 0
    for _ in range(1_000):
        budget.attempted(1.0)
        while budget.wait(1.0) <= 0:
            budget.retried(1.0)
            retries += 1
    assert 100 <= retries <= 125


def test_the_breaker_opens_probes_and_closes() -> None:
    """Ten failures in a row open it, one call probes after 5 s, its success closes it."""
    breaker = Breaker(10)
    for _ in range(9):
        breaker.failed(1.0)
    assert breaker.may_call(1.0)
    breaker.failed(1.0)
    assert not breaker.may_call(5.9)
    assert breaker.may_call(6.0)
    breaker.called()
    assert not breaker.may_call(6.0)
    breaker.succeeded()
    assert breaker.may_call(6.0)
    assert not breaker.open


def test_a_success_begins_the_row_anew_and_ends_the_probe() -> None:
    """Behind it as many failures in a row are needed as before; calls from before it may be the ones that fail."""
    breaker = Breaker(3)
    for _ in range(2):
        breaker.called()
        breaker.failed(1.0)
    breaker.succeeded()
    breaker.failed(1.0)
    breaker.failed(1.0)
    assert not breaker.open
    breaker.failed(1.0)
    assert breaker.open
    assert breaker.may_call(6.0), "nothing probes yet"


def test_failed_probes_wait_longer_up_to_the_last() -> None:
    """Each failed probe doubles the wait, up to 30 s; late failures of earlier calls do not."""
    breaker = Breaker(1)
    breaker.failed(0.0)
    waits = []
    now = 0.0
    for _ in range(5):
        breaker.failed(now)
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker.called()
        breaker.failed(now)
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_an_abandoned_probe_lets_another_go() -> None:
    """A probe that was throttled says nothing: the next call may probe."""
    breaker = Breaker(1)
    breaker.failed(0.0)
    breaker.called()
    breaker.abandoned()
    assert breaker.may_call(5.0)


def test_the_limit_grows_when_full_and_halves_on_trouble() -> None:
    """Full use without trouble grows the limit to its highest, trouble halves it once per cool-down, never below one."""
    limit = Limit(16, 64)
    for _ in range(100):
        limit.succeeded(limit.value)
    assert limit.value == 64
    limit.troubled(10.0, 1.0)
    limit.troubled(10.5, 1.0)
    assert limit.value == 32
    for second in range(20, 60, 6):
        limit.troubled(float(second), 1.0)
    assert limit.value == 1
    limit.succeeded(1)
    assert limit.value == 2


def test_after_trouble_the_limit_grows_by_one_in_a_round_of_full_use() -> None:
    """Before it each success counts as much as a whole round does behind it."""
    limit = Limit(16, 64)
    limit.succeeded(15)
    limit.succeeded(17)
    assert limit.value == 18
    limit.succeeded(16)
    assert limit.value == 18, "two less than all is no full use"
    limit.troubled(0.0, 1.0)
    rounds = []
    for _ in range(3):
        for _ in range(limit.value):
            limit.succeeded(limit.value)
        rounds.append(limit.value)
    assert rounds == [9, 10, 11]


@pytest.mark.parametrize(("seconds", "cools"), [(0.0, 0.125), (1.0, 1.0), (4.0, 4.0), (100.0, 5.0)])
def test_calls_that_were_out_together_halve_the_limit_once(seconds: float, cools: float) -> None:
    """For as long as the failed call took, five seconds at most, further trouble is the same trouble."""
    limit = Limit(16, 64)
    values = []
    for now in (0.0, 0.05, cools - 0.05, cools):
        limit.troubled(now, seconds)
        values.append(limit.value)
    assert values == [8, 8, 8, 4]


def test_idle_success_does_not_grow_the_limit() -> None:
    """With few calls out a success says nothing about how many more the API would take."""
    limit = Limit(16, 64)
    limit.succeeded(3)
    assert limit.value == 16
