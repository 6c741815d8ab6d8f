"""What becomes of one letter under today's rules: events to send, faults that fail again, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.flow import Event, Fault, Mapped, Record, Stage
from bridge.replay.idempotency_keys import key_of, refused, rekeyed
from bridge.replay.letter import Letter, Result

__all__ = ["Limits", "Plan", "Rules", "planned", "wanted_rule"]

_UNKNOWN: Final = frozenset({"stuck", "dedupe_expired", "skipped_by_operator"})
"""Classes of letters whose event may have reached SuprSend."""
_SHARED: Final = "duplicate_key"
_WHOLE: Final = frozenset({"decode", "unmatched"})
"""Stages at which no rule was reached: all rules of the topic run."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Today's rules, as a replay needs them."""

    map: Callable[[Record], Mapped]
    """Maps a record of any topic."""
    names: frozenset[str]
    hash: str
    files: Mapping[str, str] = field(default_factory=dict)
    """The file of each rule."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`give_up_ms`: so long after a first attempt SuprSend surely knows the key. `most`: the guard against loops."""

    give_up_ms: int
    most: int = 10
    allow_repeats: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One letter's future. `kept` says why it stays as it is; else what is not sent ends as `quiet`."""

    letter: Letter
    events: tuple[tuple[int, Event], ...] = ()
    """With the place among its rule's events, that a further letter would name."""
    faults: tuple[Fault, ...] = ()
    quiet: Result = Result.FILTERED
    kept: str | None = None


def wanted_rule(letter: Letter) -> str | None:
    """The one rule that a letter is about; None: all rules of its topic."""
    return None if letter.stage in _WHOLE else letter.rule


def planned(letter: Letter, rules: Rules, limits: Limits, now_ms: int) -> Plan:
    """Decide about one letter, whose original is at hand. Total."""
    kept = _kept(letter, rules, limits, now_ms)
    if kept is not None:
        return Plan(letter, kept=kept)
    rule = wanted_rule(letter)
    mapped = rules.map(letter.record)
    entries = _chosen(letter, rule, mapped, rules.files)
    if rule is not None and (letter.key or letter.base_key) is not None:
        found = _named(letter, entries)
        if found is None:
            return Plan(letter, kept="today's rule makes several events, and which of them it is cannot be told")
        entries = found
    entries = _under_their_keys(letter, entries, shared=_share_a_key(letter, mapped))
    faults = tuple(
        entry for _, entry in entries if isinstance(entry, Fault) and entry.on_error in ("dead_letter", "halt")
    )
    events = [(item, entry) for item, entry in entries if isinstance(entry, Event)]
    alive = tuple((item, event) for item, event in events if event.expires is None or event.expires >= now_ms)
    return Plan(letter, alive, faults, _quiet(entries, expired=len(alive) < len(events)))


def _kept(letter: Letter, rules: Rules, limits: Limits, now_ms: int) -> str | None:
    rule = wanted_rule(letter)
    if rule is not None and rule not in rules.names:
        return f"there is no rule {rule} today"
    if rule is None and letter.files and not set(letter.files) & set(rules.files.values()):
        return f"there is no rule file {' or '.join(letter.files)} today"
    if letter.replays >= limits.most:
        return f"it was replayed {letter.replays} times already (--most)"
    if limits.allow_repeats or refused(letter) or not _may_have_been_sent(letter):
        return None
    first = letter.first_ms if letter.first_ms is not None else letter.last_ms
    if letter.cause == "dedupe_expired" or first is None or now_ms - first > limits.give_up_ms:
        return "it may have been sent so long ago that SuprSend has forgotten it (--allow-repeats)"
    return None


def _may_have_been_sent(letter: Letter) -> bool:
    """Whether its event may have reached SuprSend: also where today's rules failed on it in an earlier replay."""
    return letter.cause in _UNKNOWN if letter.stage == Stage.DELIVER else letter.key is not None


def _chosen(
    letter: Letter, rule: str | None, mapped: Mapped, files: Mapping[str, str]
) -> list[tuple[int, Event | Fault]]:
    """What of a mapping is the letter's: of its rule, of its item where it names one, of the files that failed."""
    if rule is None:
        mine = [entry for entry in mapped if not letter.files or _of_files(entry, letter.files, files)]
        return _numbered([entry for entry in mine if not _unmatched(entry, letter)])
    of_rule = [entry for entry in mapped if entry.rule == rule]
    if not of_rule:
        # What cannot be decoded reaches no rule.
        own = [entry for entry in mapped if rule not in files or _of_files(entry, (files[rule],), files)]
        return [(0, entry) for entry in own if entry.rule is None and not _unmatched(entry, letter)]
    numbered = list(enumerate(of_rule))
    whole = len(of_rule) == 1 and isinstance(of_rule[0], Fault) and of_rule[0].item is None
    return numbered if letter.item is None or whole else numbered[letter.item : letter.item + 1]


def _of_files(entry: Event | Fault, wanted: tuple[str, ...], files: Mapping[str, str]) -> bool:
    """Whether one of these files made it; what names no file is of all."""
    if entry.rule is not None:
        return files.get(entry.rule) in wanted
    return not entry.files or bool(set(entry.files) & set(wanted))


def _named(letter: Letter, entries: list[tuple[int, Event | Fault]]) -> list[tuple[int, Event | Fault]] | None:
    """The one event of a letter that names its key; None where it is not clear which it is."""
    events = [entry for _, entry in entries if isinstance(entry, Event)]
    if len(events) <= 1:
        return entries
    named = [
        (item, entry)
        for item, entry in entries
        if isinstance(entry, Event) and entry.key in (letter.key, letter.base_key)
    ]
    return list(named) if len(named) == 1 else None


def _under_their_keys(
    letter: Letter, entries: list[tuple[int, Event | Fault]], *, shared: bool
) -> list[tuple[int, Event | Fault]]:
    return [
        (item, rekeyed(entry, key_of(letter, entry, shared=shared)) if isinstance(entry, Event) else entry)
        for item, entry in entries
    ]


def _share_a_key(letter: Letter, mapped: Mapped) -> bool:
    """Whether the rules give two events of the record one key, or did: the other one may have been sent with it."""
    return letter.code == _SHARED or any(isinstance(entry, Fault) and entry.code == _SHARED for entry in mapped)


def _numbered(entries: Sequence[Event | Fault]) -> list[tuple[int, Event | Fault]]:
    counts: dict[str | None, int] = {}
    numbered: list[tuple[int, Event | Fault]] = []
    for entry in entries:
        number = counts.get(entry.rule, 0)
        counts[entry.rule] = number + 1
        numbered.append((number, entry))
    return numbered


def _unmatched(entry: Event | Fault, letter: Letter) -> bool:
    """Whether it only says that no rule wants the record; that is news unless the letter said so."""
    return isinstance(entry, Fault) and entry.stage is Stage.UNMATCHED and letter.stage != "unmatched"


def _quiet(entries: Sequence[tuple[int, Event | Fault]], *, expired: bool) -> Result:
    if expired:
        return Result.EXPIRED
    skipped = any(isinstance(entry, Fault) and entry.on_error == "skip" for _, entry in entries)
    return Result.SKIPPED if skipped else Result.FILTERED
