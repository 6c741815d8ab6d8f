"""Whether a client gets through to all that a bridge needs: the brokers that lead partitions, the groups' coordinators.

For `check --live`. Asked by consumers that never subscribe, each with a thread of its own: an admin client that asks a
group's coordinator can abort the process when that moves (librdkafka #4605), and one broker that does not answer must
not hide the others. Reads only.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.flow import TopicPartition as Name
from bridge.kafka.client.connections import REACH, Links
from bridge.kafka.client.questions import places
from bridge.kafka.client.statistics import read
from bridge.kafka.config import Conf
from bridge.kafka.errors import Trouble, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS: Final = 4.0
_MOST_AT_ONCE: Final = 12
_STATISTICS_MS: Final = 500
_HEARTBEAT: Final = re.compile(r"ApiKey ConsumerGroupHeartbeat \(68\) Versions \d+\.\.(\d+)")
_LEAST_HEARTBEAT: Final = 1
"""Kafka 3.9 tells version 0, which librdkafka 2.16 does not speak: it then says nothing, and never joins (seen)."""
_ANSWERS: Final = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_ID_NOT_FOUND}
)
"""Errors that only a coordinator that can be reached tells, and that are no trouble of the group."""


class Broker(NamedTuple):
    """A broker as the cluster tells of it."""

    node: int
    address: str
    leads: Sequence[Name]
    """Those of our partitions that it leads."""


class Group(NamedTuple):
    """A group that the bridge uses. `without` says what is lost where it may not be used; '' where that is no matter."""

    name: str
    without: str = ""


class _Versions(logging.Handler):
    """Finds the newest version of the `consumer` protocol's request, of all that librdkafka tells with `debug=feature`."""

    def __init__(self) -> None:
        super().__init__()
        self.newest = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each line."""
        found = _HEARTBEAT.search(record.getMessage())
        if found is not None:
            self.newest = max(self.newest, int(found[1]))


class Reach:
    """Asks over connections of its own, with the configuration of a client that may read."""

    def __init__(self, conf: Conf, topic: str, *, seconds: float = _SECONDS) -> None:
        """`topic` is one that the groups are asked about."""
        self._conf = conf
        self._topic = topic
        self._seconds = seconds

    def troubles(self, brokers: Sequence[Broker], groups: Sequence[Group], *, consumer: bool) -> list[Trouble]:
        """What does not answer, all asked at once. `consumer`: the group uses that protocol. Blocks for some seconds."""
        jobs: list[Callable[[], Trouble | None]] = [lambda each=each: self._broker(each) for each in brokers]  # type: ignore[misc]
        jobs += [lambda each=each: self._group(each) for each in groups]  # type: ignore[misc]
        jobs += [self._protocol] if consumer else []
        with ThreadPoolExecutor(_MOST_AT_ONCE) as at_once:
            found = [job.result() for job in [at_once.submit(job) for job in jobs]]
        return _merged([each for each in found if each is not None], [group.name for group in groups])

    def _broker(self, broker: Broker) -> Trouble | None:
        with self._client("check") as (consumer, links):
            try:
                consumer.get_watermark_offsets(TopicPartition(*broker.leads[0]), timeout=self._seconds)
            except KafkaException as error:
                if error.args[0].code() in _ANSWERS:
                    return None
                consumer.poll(0)
                why = links.why(broker.address) or plain(error.args[0])
                where = f"broker {broker.node} at {broker.address}, which leads {places(list(broker.leads))},"
                return Trouble("unreachable", f"{where} cannot be reached: {REACH} ({why})")
        return None

    def _group(self, group: Group) -> Trouble | None:
        with self._client(group.name) as (consumer, links):
            error, refused = self._asked(consumer)
            if error is None or (refused is not None and not group.without):
                # Of the first group's rights it is said elsewhere; those of a command's group its user may not have.
                return None
            if refused is not None:
                advice = f"give the bridge's user Read and Describe on it, or {group.without}"
                return Trouble("optional", f"the group {group.name} may not be used: {advice} ({plain(refused)})")
            return Trouble("group", links.amiss or f"the coordinator of the group {group.name} does not answer")

    def _asked(self, consumer: Consumer) -> tuple[KafkaError | None, KafkaError | None]:
        """Ask for a commit; the error, and the refusal that was told beside it."""
        until = time.monotonic() + self._seconds
        error = None
        while time.monotonic() < until:
            try:
                (part,) = consumer.committed([TopicPartition(self._topic, 0)], timeout=1.0)
                error = part.error
            except KafkaException as met:
                error = met.args[0]
            if error is None or error.code() in _ANSWERS:
                return None, None
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                return error, error
            while (told := consumer.poll(0)) is not None:
                found = told.error()
                if found is not None and found.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                    return error, found
        return error, None

    def _protocol(self) -> Trouble | None:
        heard = _Versions()
        log = logging.getLogger("bridge.kafka.features")
        log.propagate, log.handlers = False, [heard]
        log.setLevel(logging.DEBUG)
        with self._client("check", {"debug": "feature", "log_level": 7, "logger": log}) as (consumer, _):
            try:
                consumer.list_topics(timeout=self._seconds)
            except KafkaException:
                return None
            consumer.poll(0.2)
        if heard.newest >= _LEAST_HEARTBEAT:
            return None
        text = "the brokers do not know the consumer protocol (Kafka 4.0 does): set kafka.group_protocol to classic"
        return Trouble("unsupported", text)

    @contextmanager
    def _client(self, group: str, more: Mapping[str, Any] | None = None) -> Iterator[tuple[Consumer, Links]]:
        links = Links(group, silent=False)
        consumer = Consumer(
            {
                **self._conf,
                "group.id": group,
                "enable.auto.commit": False,
                "error_cb": links.failed,
                "stats_cb": lambda text: links.heard(read(text), time.monotonic()),
                "statistics.interval.ms": _STATISTICS_MS,
                **(more or {}),
            }
        )
        try:
            yield consumer, links
        finally:
            consumer.close()


def _merged(troubles: Iterable[Trouble], groups: Sequence[str]) -> list[Trouble]:
    """One line a trouble: groups whose coordinator is the same broker stand in one."""
    made: dict[tuple[str, str], list[str]] = {}
    for kind, text in troubles:
        named = next((group for group in sorted(groups, key=len, reverse=True) if f"the group {group}" in text), None)
        general = text.replace(f"the group {named}", "{}") if named is not None else text
        made.setdefault((kind, general), []).append(named or "")
    return [Trouble(kind, text.replace("{}", _named(names))) for (kind, text), names in made.items()]


def _named(names: Sequence[str]) -> str:
    return f"the group{'s' if len(names) > 1 else ''} {', '.join(names)}"
