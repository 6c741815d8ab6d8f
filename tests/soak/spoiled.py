"""A Kafka of a row's own, which can be killed, and reached through a proxy beside the straight way."""

from __future__ import annotations

from dataclasses import dataclass

from tests.brokers.node import Node, free_ports


@dataclass
class SpoiledNode(Node):
    """A node with one more listener, whose clients are told to come by the port of a proxy."""

    spoiled_port: int = 0
    proxy_port: int = 0

    def prepare(self) -> None:
        """Choose the further ports, too."""
        self.spoiled_port, self.proxy_port = free_ports(2)
        super().prepare()

    def _properties(self) -> dict[str, str]:
        made = super()._properties()
        made["listeners"] += f",SPOILED://127.0.0.1:{self.spoiled_port}"
        made["advertised.listeners"] += f",SPOILED://127.0.0.1:{self.proxy_port}"
        made["listener.security.protocol.map"] += ",SPOILED:PLAINTEXT"
        return made


@dataclass
class SmallNode(SpoiledNode):
    """One of several on a machine."""

    heap: str = "256m"
