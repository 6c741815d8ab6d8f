"""A running bridge: everything assembled, started and stopped in numbered steps. `suprsend-bridge run` and the demo use it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.delivery import operate
from bridge.delivery.core import Delivery
from bridge.delivery.journal import trace_of
from bridge.delivery.pauses import Book
from bridge.flow import Budget
from bridge.kafka.client.pauses import PauseGroup, Pauses
from bridge.kafka.client.thread import KafkaThread
from bridge.kafka.config import clients_of
from bridge.observe.logs import Logs
from bridge.observe.snapshot import RulesView, Snapshot
from bridge.rules.model import RuleSet
from bridge.service.dry_run import DryRun
from bridge.service.engine import Engine
from bridge.service.log_lines import LogLines, SecretWatch
from bridge.service.snapshot import ProcessFacts, hold_news, snapshot_of
from bridge.service.wiring import (
    DEFAULT_MEMORY,
    RulesError,
    WorkspaceGuard,
    context_of,
    credentials_of,
    endpoint_of,
    judge_of,
    mapping_of,
    memory_of,
    policy_of,
    secrets_by_setting,
    usable_rules,
)
from bridge.settings.model import Settings
from bridge.suprsend.transport import CurlTransport

PAUSES_EXTRA = 1.0
"""Seconds beyond that for what is being read or written of pauses; it is told to end when all else has ended."""
STOP_EXTRA = 10.0
"""Seconds beyond the drain that a stop may take: leaving the group, closing connections."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `clean` is False where the drain or the leave did not come to its end in time."""

    clean: bool
    fatal: str | None


class App:
    """One bridge. Made, started, stopped and asked by the main thread.

    Making it raises what is wrong on this machine: `FindingsError` (rules), `SecretError`, `CredentialsError`,
    `EndpointError`, `AnswerRuleError`, `ConfigError`. What only a remote side can tell is a hold later.
    """

    def __init__(self, settings: Settings, logs: Logs, dry: DryRun | None = None) -> None:
        """With `dry` nothing is sent, committed or dead-lettered: its transport takes the calls."""
        self.settings = settings
        self._logs = logs
        self._workspace = WorkspaceGuard(credentials_of(settings))
        self._env = self._workspace.env
        self._namespace = settings.delivery.namespace or ""
        self._rules: RuleSet = usable_rules(Path(settings.rules.path), settings.kafka.topics)
        mapping = mapping_of(self._rules, context_of(settings, self._env, self._namespace))
        memory = memory_of(settings)
        budget = Budget(memory) if dry is None else Budget(memory, most_records=dry.records)
        transport = CurlTransport(endpoint_of(settings), self._workspace) if dry is None else dry.transport
        self.engine = Engine(policy_of(settings), mapping, judge_of(settings), transport, budget, publish=self._publish)
        named = settings.delivery.namespace is not None
        clients = clients_of(settings.kafka, small=memory < DEFAULT_MEMORY, dry_run=dry is not None, named=named)
        group = PauseGroup(clients.admin, clients.group_id) if dry is None else None
        self.pauses = Pauses(group, settings.kafka.topics, self._pauses_changed)
        self.kafka = KafkaThread(
            clients,
            budget,
            self.engine.intake,
            self.engine.orders,
            on_cluster=self._cluster_known,
            pauses=self.pauses,
        )
        self._facts = ProcessFacts(
            settings.kafka.topics, self.kafka.counters, settings.kafka.group_id, dry_run=dry is not None
        )
        self._facts.mapping = RulesView(mapping.rules_hash, time.time())
        self._snapshot = Snapshot(taken_at=time.time())
        self._swapping = threading.Lock()
        self._journal = self.engine.delivery.journal
        self._log_lines = LogLines(logs, (self.kafka.counters.journal, self._journal, self.pauses.journal))
        self._secrets = SecretWatch(logs, secrets_by_setting(settings))
        self._ask_for_payloads()

    def start(self) -> None:
        """1. what is paused, 2. delivery and HTTP, 3. Kafka."""
        self.pauses.start()
        self.engine.start(self.kafka)

    def stop(self) -> Ended:
        """Drain, commit, leave; blocks for the drain and `STOP_EXTRA` at most."""
        clean = self.engine.stop(self.settings.kafka.drain + STOP_EXTRA)
        self.pauses.stop(PAUSES_EXTRA)
        if not self.engine.alive:
            self._log_lines.log_journals(last=True)
            self._log_lines.log_holds(hold_news(self.engine.delivery), time.time())
        self._log_bugs()
        return Ended(clean, self.failure())

    def _log_bugs(self) -> None:
        for where, error in (("the delivery thread", self.engine.failure), ("the Kafka thread", self.kafka.error)):
            if error is not None:
                self._logs.logger.error("unexpected", where=where, exception=trace_of(error))

    def failure(self) -> str | None:
        """Why the process cannot go on (a bug, or fenced by Kafka), or None."""
        if self.engine.failure is not None:
            return f"the delivery thread ended: {type(self.engine.failure).__qualname__}"
        if self.kafka.error is not None:
            return f"the Kafka thread ended: {type(self.kafka.error).__qualname__}"
        if self.kafka.fatal:
            return self.kafka.state.trouble or "the Kafka thread ended"
        return None

    @property
    def rules_hash(self) -> str:
        """The hash of the rules in force."""
        return self._rules.hash

    def snapshot(self) -> Snapshot:
        """The newest published snapshot."""
        return self._snapshot

    def last(self) -> Snapshot:
        """The state that was left behind, once `stop` has returned."""
        return snapshot_of(self.engine.delivery, self._facts, time.monotonic(), time.time_ns() // 1_000_000)

    def poll_age(self) -> float | None:
        """Seconds since the Kafka thread last polled."""
        return time.monotonic() - self.kafka.heartbeat

    def fresh(self, seconds: float = 1.0) -> Snapshot:
        """A snapshot of now, or the newest there is if the delivery thread does not answer in time. Blocks."""
        looked = threading.Event()

        def look(delivery: Delivery, now: float, now_ms: int) -> None:
            self._publish(delivery, now, now_ms)
            looked.set()

        self.engine.ask(look)
        looked.wait(seconds)
        return self._snapshot

    def _pauses_changed(self, book: Book) -> None:
        """Called by the pauses' thread. The delivery thread takes the book in before it hears of partitions that begin with it."""
        self.engine.ask(lambda delivery, _now, _ms: operate.keep_to_pauses(delivery, book))

    def _cluster_known(self, cluster_id: str) -> None:
        """Called by the Kafka thread before the first record: the cluster's id becomes the namespace of keys."""
        if not self.settings.delivery.namespace and cluster_id != self._namespace:
            self._swap(None, cluster_id)

    def _swap(self, rules: RuleSet | None, cluster_id: str | None = None) -> None:
        """Put new rules or a new namespace in force. A reload and the Kafka thread may call it at the same time."""
        with self._swapping:
            self._rules = rules or self._rules
            self._namespace = cluster_id or self._namespace
            mapping = mapping_of(self._rules, context_of(self.settings, self._env, self._namespace))
            self.engine.ask(lambda delivery, _now, _ms: operate.reload(delivery, mapping))

    def reload(self) -> bool:
        """Load the rules again and swap them in, or keep those in force and say why. Reads files: call it in a thread."""
        reloads = dict(self._facts.mapping.reloads)
        try:
            rules = usable_rules(Path(self.settings.rules.path), self.settings.kafka.topics)
        except RulesError as error:
            reloads["failed"] = reloads.get("failed", 0) + 1
            self._facts.mapping = replace(self._facts.mapping, reloads=reloads, error=str(error))
            self._logs.logger.error("rules_refused", findings=str(error))  # noqa: TRY400 (the findings say it all)
            return False
        if rules.hash != self._rules.hash:
            self._swap(rules)
        reloads["ok"] = reloads.get("ok", 0) + 1
        self._facts.mapping = RulesView(rules.hash, time.time(), reloads, None)
        self._logs.logger.info("rules_loaded", hash=rules.hash)
        return True

    def _publish(self, delivery: Delivery, now: float, now_ms: int) -> None:
        """Called by the delivery thread about once a second: take a snapshot, and log what happened."""
        operate.keep_to_workspace(delivery, self._env, self._workspace.other(), now_ms)
        self._log_lines.log(delivery.kafka, hold_news(delivery), now_ms / 1000)
        self._facts.errors = self._logs.last_errors()
        self._snapshot = snapshot_of(delivery, self._facts, now, now_ms)
        self._ask_for_payloads()

    def _ask_for_payloads(self) -> None:
        """Tell the journal whether to keep payloads. Each event that is sent is shown at `debug` alone, and the level may change."""
        self._journal.payloads = self.settings.logs.log_payloads
        self._journal.sent = self._journal.payloads and self._logs.level == "debug"

    def look_at_secrets(self) -> None:
        """Tell when a secret's file changed or cannot be used. Reads files: call it in a thread."""
        self._secrets.look()
