"""A log that loses records which were acknowledged: what an unclean election does, or a disk that never wrote them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.brokers.real import RealKafka

_BATCH: Final = struct.Struct(">qi")
"""How each batch begins: its first offset, and the bytes behind these twelve."""


def cut_logs(kafka: RealKafka, topic: str, ends: Mapping[int, int]) -> None:
    """Stop a Kafka of one node, cut partitions off at offsets where a batch begins, and start it again.

    As after an unclean election, another leader epoch begins: a broker that starts again is elected anew.
    """
    (node,) = kafka.nodes
    node.stop()
    for number, end in ends.items():
        (folder,) = node.folder.rglob(f"{topic}-{number}")
        _cut(folder, end)
    for each in node.folder.rglob(".kafka_cleanshutdown"):
        each.unlink()
    kafka.restart()
    kafka.await_leaders(topic)


def _cut(folder: Path, end: int) -> None:
    (segment,) = folder.glob("*.log")
    data = segment.read_bytes()
    at = 0
    while at < len(data):
        first, size = _BATCH.unpack_from(data, at)
        if first >= end:
            assert first == end, f"no batch begins at {end}"
            break
        at += _BATCH.size + size
    with segment.open("r+b") as file:
        file.truncate(at)
    for pattern in ("*.index", "*.timeindex", "*.snapshot"):
        for each in folder.glob(pattern):
            each.unlink()
