"""What is done where the brokers take no idempotent producer: dead letters are written without. Kafka thread, or a command's.

Brokers before 0.11 and some services do not know the request that such a producer begins with; brokers before 2.8 want a
right of its own for it. Without, a letter whose acknowledgement is lost may be there twice, which harms nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError

from bridge.kafka.config import Conf
from bridge.kafka.errors import TIMED_OUT, text_of

_REFUSED: Final = (
    KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 - librdkafka's local errors begin with an underscore
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)
"""What ends an idempotent producer for good."""
_UNKNOWN_REQUEST: Final = KafkaError(KafkaError.UNSUPPORTED_VERSION).str() or ""
_FACILITY: Final = "GETPID"
"""Of librdkafka's lines about a producer id that it did not get: all that it tells of what it tries again."""


class Idempotence:
    """One for each writer of dead letters, whatever producers it makes. `told` is called once, when it is given up."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._on = True
        self._logger: logging.Logger | None = None
        self._refusal = ""
        """Why the last producer id was not given; empty since the producer was made, or none was refused."""

    def conf(self, conf: Conf) -> Conf:
        """The configuration of the next producer."""
        self._refusal = ""
        if not self._on:
            return {**conf, "enable.idempotence": False}
        logger = conf.get("logger")
        self._logger = logger if isinstance(logger, logging.Logger) else None
        return {**conf, "logger": self}

    def log(self, level: int, template: str, *arguments: object) -> None:
        """Take a line of librdkafka, as a logger: it is called while the producer is polled, and must not raise."""
        if arguments and arguments[0] == _FACILITY:
            self._refusal = str(arguments[-1])
        if self._logger is not None:
            self._logger.log(level, template, *arguments)

    def given_up(self, error: KafkaError | None = None) -> bool:
        """Whether the producer has to be replaced by one without; True once. `error` is what it ended by, if it did."""
        if not self._on:
            return False
        why = self._refusal if error is None or error.code() == TIMED_OUT else text_of(error)
        if error is None:
            refused = _UNKNOWN_REQUEST in why
        elif error.code() == TIMED_OUT:
            refused = bool(why)
        else:
            refused = error.code() in _REFUSED
        if refused:
            self._on = False
            self._told(why)
        return refused
