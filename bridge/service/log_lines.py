"""What happened becomes lines of the log: the journals of both threads, Kafka's state, the holds, the secrets' files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bridge.delivery.journal import Entry, Fact, Journal
from bridge.flow import KafkaState
from bridge.observe.logs import Logs
from bridge.observe.snapshot import HoldView
from bridge.secrets import Secret, SecretError

BY_TOPIC = frozenset({"assigned", "revoked", "lost"})
"""Events of many partitions at once: one line a topic."""


class LogLines:
    """Used by the delivery thread about once a second, and by the main thread when the delivery thread has ended."""

    def __init__(self, logs: Logs, journals: Sequence[Journal]) -> None:
        self._logs = logs
        self._journals = journals
        self._state: KafkaState | None = None

    def log(self, state: KafkaState, holds: Iterable[tuple[HoldView, bool]], now: float) -> None:
        """Log what is new since the last call; `now` is in seconds since 1970."""
        self.log_journals()
        self._log_state(state)
        self.log_holds(holds, now)

    def log_holds(self, holds: Iterable[tuple[HoldView, bool]], now: float) -> None:
        """Log the holds that began (true) or ended since the last call."""
        for hold, began in holds:
            self._log_hold(hold, now, began=began)

    def log_journals(self, *, last: bool = False) -> None:
        """Log what the threads wrote down. `last`: they have ended, so that the counts are final, too."""
        for journal in self._journals:
            for event, level, facts in together([*journal.take(), *(journal.take() if last else ())]):
                getattr(self._logs.logger, level)(event, **facts)

    def _log_state(self, state: KafkaState) -> None:
        before = self._state.trouble if self._state is not None else None
        if state.trouble != before:
            if state.trouble is not None:
                self._logs.logger.warning("kafka_trouble", kind=state.kind, message=state.trouble)
            else:
                self._logs.logger.info("kafka_well")
        self._state = state

    def _log_hold(self, hold: HoldView, now: float, *, began: bool) -> None:
        log = self._logs.logger
        if not began:
            log.info("hold_lifted", reason=hold.reason, scope=hold.scope, seconds=round(max(0.0, now - hold.since), 1))
            return
        place = {"topic": hold.topic, "partition": hold.partition, "offset": hold.offset, "rule": hold.rule}
        (log.warning if hold.wanted else log.error)(
            "hold",
            reason=hold.reason,
            scope=hold.scope,
            detail=hold.detail,
            lifted_by=hold.lifted_by,
            **{name: value for name, value in place.items() if value is not None},
        )


def together(entries: Sequence[Entry]) -> list[tuple[str, str, Mapping[str, object]]]:
    """The lines to write, in order. Lines about many partitions of one topic become one, at the place of the first."""
    lines: dict[object, tuple[str, str, list[dict[str, Fact]]]] = {}
    for number, (event, level, facts) in enumerate(entries):
        key = (event, facts.get("topic")) if event in BY_TOPIC else number
        lines.setdefault(key, (event, level, []))[2].append(facts)
    return [(event, level, _joined(group) if event in BY_TOPIC else group[0]) for event, level, group in lines.values()]


def _joined(group: Sequence[Mapping[str, Fact]]) -> dict[str, object]:
    ordered = sorted(group, key=lambda facts: str(facts["partition"]).rjust(10))
    made: dict[str, object] = {
        "topic": group[0]["topic"],
        "partitions": [facts["partition"] for facts in ordered],
        "offsets": [facts["offset"] for facts in ordered],
        "count": len(group),
    }
    if "seconds" in group[0]:
        made["seconds"] = max(_number(facts["seconds"]) for facts in group)
    if "released" in group[0]:
        made["released"] = sum(_number(facts["released"]) for facts in group)
    return made


def _number(fact: Fact) -> int | float:
    return fact if isinstance(fact, int | float) else 0


class SecretWatch:
    """Tells when the file of a secret changed or cannot be used. Reads files: call `look` where that may wait."""

    def __init__(self, logs: Logs, secrets: Mapping[str, Secret]) -> None:
        """`secrets` by the name of their setting; those that are no files cannot change."""
        self._logs = logs
        self._secrets = {name: secret for name, secret in secrets.items() if secret.file is not None}
        self._known: dict[str, str] = {}
        self._trouble: dict[str, str] = {}
        self.look()

    def look(self) -> None:
        """Look at every file once."""
        for name, secret in self._secrets.items():
            file = str(secret.file)
            trouble = secret.trouble()
            if trouble is not None:
                if self._trouble.get(name) != trouble:
                    self._logs.logger.error("secret_unreadable", setting=name, file=file, message=trouble)
                    self._trouble[name] = trouble
                continue
            self._trouble.pop(name, None)
            self._compare(name, file, secret)

    def _compare(self, name: str, file: str, secret: Secret) -> None:
        try:
            text = secret.read()
        except SecretError:
            return
        known = self._known.setdefault(name, text)
        if known != text:
            self._known[name] = text
            self._logs.logger.info("secret_changed", setting=name, file=file)
