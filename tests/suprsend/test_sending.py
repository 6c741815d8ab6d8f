from __future__ import annotations

import threading
from collections import deque
from typing import Any

import pytest

from bridge.flow import Reply
from bridge.suprsend import CredentialsError
from bridge.suprsend.answers import make_judge
from bridge.suprsend.sending import Outbox, Retries, Sending, join, retry_after_seconds


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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("99999999999999", 999_999_999.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-1", None),
        ("Thu, 99 Jan 1970 00:00:01 GMT", None),
        (None, None),
    ],
)
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    """`Retry-After` is read as seconds or as a date; anything else is no wish."""
    assert retry_after_seconds(text, 10.0) == seconds


class _Scripted:
    """A transport that answers from a list, for what a network cannot show."""

    def __init__(self, replies: list[Reply]) -> None:
        self.bodies: list[bytes] = []
        self._replies = deque(replies)
        self._ended: list[tuple[int, Reply]] = []
        self._woken = threading.Event()

    def start(self, call: int, body: bytes, path: str | None = None) -> None:
        del path
        if body == b"[unreadable]":
            raise CredentialsError("the key's file is gone")
        self.bodies.append(body)
        self._ended.append((call, self._replies.popleft()))

    def poll(self, seconds: float) -> list[tuple[int, Reply]]:
        if not self._ended:
            self._woken.wait(seconds)
            self._woken.clear()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._replies.clear()


def test_an_unreadable_key_is_the_callers_to_see() -> None:
    """A call that cannot be signed fails its own future; the outbox goes on with others."""
    ok = b'{"status":"success","records":[{"status":"success","status_code":202}]}'
    transport = _Scripted([_reply(503), _reply(207, ok)])
    outbox = Outbox(lambda: transport, 2)
    parts: dict[str, Any] = {"alone": False, "judge": make_judge(), "retries": Retries(3, 0.01), "jitter": lambda: 1.0}
    bad = outbox.submit(Sending([b"unreadable"], **parts))
    good = outbox.submit(Sending([b"{}"], **parts))
    with pytest.raises(CredentialsError, match="gone"):
        bad.result(10)
    assert [result.accepted for result in good.result(10)] == [True]
    assert transport.bodies == [join([b"{}"])] * 2
    outbox.close()
