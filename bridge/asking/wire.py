"""One call to SuprSend, from its beginning to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from bridge.flow import Reply
from bridge.suprsend.endpoint import BULK_PATH, Endpoint
from bridge.suprsend.signing import Bearer, Credentials, Hmac
from bridge.suprsend.transport import CurlTransport

_GRACE: float = 5.0


def call(
    endpoint: Endpoint,
    credentials: Callable[[], Credentials],
    body: bytes,
    *,
    path: str = BULK_PATH,
    late: float = 0.0,
) -> Reply:
    """Make one call and wait for its end; its signed date is `late` seconds behind. Raises what the two raise."""
    until = time.monotonic() + endpoint.deadline + _GRACE
    with closing(CurlTransport(endpoint, credentials, path=path, clock=lambda: time.time() - late)) as transport:
        transport.start(0, body)
        while time.monotonic() < until:
            for _call, reply in transport.poll(1.0):
                return reply
    return Reply(0, "timeout", None, b"", applied=True, seconds=endpoint.deadline)


def wrong(credentials: Credentials) -> Credentials:
    """The same workspace with a secret (or API key) that is not its."""
    if isinstance(credentials, Hmac):
        return Hmac(credentials.key, "bridge-check-a-wrong-secret")
    return Bearer("bridge-check-a-wrong-api-key", credentials.env)
