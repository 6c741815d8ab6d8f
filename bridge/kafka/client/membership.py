"""Whether an idle member has joined its group. Kafka thread only.

Under the consumer protocol a member without partitions gets no callback, and librdkafka's statistics call it `init` for
ever (measured). What the client itself knows of its membership tells: the broker gives each member an epoch from 1 on;
before that it is -1, and 0 on the way in and out (KIP-848). Nobody is asked: an admin client that asks the group's
coordinator can abort the whole process when that moves (librdkafka #4605).
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

_EPOCH: Final = struct.Struct("=i")
_BEGINNING: Final = b"CGMDv2:"
"""How librdkafka begins what it knows: then the epoch in the machine's byte order, and names ended by NUL."""


class Member(Protocol):
    """What a consumer offers for this; neither call waits for a broker."""

    def consumer_group_metadata(self) -> object: ...
    def memberid(self) -> str | None: ...


def has_joined(member: Member) -> bool:
    """Whether the group has taken the member in; an empty assignment counts."""
    known = member.consumer_group_metadata()
    name = (member.memberid() or "").encode()
    if not isinstance(known, bytes) or not known.startswith(_BEGINNING) or not name:
        return False
    names_at = len(_BEGINNING) + _EPOCH.size
    if len(known) < names_at or name not in known[names_at:].split(b"\0"):
        return False
    epoch: int = _EPOCH.unpack_from(known, len(_BEGINNING))[0]
    return epoch > 0
