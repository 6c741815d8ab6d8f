"""Whether an idle member has joined its group. Kafka thread only; the admin client has threads of its own.

Under the consumer protocol a member without partitions gets no callback, so the group itself is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._group import ConsumerGroupDescription

from bridge.kafka.config import Conf

_PATIENCE_SECONDS: Final = 1.5
"""So long a callback is waited for."""
_AGAIN_SECONDS: Final = 3.0
_REQUEST_SECONDS: Final = 3.0


class Membership:
    """Asks the group for its members until ours is among them."""

    def __init__(self, conf: Callable[[], Conf], group: str, now: float) -> None:
        self._conf = conf
        self._group = group
        self._admin: AdminClient | None = None
        self._answer: Future[ConsumerGroupDescription] | None = None
        self._ask_at = now + _PATIENCE_SECONDS

    def joined(self, member: str, now: float) -> bool:
        """Whether the group has the member; False while that is not known. Never blocks."""
        if self._answer is not None and self._answer.done():
            answer, self._answer = self._answer, None
            return self._among(member, answer)
        if self._answer is None and now >= self._ask_at and member:
            self._ask_at = now + _AGAIN_SECONDS
            if self._admin is None:
                self._admin = AdminClient(cast("dict[str, str | int | float | bool]", self._conf()))
            answers = self._admin.describe_consumer_groups([self._group], request_timeout=_REQUEST_SECONDS)
            self._answer = answers[self._group]
        return False

    def _among(self, member: str, answer: Future[ConsumerGroupDescription]) -> bool:
        try:
            found = any(each.member_id == member for each in answer.result().members)
        except KafkaException:
            return False
        if found:
            self._admin = None
        return found
