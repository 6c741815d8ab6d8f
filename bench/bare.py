"""What reads topics and does nothing else, beside which the bridge is measured: `python -m bench.bare`.

A consumer as confluent-kafka makes it, commits by itself every five seconds included. With `--commits` it commits one
partition every 20 ms and prints, at each answer, how many seconds ago the last one came, where that is over 0.1 s.
"""

from __future__ import annotations

import argparse
import signal
import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_EVERY: Final = 0.02
_LONG: Final = 0.1


class Bare:
    """One consumer; `stopped` ends it."""

    def __init__(self, bootstrap: str, group: str, *, commits: bool) -> None:
        conf: dict[str, Any] = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "latest"}
        conf |= {"partition.assignment.strategy": "cooperative-sticky", "enable.auto.commit": not commits}
        # As the bridge has it: it decides how long a rebalance takes.
        conf |= {"heartbeat.interval.ms": 250, "log_level": 0, "on_commit": self._answered}
        self.consumer = Consumer(conf)
        self.stopped = False
        self._commits = commits
        self._ours: set[tuple[str, int]] = set()
        self._acknowledged = self._committed = time.monotonic()

    def run(self, topics: list[str]) -> None:
        """Read until it is stopped."""
        self.consumer.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked)
        while not self.stopped:
            self.consumer.consume(500, 0.005 if self._commits else 0.1)
            if self._commits and self._ours and time.monotonic() > self._committed + _EVERY:
                self._commit()
        self.consumer.close()

    def _assigned(self, _: Consumer, parts: list[TopicPartition]) -> None:
        if not self._ours:
            self._acknowledged = time.monotonic()
        self._ours |= {(part.topic, part.partition) for part in parts}
        print(f"assigned {len(self._ours)}", flush=True)

    def _revoked(self, _: Consumer, parts: list[TopicPartition]) -> None:
        self._ours -= {(part.topic, part.partition) for part in parts}

    def _commit(self) -> None:
        self._committed = time.monotonic()
        try:
            self.consumer.commit(offsets=[TopicPartition(*min(self._ours), 0)], asynchronous=True)
        except KafkaException:
            return

    def _answered(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        if not self._commits or error is not None or any(part.error is not None for part in parts):
            return
        now = time.monotonic()
        if now - self._acknowledged > _LONG:
            print(f"silent {now - self._acknowledged:.3f}", flush=True)
        self._acknowledged = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--commits", action="store_true")
    parser.add_argument("topics", nargs="+")
    options = parser.parse_args()
    bare = Bare(options.bootstrap, options.group, commits=options.commits)

    def stop(*_: object) -> None:
        bare.stopped = True

    signal.signal(signal.SIGTERM, stop)
    bare.run(options.topics)


if __name__ == "__main__":
    main()
