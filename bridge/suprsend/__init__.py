"""SuprSend's event API, usable alone: `from bridge.suprsend import Client, Event`.

Names load when they are first used, so that a part of the bridge that needs only the limits does not load the client.
Knows `flow` and `jsontext` alone; the process, `cli`, `sandbox` and `asking` import it, `rules` and `settings` its tables.
Begin with `client.py` as a user, with `answers.py` for what an answer means: its rows are in `answer_rules.py`, the shapes
of bodies in `shapes.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.suprsend.client import AsyncClient, Client
    from bridge.suprsend.endpoint import EndpointError
    from bridge.suprsend.event import Event, EventError
    from bridge.suprsend.signing import CredentialsError

__all__ = ["AsyncClient", "Client", "CredentialsError", "EndpointError", "Event", "EventError"]

_HOMES = {
    "AsyncClient": "client",
    "Client": "client",
    "CredentialsError": "signing",
    "EndpointError": "endpoint",
    "Event": "event",
    "EventError": "event",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
