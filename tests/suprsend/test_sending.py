from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any, Final

import pytest

from bridge.flow import Reply
from bridge.suprsend import CredentialsError
from bridge.suprsend.answers import make_judge
from bridge.suprsend.sending import Outbox, Retries, Sending, join


def _reply(status: int, body: bytes = b"", retry_after: str | None = None) -> Reply:
    return Reply(status, None, retry_after, body, applied=True, seconds=0.1)


def test_waits_grow_with_full_jitter_and_heed_retry_after() -> None:
    """The wait before a try is jitter times a doubling bound, at least what the server asked for, at most the cap."""
    retries = Retries(attempts=5, base=0.5, cap=30.0)
    assert [retries.wait(tries, None, lambda: 1.0) for tries in (0, 1, 2, 9)] == [0.5, 1.0, 2.0, 30.0]
    assert retries.wait(3, None, lambda: 0.0) == 0.0
    assert retries.wait(0, 7.0, lambda: 0.0) == 7.0
    assert retries.wait(0, 3_600.0, lambda: 0.0) == 30.0
    sending = Sending([b"{}"], alone=True, judge=make_judge(), retries=retries, jitter=lambda: 0.0)
    assert sending.answered(_reply(429, retry_after="4"), 0.0) == 4.0


PARTS: Final[dict[str, Any]] = {
    "alone": False,
    "judge": make_judge(),
    "retries": Retries(3, 0.01),
    "jitter": lambda: 1.0,
}
OK = b'{"status":"success","records":[{"status":"success","status_code":202}]}'


def test_what_is_known_of_an_event_is_told_at_any_time() -> None:
    """Not sent before a call, unknown while it is out, the last answer between two attempts, at last the result."""
    sending = Sending([b"{}"], **PARTS)
    assert [result.message for result in sending.results()] == ["not sent"]
    sending.body()
    assert [(result.code, result.accepted) for result in sending.results()] == [("unknown", False)]
    assert sending.answered(_reply(503), 0.0) == 0.01
    assert [(result.code, result.status_code) for result in sending.results()] == [("503", 503)]
    sending.body()
    assert [result.code for result in sending.results()] == ["unknown"]
    assert sending.answered(_reply(207, OK), 0.0) is None
    assert [result.accepted for result in sending.results()] == [True]


class _Scripted:
    """A transport that answers from a list, and then when it is told to, for what a network cannot show."""

    def __init__(self, replies: list[Reply]) -> None:
        self.bodies: list[bytes] = []
        self._replies = deque(replies)
        self._ended: list[tuple[int, Reply]] = []
        self._changed = threading.Condition()
        self._woken = self._idle = False

    def start(self, call: int, body: bytes, path: str | None = None) -> None:
        del path
        if body == b"[unreadable]":
            raise CredentialsError("the key's file is gone")
        self.bodies.append(body)
        if self._replies:
            self._ended.append((call, self._replies.popleft()))

    def poll(self, seconds: float) -> list[tuple[int, Reply]]:
        with self._changed:
            if not self._ended:
                self._idle = not self._woken
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._woken, seconds)
            self._woken = self._idle = False
            ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def until_idle(self) -> None:
        """Wait until all that was submitted by now is in line, and nothing is left to do."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._idle and not self._woken, 120)

    def answer(self, call: int, reply: Reply) -> None:
        with self._changed:
            self._ended.append((call, reply))
        self.wake()

    def close(self) -> None:
        self._replies.clear()


def test_an_unreadable_key_is_the_callers_to_see() -> None:
    """A call that cannot be signed fails its own future; the outbox goes on with others."""
    transport = _Scripted([_reply(503), _reply(207, OK)])
    outbox = Outbox(lambda: transport, 2)
    bad, good = outbox.submit(Sending([b"unreadable"], **PARTS), Sending([b"{}"], **PARTS))
    with pytest.raises(CredentialsError, match="gone"):
        bad.result(120)
    assert [result.accepted for result in good.result(120)] == [True]
    assert transport.bodies == [join([b"{}"])] * 2
    outbox.close()


def test_a_task_that_is_cancelled_before_its_call_sends_nothing() -> None:
    """Cancelling a task whose event waits for a free call takes it back: it is never sent, and what is out goes on."""
    transport = _Scripted([])
    outbox = Outbox(lambda: transport, 1)
    submitted = outbox.submit(*(Sending([body], **PARTS) for body in (b"1", b"2", b"3")))
    transport.until_idle()

    async def cancelled() -> None:
        for future in submitted[:2]:
            asyncio.wrap_future(future).cancel()

    asyncio.run(cancelled())
    assert [future.cancelled() for future in submitted] == [False, True, False]
    transport.answer(1, _reply(207, OK))
    transport.until_idle()
    transport.answer(2, _reply(207, OK))
    assert [submitted[place].result(120)[0].accepted for place in (0, 2)] == [True, True]
    assert transport.bodies == [b"[1]", b"[3]"]
    outbox.close()
