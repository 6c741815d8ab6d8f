"""Compiled rules: `Mapping.for_topic(topic)` is what makes events and faults of a run of a topic's records.

A topic that one rule reads has one generated loop (`codegen.run_code`). Where several rules or files read it, the loop is
here: each file's way of reading, the look-up of the rules that a value may concern (`dispatch`), and their generated code.

Pure: no clock, no I/O; a mapper is for one thread at a time (each thread asks for its own).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from bridge.flow import Event, Fault, Mapped, MappedRun, Mapper, MappingContext, Record, RuleInfo, RunMapper, Stage
from bridge.jsontext import loads
from bridge.rules.map.codegen import (
    Allowed,
    Columns,
    Kept,
    Kind,
    RuleCode,
    RunCode,
    TopicReading,
    named,
    rule_code,
    run_code,
)
from bridge.rules.map.decode import SNAPSHOT, Decoder, decoder
from bridge.rules.map.dispatch import Head, selector
from bridge.rules.map.faults import MapError
from bridge.rules.map.remade import MOST_KEPT, Remade
from bridge.rules.map.scope import VARIABLES, Args, args_maker
from bridge.rules.map.slow_path import bug, unreadable
from bridge.rules.model import Rule, RuleFile, RuleSet
from bridge.rules.name_patterns import recipient_filter

__all__ = ["CompiledMapping", "RuleMapper", "compile_mapping", "rule_mapper"]

_UNMATCHED: Final = Fault(
    None,
    Stage.UNMATCHED,
    "unmatched",
    "No rule took this record, and its topic keeps such records.",
    None,
    "dead_letter",
)


def compile_mapping(ruleset: RuleSet, context: MappingContext) -> CompiledMapping:
    """Compile rules that were loaded without errors.

    Raises ValueError for an entry of `context.only_recipients` that is no pattern (`bridge.rules.name_patterns`).
    """
    infos = tuple(
        RuleInfo(rule.name, tuple(pattern.text for pattern in rule.topics), rule.events)
        for rule in ruleset.rules
        if rule.enabled
    )
    allowed = recipient_filter(context.only_recipients)
    return CompiledMapping(ruleset.hash, infos, ruleset.files, context, allowed, deque(maxlen=MOST_KEPT))


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """All rules, compiled. Immutable; any thread may ask it for mappers."""

    rules_hash: str
    rules: tuple[RuleInfo, ...]
    files: tuple[RuleFile, ...]
    context: MappingContext
    allowed: Allowed
    recent: deque[Any]
    """What of large fan-outs is kept; only runs are made with it, by one thread."""

    def for_topic(self, topic: str) -> RunMapper:
        """Return the mapper of runs of a topic's records. What no rule selects is unwanted."""
        run, kind = self._code(topic)
        kept_bytes = self.context.kept_bytes

        def map_run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
            made = run(records, offsets, most, room)
            if made[3] >= kept_bytes and int in map(type, made[0]):
                made = (_remade(run, kind, made, records, offsets, self), *made[1:])
            return _mapped_run(kind, *made)

        return map_run

    def mapper(self, topic: str) -> Mapper:
        """Return the mapper of single records of a topic: the same, but events and faults in order of rules and items."""
        run, kind = self._code(topic)

        def map_one(record: Record) -> Mapped:
            bodies, _, faults, _, _, kinds, expires = run((record,), (record.offset(),), 1, 0, 0, inf)
            return _in_order(_events(kind, bodies, kinds, expires), faults)

        return map_one

    def _code(self, topic: str) -> tuple[RunCode, Kind]:
        files = [file for file in self.files if file.names(topic) or _rules(file, topic)]
        if len(files) == 1 and len(_rules(files[0], topic)) == 1:
            (rule,) = _rules(files[0], topic)
            code = run_code(rule, topic, self.context, self.allowed, _reading(files[0], topic))
            return code, (rule.name, rule.events[0])
        views = tuple(self._view(file, topic, alone=len(files) == 1) for file in files)
        return _reads_in_views(views, self.context.kept_bytes), ("", "")

    def _view(self, file: RuleFile, topic: str, *, alone: bool) -> _View:
        """Compile one file for a topic."""
        running = [
            _RunningRule(
                rule_code(rule, topic, self.context, self.allowed),
                rule.final,
                None if rule.when is None else _named_path(rule.when.program.comparison),
                named(rule, "tombstone"),
            )
            for rule in _rules(file, topic)
        ]
        return _View(
            files=() if alone else (PurePath(file.path).name,),
            reading=_reading(file, topic),
            select=selector(running),
            for_tombstones=tuple(rule for rule in running if rule.for_tombstones),
        )


RuleMapper = Callable[[Any, Args, Record, set[str]], tuple[bool, list[Event | Fault]]]
"""`(value, variables, record, keys)`: what one rule makes of one record, and whether its `when` was true.

`keys` are the keys of the rules' own that the record's events have so far.
"""


def rule_mapper(rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> RuleMapper:
    """Return what maps records by one rule of several, for tools."""
    code = rule_code(rule, topic, context, allowed)

    def map_one(value: Any, args: Args, record: Record, keys: set[str]) -> tuple[bool, list[Event | Fault]]:
        columns = Columns([], [], keys, Kept())
        taken = code(value, args, record, str(record.partition()), record.offset(), 0, columns)
        events = [_event(kind, body, expires) for _, kind, expires, body in columns.events if isinstance(body, bytes)]
        return taken, _in_order(events, columns.faults)

    return map_one


def _in_order(events: Sequence[Event], faults: Sequence[tuple[int, Fault, int]]) -> list[Event | Fault]:
    """One record's events and faults in order of rules and items."""
    made: list[Event | Fault] = list(events)
    for _, fault, before in reversed(faults):
        made.insert(before, fault)
    return made


class _RunningRule(NamedTuple):
    """A rule on one topic."""

    code: RuleCode
    final: bool
    head: Head | None
    for_tombstones: bool


class _View(NamedTuple):
    """A topic as one file reads it."""

    files: tuple[str, ...]
    """The file's name; none where it is the only one that reads the topic."""
    reading: TopicReading
    select: Callable[[Any], Sequence[_RunningRule]]
    for_tombstones: tuple[_RunningRule, ...]


def _rules(file: RuleFile, topic: str) -> list[Rule]:
    return [rule for rule in file.rules if rule.enabled and rule.selects(topic)]


def _reading(file: RuleFile, topic: str) -> TopicReading:
    given = file.reading(topic)
    reads = {name for rule in _rules(file, topic) for expression in rule.expressions for name in expression.reads}
    return TopicReading(
        decode=decoder(given.decode, snapshot=given.snapshot),
        is_json=given.decode == "json",
        may_be_snapshot=given.decode == "debezium" and not given.snapshot,
        make_args=args_maker(reads, key_json=given.key_json, unwrap_key=given.decode == "debezium"),
        reads_variables=given.key_json or not reads.isdisjoint(VARIABLES[:7]),
        unmatched=_UNMATCHED if given.unmatched_dead_letter else None,
    )


def _named_path(head: Any) -> Head | None:
    """Keep a comparison whose path is one of names, and not `.` itself."""
    if head is None or not head[0] or not all(isinstance(step, str) for step in head[0]):
        return None
    return (tuple(head[0]), head[1])


def _reads_in_views(views: Sequence[_View], kept_bytes: int) -> RunCode:
    """Return the loop over records that each view reads in turn."""
    keeps_unmatched = any(view.reading.unmatched is not None for view in views)
    map_one = _in_views(views)

    def run(
        records: Sequence[Record],
        offsets: Sequence[int],
        most: int,
        room: int,
        low: int = 0,
        high: float = kept_bytes,
        known: None = None,
    ) -> tuple[Any, ...]:
        columns = Columns([], [], set(), Kept(low, high))
        events, faults, keys, kept = columns
        unwanted: list[int] = []
        partition = str(records[0].partition()) if records else ""
        at = -1
        for record, offset in zip(records, offsets, strict=True):
            at += 1
            had, failed, before = len(events), len(faults), kept.size
            taken = True
            try:
                taken = map_one(record.value(), record, partition, offset, at, columns, None)
            except Exception as error:  # noqa: BLE001 - a bug is a fault of the record, not of the process
                del events[had:], faults[failed:]
                kept.size = before
                faults.append((at, bug(error), had))
            if keys:
                keys.clear()
            if len(events) > had:
                if kept.size > room or kept.size >= high or len(events) >= most:
                    break
            elif len(faults) == failed:
                if keeps_unmatched and not taken:
                    faults.append((at, _UNMATCHED, had))
                else:
                    unwanted.append(at)
        places, kinds, expires, bodies = zip(*events, strict=True) if events else ((), (), (), ())
        return bodies, unwanted, faults, kept.size, places, kinds, expires

    return run


def _remade(
    run: RunCode,
    kind: Kind,
    made: tuple[Any, ...],
    records: Sequence[Record],
    offsets: Sequence[int],
    mapping: CompiledMapping,
) -> Remade:
    """The bodies of a run whose last record fanned out far: not all of them are kept."""
    bodies, _, faults, _, places, kinds, expires = made
    at, kept_bytes = places[-1], mapping.context.kept_bytes
    record, offset = records[at], offsets[at]
    first = places.index(at)
    known = None
    if kind[0]:
        # The only rule: each of the record's items has an event or a fault.
        failed = {fault.item for place, fault, _ in faults if place == at and fault.item is not None}
        sizes = [len(body) if isinstance(body, bytes) else body for body in reversed(bodies[first:])]
        known = [None if item in failed else sizes.pop() for item in range(len(sizes) + len(failed))]

    def again(low: int) -> Sequence[bytes | int]:
        found: Sequence[bytes | int] = run((record,), (offset,), 1, 0, low, low + kept_bytes, known)[0]
        return found

    def event(place: int, body: bytes) -> Event:
        return _event(kind if kinds is None else kinds[place], body, None if expires is None else expires[place])

    return Remade.of(bodies, first, kept_bytes, again, event, mapping.recent)


_InView = Callable[[bytes | None, Record, str, int, int, Columns, "dict[Decoder, Any] | None"], bool]
"""`(raw value, record, partition, offset, place, columns, decoded)`: maps one record as one file reads it.

Returns whether a rule took it, or it was not to be mapped. `decoded` is what other files read in the same way.
"""


def _in_views(views: Sequence[_View]) -> _InView:
    if len(views) == 1:
        return _in_view(views[0])
    mappers = [_in_view(view) for view in views]

    def map_one(
        raw: bytes | None, record: Record, partition: str, offset: int, at: int, columns: Columns, _: Any
    ) -> bool:
        decoded: dict[Decoder, Any] = {}
        taken = [mapper(raw, record, partition, offset, at, columns, decoded) for mapper in mappers]
        return any(taken)

    return map_one


def _in_view(view: _View) -> _InView:
    select, for_tombstones = view.select, view.for_tombstones
    decode, make_args = view.reading.decode, view.reading.make_args

    def map_one(
        raw: bytes | None,
        record: Record,
        partition: str,
        offset: int,
        at: int,
        columns: Columns,
        decoded: dict[Decoder, Any] | None,
    ) -> bool:
        taken = raw is None
        if raw is None and not for_tombstones:
            return True
        try:
            if raw is None:
                value = None
            elif decoded is None:
                value = decode(raw, record)
            else:
                value = _shared(decoded, decode, raw, record)
            args = make_args(record)
        except MapError as problem:
            _unreadable(problem, view, at, columns)
            return True
        if value is SNAPSHOT:
            return True
        for rule in for_tombstones if raw is None else select(value):
            if rule.code(value, args, record, partition, offset, at, columns):
                taken = True
                if rule.final:
                    break
        return taken

    return map_one


def _shared(decoded: dict[Decoder, Any], decode: Decoder, raw: bytes, record: Record) -> Any:
    """Return a record's value; files that read a topic alike read it once. Raises MapError."""
    if decode not in decoded:
        try:
            decoded[decode] = decode(raw, record)
        except MapError as problem:
            decoded[decode] = problem
    if type(decoded[decode]) is MapError:
        raise decoded[decode]
    return decoded[decode]


def _unreadable(problem: MapError, view: _View, at: int, columns: Columns) -> None:
    """Add the fault of a record that cannot be read; once, though several files read it. It names them."""
    faults = columns.faults
    for number, (place, other, before) in enumerate(faults):
        if place == at and other.rule is None and other.code == problem.code:
            faults[number] = (at, other._replace(files=(*other.files, *view.files)), before)
            return
    faults.append((at, unreadable(problem, view.files), len(columns.events)))


def _mapped_run(
    kind: Kind,
    bodies: Sequence[bytes],
    unwanted: Sequence[int],
    faults: Sequence[tuple[int, Fault, int]],
    size: int,
    places: Sequence[int] | None,
    kinds: Sequence[Kind] | None,
    expires: Sequence[int | None] | None,
) -> MappedRun:
    entries = len(bodies) + len(unwanted) + len(faults)
    records = entries
    if places is not None:
        ends = [column[-1] for column in (places, unwanted, [place for place, _, _ in faults]) if column]
        records = 1 + max(ends, default=-1)
    return MappedRun(
        records=records,
        bodies=bodies,
        # As many entries as records: each record has just one.
        places=None if entries == records else places,
        unwanted=unwanted,
        faults=[(place, fault) for place, fault, _ in faults] if faults else (),
        expires=None if expires is None or expires.count(None) == len(expires) else expires,
        size=size,
        counts={kind: len(bodies)} if kinds is None else Counter(kinds),
        kinds=kinds,
        events=bodies.events if type(bodies) is Remade else lambda: _events(kind, bodies, kinds, expires),
    )


def _events(
    kind: Kind, bodies: Sequence[bytes], kinds: Sequence[Kind] | None, expires: Sequence[int | None] | None
) -> list[Event]:
    return [
        _event(kind if kinds is None else kinds[at], body, None if expires is None else expires[at])
        for at, body in enumerate(bodies)
    ]


def _event(kind: Kind, body: bytes, expires: int | None) -> Event:
    """What few ask for is read back from the body."""
    parts = loads(body)
    return Event(*kind, parts["distinct_id"], parts["$idempotency_key"], body, expires)
