"""Holds: one mechanism for every reason to stop sending without losing anything. Pure.

A hold stops the partitions where it occurred, not the others; `SETUP` and `WORKSPACE` stop all. What lifts each, and
whether the process is ready meanwhile, is the table `KINDS`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from bridge.flow import TopicPartition

MOST_NEWS = 2_000


class Reason(StrEnum):
    """Why something is held; a metric label."""

    SETUP = "setup"
    UNREADABLE = "unreadable_answers"
    WORKSPACE = "workspace"
    REWIND = "rewind"
    RETENTION_GAP = "retention_gap"
    BRAKE = "brake"
    HALT = "halt"
    STORM = "storm"
    DEAD_LETTER_TOPIC = "dead_letter_topic"
    DEDUPE_EXPIRED = "dedupe_expired"
    OVERSIZED = "oversized"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is true of every hold of one reason."""

    lifted_by: str
    heals: bool
    """Goes away by itself once the cause is mended; else a person has to act, and the process is not ready."""
    by_reload: bool = False
    by_resume: bool = False
    wanted: bool = False
    """Somebody wants it so: the process stays ready, else no roll-out would end while it lasts."""


KINDS: dict[Reason, Kind] = {
    Reason.SETUP: Kind("a probe that is accepted; mend the credentials, host or proxy it names", heals=True),
    Reason.UNREADABLE: Kind("a probe whose answer can be read; see what stands between here and SuprSend", heals=True),
    Reason.WORKSPACE: Kind("the former workspace key, or a restart that accepts the new one", heals=False),
    Reason.REWIND: Kind("suprsend-bridge accept-rewind TOKEN, or TOKEN in delivery.accept_rewind", heals=False),
    Reason.RETENTION_GAP: Kind("suprsend-bridge resume, which goes on behind the gap", heals=False, by_resume=True),
    Reason.BRAKE: Kind(
        "a reload with mended rules, suprsend-bridge resume or suprsend-bridge skip",
        heals=False,
        by_reload=True,
        by_resume=True,
    ),
    Reason.HALT: Kind(
        "a reload with mended rules, suprsend-bridge resume or suprsend-bridge skip",
        heals=False,
        by_reload=True,
        by_resume=True,
    ),
    Reason.STORM: Kind("suprsend-bridge resume, which sends, or suprsend-bridge skip", heals=False, by_resume=True),
    Reason.DEAD_LETTER_TOPIC: Kind("the dead-letter topic taking a write again; it is tried by itself", heals=True),
    Reason.DEDUPE_EXPIRED: Kind(
        "suprsend-bridge resume, which sends, or suprsend-bridge skip", heals=False, by_resume=True
    ),
    Reason.OVERSIZED: Kind(
        "a call of that size getting through; it is tried by itself; or suprsend-bridge skip", heals=True
    ),
    Reason.OPERATOR: Kind("suprsend-bridge resume TARGET", heals=False, wanted=True),
}

EVERYWHERE: frozenset[Reason] = frozenset({Reason.SETUP, Reason.UNREADABLE, Reason.WORKSPACE})
"""Reasons that stop every partition."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. `scope` is None where it stops everything; `since` is in milliseconds since 1970."""

    reason: Reason
    scope: TopicPartition | None
    since: int
    detail: str
    offset: int | None = None
    rule: str | None = None
    token: str | None = None
    whole: bool = False
    """An operator's pause of the whole topic."""


class News(NamedTuple):
    """A hold began, or ended."""

    hold: Hold
    began: bool


def rewind_token(scope: TopicPartition, offset: int, detail: str) -> str:
    """What a person repeats to let exactly these offsets go out again: the same for the same rewind, in any process."""
    text = f"{scope[0]}:{scope[1]}:{offset}:{detail}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=5).hexdigest()


class Holds:
    """The holds in force, by scope and reason. Used by the delivery thread alone."""

    __slots__ = ("_by_scope", "_changed", "_news")

    def __init__(self) -> None:
        self._changed: dict[TopicPartition, None] = {}
        self._news: deque[News] = deque(maxlen=MOST_NEWS)
        self._by_scope: dict[TopicPartition | None, dict[Reason, Hold]] = {}

    def add(self, hold: Hold) -> bool:
        """Put a hold in force; False if that reason holds there already: the first one stays, with its time.

        Where everything is held it tells the newest cause: behind one that was mended another may come to light.
        """
        held = self._by_scope.setdefault(hold.scope, {})
        if hold.reason in held:
            if hold.scope is None:
                held[hold.reason] = replace(held[hold.reason], detail=hold.detail)
            return False
        held[hold.reason] = hold
        self._note(hold, began=True)
        return True

    def _note(self, hold: Hold, *, began: bool) -> None:
        self._news.append(News(hold, began))
        if hold.scope is not None:
            self._changed[hold.scope] = None

    def news(self) -> list[News]:
        """What began and ended since the last call, in that order, however short it was; the latest `MOST_NEWS`."""
        news = list(self._news)
        self._news.clear()
        return news

    def changed(self) -> AbstractSet[TopicPartition]:
        """Partitions on which a hold was put or lifted since the last call, in that order."""
        changed, self._changed = self._changed, {}
        return changed.keys()

    def lift(self, scope: TopicPartition | None, reason: Reason) -> Hold | None:
        """End one hold; returns it if it was in force."""
        held = self._by_scope.get(scope, {})
        hold = held.pop(reason, None)
        if hold is not None:
            self._note(hold, began=False)
        if not held:
            self._by_scope.pop(scope, None)
        return hold

    def drop(self, scope: TopicPartition) -> None:
        """The partition is not ours any more."""
        ended = self._by_scope.pop(scope, {})
        self._news.extend(News(hold, began=False) for hold in ended.values())

    def on(self, scope: TopicPartition | None) -> dict[Reason, Hold]:
        """What holds exactly that scope."""
        return self._by_scope.get(scope, {})

    def paused(self, scope: TopicPartition) -> bool:
        """Whether an operator paused the partition."""
        return Reason.OPERATOR in self.on(scope)

    def all(self) -> tuple[Hold, ...]:
        """Every hold in force, oldest first."""
        held = [hold for holds in self._by_scope.values() for hold in holds.values()]
        return tuple(sorted(held, key=lambda hold: hold.since))

    def everything(self) -> bool:
        """Whether no call but a probe may go out."""
        return None in self._by_scope
