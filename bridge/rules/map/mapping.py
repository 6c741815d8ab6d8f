"""Compiled rules: `Mapping.for_topic(topic)` is the function from a record to its events and faults.

Pure: no clock, no I/O; a mapper is for one thread at a time (each thread asks for its own).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from bridge.flow import Event, Fault, Mapped, Mapper, MappingContext, PlainRecord, Record, RuleInfo, RunMapper, Stage
from bridge.jsontext import loads
from bridge.rules.map.decode import SNAPSHOT, Decoder, decoder
from bridge.rules.map.dispatch import Head, selector
from bridge.rules.map.event_maker import Allowed
from bridge.rules.map.fast import Straight, fast_rule, fast_run
from bridge.rules.map.faults import FAULTS, MapError
from bridge.rules.map.quick_mapper import quick_mapper
from bridge.rules.map.rule_mapper import RuleMapper, rule_mapper
from bridge.rules.map.runs import by_record, quick_first
from bridge.rules.map.scope import VARIABLES, Args, args_maker
from bridge.rules.model import Rule, RuleFile, RuleSet, TopicRule
from bridge.rules.name_patterns import recipient_filter

__all__ = ["CompiledMapping", "compile_mapping"]

_FILTERED: Final[Mapped] = ()
_NO_RECORD: Final = PlainRecord("", 0, 0, None)
_UNMATCHED: Final = Fault(
    None,
    Stage.UNMATCHED,
    "unmatched",
    "No rule took this record, and its topic keeps such records.",
    None,
    "dead_letter",
)


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """All rules, compiled. Immutable; any thread may ask it for mappers."""

    rules_hash: str
    rules: tuple[RuleInfo, ...]
    files: tuple[RuleFile, ...]
    context: MappingContext
    allowed: Allowed
    generate: bool = True

    def mapper(self, topic: str) -> Mapper:
        """Return the mapper of a topic's records. It never raises; a topic that no rule selects is filtered."""
        files = [file for file in self.files if _concerns(file, topic)]
        views = tuple(self._view(file, topic, alone=len(files) == 1) for file in files)
        return _mapper(views) if views else lambda _record: _FILTERED

    def for_topic(self, topic: str) -> RunMapper:
        """Return what maps runs of a topic's records."""
        files = [file for file in self.files if _concerns(file, topic)]
        quick = self._for_runs(files[0], topic) if len(files) == 1 and self.generate else None
        others = by_record(self.mapper(topic))
        return others if quick is None else quick_first(quick, others)

    def _for_runs(self, file: RuleFile, topic: str) -> RunMapper | None:
        """Generate it where one rule reads plain JSON, nothing but the value, and what no rule takes is filtered."""
        reading = file.reading(topic)
        rules = [rule for rule in file.rules if rule.enabled and rule.selects(topic)]
        if len(rules) != 1 or reading.decode != "json" or reading.unmatched_dead_letter:
            return None
        reads = _reads(rules[0])
        if _reads_record(reading, reads) or self.context.only_recipients:
            return None
        args = args_maker(reads, key_json=False, unwrap_key=False)(_NO_RECORD)
        return fast_run(rules[0], topic, self.context, self.allowed, args)

    def _view(self, file: RuleFile, topic: str, *, alone: bool) -> _View:
        """Compile one file for a topic."""
        reading: TopicRule = file.reading(topic)
        rules = [rule for rule in file.rules if rule.enabled and rule.selects(topic)]
        running = [self._running(rule, topic) for rule in rules]
        reads = {name for rule in rules for name in _reads(rule)}
        return _View(
            files=() if alone else (PurePath(file.path).name,),
            decode=decoder(reading.decode, snapshot=reading.snapshot),
            make_args=args_maker(reads, key_json=reading.key_json, unwrap_key=reading.decode == "debezium"),
            select=selector(running),
            only=running[0].make if len(running) == 1 else None,
            for_tombstones=tuple(rule for rule in running if rule.for_tombstones),
            unmatched_dead_letter=reading.unmatched_dead_letter,
            is_json=reading.decode == "json",
            reads_variables=_reads_record(reading, reads),
        )

    def _running(self, rule: Rule, topic: str) -> _RunningRule:
        run = rule_mapper(rule, topic, self.context, self.allowed)
        fast = fast_rule(rule, topic, self.context, self.allowed) if self.generate else None
        make = fast.make if isinstance(fast, Straight) else None
        head = None if rule.when is None else rule.when.program.comparison
        return _RunningRule(
            quick_mapper(rule, run, fast), make, rule.final, _named_path(head), "tombstone" in _reads(rule)
        )


def compile_mapping(ruleset: RuleSet, context: MappingContext, *, generate: bool = True) -> CompiledMapping:
    """Compile rules that were loaded without errors.

    Without `generate` every record takes the general path: the same results, slower (tests compare the two).
    Raises ValueError for an entry of `context.only_recipients` that is no pattern (`bridge.rules.name_patterns`).
    """
    infos = tuple(
        RuleInfo(rule.name, tuple(pattern.text for pattern in rule.topics), rule.events)
        for rule in ruleset.rules
        if rule.enabled
    )
    allowed = recipient_filter(context.only_recipients)
    return CompiledMapping(ruleset.hash, infos, ruleset.files, context, allowed, generate)


_Make = Callable[[Any, Args, Record], Event | None]


class _RunningRule(NamedTuple):
    """A rule on one topic."""

    run: RuleMapper
    make: _Make | None
    """Its generated function (`fast.Straight`), for a record that no other rule may want."""
    final: bool
    head: Head | None
    for_tombstones: bool


class _View(NamedTuple):
    """A topic as one file reads it."""

    files: tuple[str, ...]
    """The file's name; none where it is the only one that reads the topic."""
    decode: Decoder
    make_args: Callable[[Record], Args]
    select: Callable[[Any], Sequence[_RunningRule]]
    only: _Make | None
    """The generated function of the only rule, where it is one: its own `when` does what `select` would."""
    for_tombstones: tuple[_RunningRule, ...]
    unmatched_dead_letter: bool
    is_json: bool
    reads_variables: bool


def _concerns(file: RuleFile, topic: str) -> bool:
    return file.names(topic) or any(rule.enabled and rule.selects(topic) for rule in file.rules)


def _reads(rule: Rule) -> set[str]:
    return {name for expression in rule.expressions for name in expression.reads}


def _reads_record(reading: TopicRule, reads: set[str]) -> bool:
    """Whether more is read of a record than its value."""
    return reading.key_json or not reads.isdisjoint(VARIABLES[:7])


def _named_path(head: Any) -> Head | None:
    """Keep a comparison whose path is one of names, and not `.` itself."""
    if head is None or not head[0] or not all(isinstance(step, str) for step in head[0]):
        return None
    return (tuple(head[0]), head[1])


def _mapper(views: Sequence[_View]) -> Mapper:
    general = _guarded(_general_mapper(views))
    if len(views) == 1 and views[0].is_json:
        return _json_mapper(views[0], general)
    return general


def _json_mapper(view: _View, general: Mapper) -> Mapper:
    """Return the mapper of what nearly every topic is: JSON, read in one way. What is out of the way is `general`'s."""
    select, make_args = view.select, view.make_args
    fixed_args = None if view.reads_variables else make_args(_NO_RECORD)
    unmatched = (_UNMATCHED,) if view.unmatched_dead_letter else _FILTERED
    if view.only is not None and fixed_args is not None:
        return _only_rule_mapper(view.only, fixed_args, unmatched, general)

    def map_json(record: Record) -> Mapped:
        try:
            value = record.value()
            if value is None:
                return general(record)
            document = loads(value)
            args = make_args(record) if fixed_args is None else fixed_args
            rules = select(document)
            if len(rules) == 1 and (make := rules[0].make) is not None:
                event = make(document, args, record)
                return unmatched if event is None else [event]
            results: list[Event | Fault] = []
            taken = _run(rules, document, args, record, results, set())
            return results or (_FILTERED if taken else unmatched)  # noqa: TRY300 - it may raise before
        except Exception:  # noqa: BLE001 - whatever it is, the general path says it
            return general(record)

    return map_json


def _only_rule_mapper(make: _Make, args: Args, unmatched: Mapped, general: Mapper) -> Mapper:
    """Return the mapper of a topic of one rule that reads nothing but the value."""

    def map_value(record: Record) -> Mapped:
        try:
            event = make(loads(record.value()), args, record)  # type: ignore[arg-type] # a tombstone raises
        except Exception:  # noqa: BLE001 - whatever it is, the general path says it
            return general(record)
        return unmatched if event is None else [event]

    return map_value


def _general_mapper(views: Sequence[_View]) -> Mapper:
    keeps_unmatched = any(view.unmatched_dead_letter for view in views)

    def map_record(record: Record) -> Mapped:
        value = record.value()
        results: list[Event | Fault] = []
        keys: set[str] = set()
        taken = False
        for view in views:
            if value is None:
                taken |= _tombstone(view, record, results, keys)
            else:
                taken |= _value(view, value, record, results, keys)
        return results or ((_UNMATCHED,) if keeps_unmatched and not taken else _FILTERED)

    return map_record


def _guarded(mapper: Mapper) -> Mapper:
    """Make a mapper total even where the bridge itself is wrong: a bug is a fault of the record, not of the process."""

    def guarded(record: Record) -> Mapped:
        try:
            return mapper(record)
        except Exception as error:  # noqa: BLE001 - a mapper never raises, whatever the record
            message = f"The mapper failed ({type(error).__name__}): a bug of the bridge."
            return (Fault(None, Stage.MAP, "internal_error", message, None, "dead_letter"),)

    return guarded


def _value(view: _View, value: bytes, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
    """Map a record's value as one file reads it; returns whether a rule took it, or it was not to be mapped."""
    try:
        document = view.decode(value, record)
        args = view.make_args(record)
    except MapError as problem:
        _undecodable(problem, view, results)
        return True
    return document is SNAPSHOT or _run(view.select(document), document, args, record, results, keys)


def _tombstone(view: _View, record: Record, results: list[Event | Fault], keys: set[str]) -> bool:
    """Map a tombstone: only rules that name `$tombstone` see it, and it is never unmatched."""
    if view.for_tombstones:
        try:
            args = view.make_args(record)
        except MapError as problem:
            _undecodable(problem, view, results)
            return True
        _run(view.for_tombstones, None, args, record, results, keys)
    return True


def _run(
    rules: Sequence[_RunningRule], value: Any, args: Args, record: Record, results: list[Event | Fault], keys: set[str]
) -> bool:
    taken = False
    for rule in rules:
        if rule.run(value, args, record, results, keys):
            taken = True
            if rule.final:
                break
    return taken


def _undecodable(problem: MapError, view: _View, results: list[Event | Fault]) -> None:
    """Add the fault of a record that cannot be read; once, though several files read it. It names them."""
    for number, other in enumerate(results):
        if isinstance(other, Fault) and other.rule is None and other.code == problem.code:
            results[number] = other._replace(files=(*other.files, *view.files))
            return
    stage = FAULTS[problem.code].stage
    results.append(Fault(None, stage, problem.code, problem.message, None, "dead_letter", view.files))
