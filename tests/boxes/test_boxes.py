from __future__ import annotations

import socket

import pytest

from tests.boxes.box import KINDS
from tests.boxes.fixtures import StartBox

_CONFIGURED = {
    "nginx": "location / { return 403; }",
    "haproxy": "    http-request return status 403",
    "squid": "http_access deny all",
    "tinyproxy": 'Filter "/dev/null"',
    "stunnel": "client = yes\nconnect = 127.0.0.1:9",
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_box_starts(start_box: StartBox, name: str) -> None:
    """Each box that tests may ask for is a real process that takes connections."""
    port = start_box(name, _CONFIGURED[name])
    with socket.create_connection(("127.0.0.1", port), 5) as peer:
        assert peer.getpeername()[1] == port
