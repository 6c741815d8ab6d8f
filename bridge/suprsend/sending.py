"""The events of one call until each has a result: what to send next, and when. Pure: no client, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from bridge.flow import Judge, Judged, Reply, Verdict
from bridge.jsontext import JSONDecodeError, loads
from bridge.suprsend.causes import BOM
from bridge.suprsend.endpoint import BULK_PATH, EVENT_PATH
from bridge.suprsend.limits import MAX_BATCH_EVENTS, MAX_BODY_BYTES

NO_STATUS: Final = 500
"""The status code that the official SDKs report where no answer came (contract §5c)."""

_AGAIN: Final = frozenset({Verdict.TRANSIENT, Verdict.THROTTLED, Verdict.UNKNOWN, Verdict.DOUBTFUL})


class Retries(NamedTuple):
    """How often and how soon an event is tried again; seconds."""

    attempts: int = 3
    base: float = 0.5
    cap: float = 30.0

    def wait(self, tries: int, asked: float | None, jitter: Callable[[], float]) -> float:
        """Full jitter over a doubling bound, but not before the server asked for, up to `cap`."""
        return max(jitter() * min(self.cap, self.base * float(2**tries)), min(self.cap, asked or 0.0))


class Result(NamedTuple):
    """What became of one event; `message` is SuprSend's message id where one event was sent alone and accepted."""

    accepted: bool
    status_code: int
    message: str
    verdict: Verdict = Verdict.UNKNOWN
    """What the answer amounts to; unknown where there was none."""
    code: str = "not_sent"
    """A stable word or status for it, as dead letters have it."""


class _Batch(NamedTuple):
    """Events that travel together, by their place, and how often they were tried."""

    places: list[int]
    tries: int


class Sending:
    """One call's worth of events: retried with the same bytes, split where refused as a whole.

    What was accepted or refused is never sent again. Not thread-safe; one driver at a time.
    """

    def __init__(
        self,
        bodies: Sequence[bytes],
        *,
        alone: bool,
        judge: Judge,
        retries: Retries,
        jitter: Callable[[], float],
    ) -> None:
        self._bodies = bodies
        self._alone = alone
        self._judge = judge
        self._retries = retries
        self._jitter = jitter
        self._results: list[Result | None] = [None] * len(bodies)
        self._groups = [_Batch(list(range(len(bodies))), 0)]

    @property
    def path(self) -> str:
        """Where the next call goes, relative to the base URL."""
        return EVENT_PATH if self._alone else BULK_PATH

    def body(self) -> bytes:
        """The body of the next call."""
        bodies = [self._bodies[place] for place in self._groups[-1].places]
        return bodies[0] if self._alone else join(bodies)

    def answered(self, reply: Reply, now: float) -> float | None:
        """Take the answer to the last call; returns seconds until the next one, or None when all have a result.

        `now` is seconds since 1970, for a `Retry-After` that names a date.
        """
        group = self._groups.pop()
        judged = self._judge(reply, len(group.places), lambda: [_key_of(self._bodies[place]) for place in group.places])
        if judged.splittable:
            half = (len(group.places) + 1) // 2
            self._groups.append(_Batch(group.places[half:], group.tries))
            self._groups.append(_Batch(group.places[:half], group.tries))
            return 0.0
        wait = self._settle(group, judged, reply, now)
        return wait if self._groups else None

    def results(self) -> list[Result]:
        """One result per event; those without one yet count as failed."""
        missing = Result(accepted=False, status_code=NO_STATUS, message="not sent")
        return [missing if result is None else result for result in self._results]

    def _settle(self, group: _Batch, judged: Judged, reply: Reply, now: float) -> float:
        tries = group.tries + 1
        again: list[int] = []
        for index, place in enumerate(group.places):
            verdict = judged.whole if judged.items is None else judged.items[index]
            if verdict in _AGAIN and tries < self._retries.attempts:
                again.append(place)
            else:
                decided = Verdict.INVALID if verdict is Verdict.DOUBTFUL else verdict
                self._results[place] = self._result(decided, judged, index, reply)
        if not again:
            return 0.0
        self._groups.append(_Batch(again, tries))
        return self._retries.wait(group.tries, retry_after_seconds(reply.retry_after, now), self._jitter)

    def _result(self, verdict: Verdict, judged: Judged, index: int, reply: Reply) -> Result:
        code, message = (
            (judged.code, judged.said or judged.message) if judged.details is None else judged.details[index]
        )
        status = int(code) if code.isdigit() else reply.status or NO_STATUS
        if verdict is Verdict.ACCEPTED:
            said = _message_id(reply.body) if self._alone else ""
            return Result(accepted=True, status_code=status, message=said, verdict=verdict, code=code)
        text = message if code.isdigit() else f"{code}: {message}"
        return Result(accepted=False, status_code=status, message=text, verdict=verdict, code=code)


def retry_after_seconds(text: str | None, now: float) -> float | None:
    """Read `Retry-After`, seconds or an HTTP date, as seconds from `now`; None where it is neither."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)


def _key_of(body: bytes) -> str:
    key = loads(body).get("$idempotency_key")
    return key if isinstance(key, str) else ""


def _message_id(body: bytes) -> str:
    try:
        value = loads(body.removeprefix(BOM))
    except JSONDecodeError:
        return "OK"
    found = value.get("message_id") if isinstance(value, dict) else None
    if found is None and isinstance(value, dict):
        records = value.get("records")
        first = records[0] if isinstance(records, list) and records else None
        found = first.get("message_id") if isinstance(first, dict) else None
    return found if isinstance(found, str) else "OK"


BRACKETS: Final = 2
COMMA: Final = 1


class Bounds(NamedTuple):
    """The most that one bulk call holds; `max_bytes` counts the whole body, brackets and commas included."""

    max_events: int = MAX_BATCH_EVENTS
    max_bytes: int = MAX_BODY_BYTES


def batches(bodies: Iterable[bytes], bounds: Bounds = Bounds()) -> Iterator[list[bytes]]:  # noqa: B008 (immutable)
    """Cut events into batches within bounds, in their order, each as full as the order allows.

    An event too large for any batch travels alone: whether to send it was decided before.
    """
    batch: list[bytes] = []
    size = BRACKETS
    for body in bodies:
        more = len(body) + (COMMA if batch else 0)
        if batch and (len(batch) >= bounds.max_events or size + more > bounds.max_bytes):
            yield batch
            batch, size, more = [], BRACKETS, len(body)
        batch.append(body)
        size += more
    if batch:
        yield batch


def join(bodies: Iterable[bytes]) -> bytes:
    """The body of one bulk call: a JSON array of the events' bytes as they are."""
    return b"[" + b",".join(bodies) + b"]"
