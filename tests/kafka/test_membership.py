"""Whether a member without partitions has joined: told by what the client itself knows of its membership."""

from __future__ import annotations

import struct

import pytest
from confluent_kafka import Consumer

from bridge.kafka.client.session import has_joined


class Member:
    """Stands for a consumer."""

    def __init__(self, known: object, name: str | None = "m-1") -> None:
        self._known = known
        self._name = name

    def consumer_group_metadata(self) -> object:
        return self._known

    def memberid(self) -> str | None:
        return self._name


def known(epoch: int, name: str = "m-1", beginning: bytes = b"CGMDv2:") -> bytes:
    return beginning + struct.pack("=i", epoch) + b"group\0" + name.encode() + b"\0\x01"


@pytest.mark.parametrize(("epoch", "joined"), [(-1, False), (0, False), (1, True), (70_000, True)])
def test_an_epoch_from_the_broker_is_membership(epoch: int, joined: bool) -> None:
    """Before it is taken in a member has the epoch -1, and 0 while it joins or leaves."""
    assert has_joined(Member(known(epoch))) is joined


@pytest.mark.parametrize(
    "member",
    [
        Member(None),
        Member(b""),
        Member(b"CGMDv2:\x01"),
        Member(known(3, beginning=b"CGMDv9:")),
        Member(known(3, name="another")),
        Member(known(3), name=None),
        Member(known(3), name=""),
    ],
)
def test_what_cannot_be_read_is_no_membership(member: Member) -> None:
    """Another layout of the client's knowledge, or somebody else's, never makes the process ready."""
    assert not has_joined(member)


def test_the_client_tells_it_without_a_broker() -> None:
    """The layout is the one that the installed client uses, and asking it waits for nobody."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "group.protocol": "consumer"})
    try:
        assert not has_joined(consumer)
        told = consumer.consumer_group_metadata()
        name = (consumer.memberid() or "").encode()
        assert told == known(-1, name.decode()).replace(b"group\0", b"g\0")
    finally:
        consumer.close()
