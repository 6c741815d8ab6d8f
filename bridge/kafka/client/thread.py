"""The Kafka thread: it alone owns the consumer and the dead-letter producer; every call and callback is on it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

from confluent_kafka import KafkaException

from bridge.flow import Budget, Intake, KafkaState, Order
from bridge.kafka.client.broker_health import BrokerHealth
from bridge.kafka.client.connections import Links
from bridge.kafka.client.counters import KafkaCounters
from bridge.kafka.client.dead_letter_producer import DeadLetterProducer
from bridge.kafka.client.pauses import Pauses
from bridge.kafka.client.session import Session
from bridge.kafka.config import Clients, ConfigError
from bridge.secrets import SecretError

_AGAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """`now_ms` is the wall clock in milliseconds since 1970."""

    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


def _nothing(_: str) -> None:
    """Take the cluster's id and do nothing with it."""


class KafkaThread:
    """Reads records and writes dead letters and offsets, as the delivery thread orders.

    `intake` takes many items at once from this thread, must not block and must not raise. The delivery thread appends
    to `orders` and may call `wake` after it; nobody else touches them. `on_cluster` is called on this thread with the
    cluster's id before the first `Assigned`. A partition begins when `pauses` knows whether somebody paused it.
    """

    def __init__(
        self,
        clients: Clients,
        room: Budget,
        intake: Callable[[list[Intake]], None],
        orders: deque[Order],
        *,
        on_cluster: Callable[[str], None] = _nothing,
        clocks: Clocks | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self.counters = KafkaCounters()
        self.error: BaseException | None = None
        """What ended the thread against its will; a bug."""
        self.fatal = False
        """The thread ended and cannot be started again: leave the process with exit code 70."""
        self._pauses = pauses
        self._clients = clients
        self._room = room
        self._intake = intake
        self._orders = orders
        self._clocks = clocks or Clocks()
        self._stop = Event()
        self._wake = Event()
        self._ended = Event()
        self._session: Session | None = None
        self._begun = time.monotonic()
        self._health = BrokerHealth(
            clients.topics,
            None if clients.dry_run else clients.dead_letter_topic,
            self._state_changed,
            on_cluster,
            links=Links(clients.group_id, silent=clients.silent),
            named=clients.named,
        )
        self._letters: DeadLetterProducer | None = None
        if clients.producer is not None and clients.dead_letter_topic is not None:
            self._letters = DeadLetterProducer(
                clients.producer, clients.dead_letter_topic, lambda report: intake([report]), self.counters
            )
        self._thread = Thread(target=self._run, name="kafka", daemon=True)

    def start(self) -> None:
        """Begin; returns at once, also where no broker can be reached."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask for the end: drain, commit, leave the group. Any thread, but not inside a signal handler."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end, at most `timeout` seconds; False where it has not come.

        librdkafka's `close` can hang, so a caller that gets False leaves the process (`os._exit`) instead of waiting.
        """
        return self._ended.wait(timeout)

    def wake(self) -> None:
        """Orders were appended: look at them soon, if nothing is being read at the moment. Any thread."""
        self._wake.set()

    @property
    def heartbeat(self) -> float:
        """Monotonic seconds of the last poll; liveness is its age."""
        session = self._session
        return session.polled if session is not None else self._begun

    @property
    def state(self) -> KafkaState:
        """What is known of Kafka's side."""
        return self._health.state

    @property
    def cluster_id(self) -> str | None:
        """The Kafka cluster's id, None until a broker has told it."""
        return self._health.cluster_id

    def _state_changed(self, state: KafkaState) -> None:
        self._intake([state])

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and self._health.fatal is None:
                self._live()
        except BaseException as error:  # noqa: BLE001 - nobody else is there to catch it
            self.error = error
        finally:
            self.fatal = self.error is not None or self._health.fatal is not None
            self._ended.set()

    def _live(self) -> None:
        """One consumer's life, to its end or to an error that it does not survive."""
        try:
            session = Session(
                self._clients,
                self._room,
                self._intake,
                self._orders,
                self._health,
                self._letters,
                self.counters,
                self._clocks.now_ms,
                self._wake,
                self._pauses,
            )
        except (ConfigError, SecretError, KafkaException) as error:
            self._health.settings_failed(f"the Kafka settings cannot be used: {error}")
            self._health.say(joined=False)
            self._begun = time.monotonic()
            self._stop.wait(_AGAIN_SECONDS)
            return
        self._session = session
        session.live(self._stop)
