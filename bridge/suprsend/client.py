"""SuprSend's event API for Python programs: `Client`, and `AsyncClient` for asyncio.

    client = Client("workspace key", "workspace secret")
    client.track_event(Event("user_1", "order_placed", {"order_id": "o-1"}))

Both stand on the batching, signing, answers and limits that the bridge runs on. No answer of the other side raises.
"""

from __future__ import annotations

import asyncio
import random
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Literal, NamedTuple, Self, TypedDict, TypeVar, Unpack, cast

from bridge.jsontext import loads
from bridge.suprsend import limits
from bridge.suprsend.answers import make_judge
from bridge.suprsend.endpoint import BASE_URL, Endpoint
from bridge.suprsend.event import Event, EventError
from bridge.suprsend.sending import Outbox, Retries, Sending, SendResult, batches
from bridge.suprsend.signing import Bearer, Credentials, Hmac
from bridge.suprsend.transport import CurlTransport

__all__ = ["AsyncBulkEvents", "AsyncClient", "BulkEvents", "BulkResult", "Client", "Options", "TrackResult"]

_TOO_LARGE = 413
Kind = TypeVar("Kind")


class Options(TypedDict, total=False):
    """What both clients take beside keys. Times are seconds."""

    base_url: str
    timeout: float
    """For one attempt, from its beginning to the last byte of the answer; 30 by default."""
    attempts: int
    """How often an event is tried while the API fails or throttles; 3 by default."""
    max_in_flight: int
    """Calls side by side; 4 by default."""
    max_event_bytes: int
    proxy: str | None
    ca_file: str | None
    client_certificate: str | None
    client_key: str | None


class _HandedOver(NamedTuple):
    """What became of a bulk's events so far: bodies, refusals at their places, and the results of the others in order."""

    bodies: list[bytes]
    refusals: list[SendResult | None]
    futures: list[Future[list[SendResult]]]


class _Sender:
    """What both clients share: from events to futures of results. Any thread."""

    def __init__(self, credentials: Credentials, options: Options) -> None:
        self.max_event_bytes = options.get("max_event_bytes", limits.DEFAULT_EVENT_BYTES)
        _refuse_green_threads()
        problem = limits.event_limit_problem(self.max_event_bytes)
        attempts, in_flight = options.get("attempts", 3), options.get("max_in_flight", 4)
        if problem is None and (attempts < 1 or in_flight < 1):
            problem = "attempts and max_in_flight must be at least 1"
        if problem is not None:
            raise ValueError(problem)
        self.credentials = credentials
        self._retries = Retries(attempts)
        self._judge = make_judge()
        self._endpoint = _endpoint(options)
        self._endpoint.check_files()
        self._endpoint.ca_bundle()
        endpoint = self._endpoint
        self._outbox = Outbox(lambda: CurlTransport(endpoint, lambda: credentials), in_flight)
        self.close = weakref.finalize(self, self._outbox.close)
        """What is open ends when neither the client nor a bulk is in use any more."""

    def __repr__(self) -> str:
        return f"{self.credentials!r}, {self._endpoint!r}"

    def one(self, event: Event) -> SendResult | Future[list[SendResult]]:
        """Send one event alone; a SendResult at once where it is too large to send."""
        body = event.encode(self.credentials.env)
        refusal = self._refusal(body)
        return refusal or self._outbox.submit(self._sending([body], alone=True))[0]

    def many(self, events: list[Event]) -> _HandedOver:
        """Send events in as few calls as hold them."""
        bodies = [event.encode(self.credentials.env) for event in events]
        refusals = [self._refusal(body) for body in bodies]
        fitting = (body for body, refusal in zip(bodies, refusals, strict=True) if refusal is None)
        sendings = (self._sending(batch, alone=False) for batch in batches(fitting))
        return _HandedOver(bodies, refusals, self._outbox.submit(*sendings))

    def _sending(self, bodies: list[bytes], *, alone: bool) -> Sending:
        return Sending(bodies, alone=alone, judge=self._judge, retries=self._retries, jitter=random.random)

    def _refusal(self, body: bytes) -> SendResult | None:
        problem = limits.event_bytes_problem(len(body), self.max_event_bytes)
        return None if problem is None else SendResult(accepted=False, status_code=_TOO_LARGE, message=problem)


class _Bulk:
    """Events waiting for a `trigger`. Not thread-safe: one object per thread or task."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._events: list[Event] = []

    def __len__(self) -> int:
        return len(self._events)

    def append(self, *events: Event) -> None:
        """Add events, any number of them, also after a trigger: each is sent by one trigger alone."""
        for event in events:
            _refuse_foreign(event)
        self._events.extend(events)

    @contextmanager
    def _sent(self) -> Iterator[_HandedOver]:
        """Hand over all that was appended. Who leaves before the end keeps it: its outcome is not known yet."""
        events, self._events = self._events, []
        sent = _HandedOver([], [], [])
        try:
            sent = self._sender.many(events)
            yield sent
        except BaseException:
            for future in sent.futures:
                future.cancel()
            self._events[:0] = events
            raise


class BulkEvents(_Bulk):
    """Many events in as few calls as they fit."""

    def trigger(self) -> BulkResult:
        """Send all that was appended since the last trigger and wait for the outcome of each.

        What ends the wait (a signal's exception, say) leaves the events in the bulk: the next trigger sends them again,
        with the same keys.
        """
        with self._sent() as sent:
            return _report(sent, [future.result() for future in sent.futures])


class AsyncBulkEvents(_Bulk):
    """Many events in as few calls as they fit, for asyncio."""

    async def trigger(self) -> BulkResult:
        """Send all that was appended since the last trigger and wait for the outcome of each.

        Cancelled or timed out, the bulk keeps the events: the next trigger sends them again, with the same keys.
        """
        with self._sent() as sent:
            return _report(sent, await asyncio.gather(*map(asyncio.wrap_future, sent.futures)))


class BulkFactory(Generic[Kind]):
    """`client.bulk_events`: makes empty bulks."""

    def __init__(self, make: Callable[[], Kind]) -> None:
        self._make = make

    def new_instance(self) -> Kind:
        """A new empty bulk."""
        return self._make()


class _Base:
    """Keys, options and closing."""

    def __init__(self, workspace_key: str, workspace_secret: str | bytes, **options: Unpack[Options]) -> None:
        self._open(Hmac(workspace_key, workspace_secret), options)

    @classmethod
    def with_api_key(cls, workspace_uid: str, api_key: str, **options: Unpack[Options]) -> Self:
        """A client that shows an API key instead of signing (contract §2b)."""
        return cls.with_credentials(Bearer(api_key, workspace_uid), **options)

    @classmethod
    def with_credentials(cls, credentials: Credentials, **options: Unpack[Options]) -> Self:
        """A client with credentials made elsewhere."""
        client = cls.__new__(cls)
        client._open(credentials, options)  # noqa: SLF001 (its own class)
        return client

    def _open(self, credentials: Credentials, options: Options) -> None:
        self._sender = _Sender(credentials, options)

    def __repr__(self) -> str:
        """Where and as whom, never a secret."""
        return f"{type(self).__name__}({self._sender!r})"


class Client(_Base):
    """Sends events and waits. Thread-safe: one client serves a whole program (a bulk serves one thread).

    Usable in `with`; `close` drops what has no answer yet. Raises CredentialsError, EndpointError or ValueError when
    made with what cannot work.
    """

    @property
    def bulk_events(self) -> BulkFactory[BulkEvents]:
        """`client.bulk_events.new_instance()` makes an empty bulk."""
        sender = self._sender
        return BulkFactory(lambda: BulkEvents(sender))

    def track_event(self, event: Event) -> TrackResult:
        """Send one event and wait for its outcome."""
        _refuse_foreign(event)
        outcome = self._sender.one(event)
        return track_result(outcome if isinstance(outcome, SendResult) else outcome.result()[0])

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Base):
    """The same for asyncio, as `async with AsyncClient(…) as client`. Several tasks and loops may share it."""

    @property
    def bulk_events(self) -> BulkFactory[AsyncBulkEvents]:
        """`client.bulk_events.new_instance()` makes an empty bulk."""
        sender = self._sender
        return BulkFactory(lambda: AsyncBulkEvents(sender))

    async def track_event(self, event: Event) -> TrackResult:
        """Send one event and wait for its outcome."""
        _refuse_foreign(event)
        outcome = self._sender.one(event)
        return track_result(outcome if isinstance(outcome, SendResult) else (await asyncio.wrap_future(outcome))[0])

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.get_running_loop().run_in_executor(None, self._sender.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


def _endpoint(options: Options) -> Endpoint:
    timeout = options.get("timeout", 30.0)
    return Endpoint(
        base_url=options.get("base_url", BASE_URL),
        deadline=timeout,
        connect_timeout=min(10.0, timeout),
        max_connections=options.get("max_in_flight", 4),
        proxy=options.get("proxy"),
        ca_file=options.get("ca_file"),
        client_certificate=options.get("client_certificate"),
        client_key=options.get("client_key"),
    )


def _refuse_green_threads() -> None:
    """The outbox waits in epoll on a thread of its own: as a greenlet it would stop all the others."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "thread", "select"))):
        raise RuntimeError(
            "gevent has replaced threads or select, and this client needs the real ones; "
            "call monkey.patch_all(thread=False, select=False), or send from a process of its own"
        )


def _refuse_foreign(event: object) -> None:
    if not isinstance(event, Event):
        raise EventError(f"an Event of bridge.suprsend is needed, not {type(event).__name__}")


def _report(sent: _HandedOver, answers: list[list[SendResult]]) -> BulkResult:
    """Join refusals and the batches' results back into the order of the events."""
    results = (result for answer in answers for result in answer)
    pairs = zip(sent.bodies, sent.refusals, strict=True)
    return bulk_result(Sent(body, refusal or next(results)) for body, refusal in pairs)


class TrackResult(TypedDict):
    """What became of one event; `message` is SuprSend's message id, or what was wrong."""

    success: bool
    status: Literal["success", "fail"]
    status_code: int
    message: str


class FailedRecord(TypedDict):
    """An event that was not accepted, as it was sent."""

    record: dict[str, object]
    error: str
    code: int


class BulkResult(TypedDict):
    """What became of many events; `failed_records` in the order in which they were appended."""

    status: Literal["success", "fail", "partial"]
    total: int
    success: int
    failure: int
    failed_records: list[FailedRecord]
    warnings: list[str]


class Sent(NamedTuple):
    """One event's bytes and what became of them."""

    body: bytes
    result: SendResult


def track_result(result: SendResult) -> TrackResult:
    """Report one event."""
    return {
        "success": result.accepted,
        "status": "success" if result.accepted else "fail",
        "status_code": result.status_code,
        "message": result.message,
    }


def bulk_result(sent: Iterable[Sent]) -> BulkResult:
    """Report many events; none at all is a success, as in the SDKs."""
    total = 0
    failed: list[FailedRecord] = []
    for body, result in sent:
        total += 1
        if not result.accepted:
            record = cast("dict[str, object]", loads(body))
            failed.append({"record": record, "error": result.message, "code": result.status_code})
    return {
        "status": "success" if not failed else "fail" if len(failed) == total else "partial",
        "total": total,
        "success": total - len(failed),
        "failure": len(failed),
        "failed_records": failed,
        "warnings": [],
    }
