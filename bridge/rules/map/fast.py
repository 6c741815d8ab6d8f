"""One rule as one generated Python function, from the decoded value to the event's bytes: what nearly every record takes.

It is right or it raises: whatever it is not made for (an error, an odd type, two outputs, a blank text) leaves it by an
exception, and the general path (`rule_mapper`) does the same record again from the start and says what is wrong. So
every message and every rare case has one home, and the two can be compared record by record in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bridge.flow import Event, MappedRun, MappingContext, Record, RunMapper
from bridge.jq import JqProblem
from bridge.jsontext import dumps, loads
from bridge.rules.map.event_maker import Allowed
from bridge.rules.map.fast_values import ValueWriter
from bridge.rules.map.key import derived_insert_id, key_code, key_maker, key_parts
from bridge.rules.map.properties import checked_attachment, checked_attachments
from bridge.rules.map.scope import VARIABLES, Args
from bridge.rules.model import Expression, Fixed, Rule, Value
from bridge.suprsend.limits import ATTACHMENTS, MAX_DISTINCT_ID_CHARS, MAX_KEY_CHARS, MAX_TENANT_CHARS, MIN_TIME_MS

__all__ = ["FanOut", "Fast", "Straight", "fast_rule", "fast_run"]


class Straight(NamedTuple):
    """A rule without `for_each`.

    `make(value, args, record)` gives the event, or None where `when` is false, or raises any Exception to ask for the
    general path; call `reset` then. The function keeps its budget over many records, half of what one record may
    cost: when it runs out, the general path decides with a whole one. So no result depends on the records before.
    """

    make: Callable[[Any, Args, Record], Event | None]
    reset: Callable[[], None]


class FanOut(NamedTuple):
    """A rule with `for_each`: the items of a record (None where `when` is false), and the event of one of them.

    `make(value, args, record, item, index, seen)`, where `seen` counts equal (event, distinct_id) of the record.
    """

    items: Callable[[Any, Args], list[Any] | None]
    make: Callable[[Any, Args, Record, Any, int, dict[tuple[str, str], int]], Event]
    reset: Callable[[], None]


Fast = Straight | FanOut


def fast_rule(rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> Fast | None:
    """Generate the function of a rule on a topic, or None where that cannot be done (its code would be too large)."""
    try:
        writer = _Writer(rule, topic, context, allowed)
        return writer.straight() if rule.for_each is None else writer.fan_out()
    except (JqProblem, RecursionError):
        return None


def fast_run(rule: Rule, topic: str, context: MappingContext, allowed: Allowed, args: Args) -> RunMapper | None:
    """Generate the function of a topic's only rule over whole runs of records, or None where that cannot be done.

    Only for rules whose events have one name and do not expire, and that read nothing of a record but its value.
    """
    max_age = rule.max_age_ms if rule.max_age_ms is not None else context.max_age_ms
    if rule.for_each is not None or not isinstance(rule.event, Fixed) or max_age is not None:
        return None
    try:
        return _Writer(rule, topic, context, allowed).run(args)
    except (JqProblem, RecursionError):
        return None


class _Made(NamedTuple):
    """The Python names of an event's parts."""

    name: str
    recipient: str
    key: str
    body: str
    size: str


def _run_mapper(rule: Rule, make: Callable[..., Any], args: Args) -> RunMapper:
    kind = (rule.name, rule.events[0])

    def map_run(records: Sequence[Record], offsets: Sequence[int], most: int, room: int) -> MappedRun:
        unwanted, bodies, size, _ = make(records, offsets, most, room, args)
        count = len(bodies)
        return MappedRun(
            count + len(unwanted), bodies, None, unwanted, (), None, size, {kind: count}, lambda: _events(*kind, bodies)
        )

    return map_run


def _events(rule: str, name: str, bodies: list[bytes]) -> list[Event]:
    """What few ask for is read back from the bodies."""
    parts = [loads(body) for body in bodies]
    return [
        Event(rule, name, part["distinct_id"], part["$idempotency_key"], body, None)
        for part, body in zip(parts, bodies, strict=True)
    ]


class _Writer:
    """Writes the code of one rule."""

    def __init__(self, rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> None:
        self.rule = rule
        self.topic = topic
        self.context = context
        self.allowed = allowed
        self.values = ValueWriter()
        self.code = self.values.code
        self._place = "f'{record.partition()}:{record.offset()}'"
        """The text `partition:offset`, as an expression."""
        self._always: set[str] = set()
        """Names of optional texts that are never left out."""

    def straight(self) -> Straight:
        with self.code.function("rule(v, A, record)"):
            self._enter(self.rule.expressions, {})
            self.values.needs_object([self.rule.when] if self.rule.when is not None else self.rule.expressions)
            self._when("return None")
            self._return(self._event(n="0"))
        return Straight(self.code.build("rule"), self.values.budget.reset)

    def fan_out(self) -> FanOut:
        assert self.rule.for_each is not None
        with self.code.function("items(v, A)"):
            self._enter([part for part in (self.rule.when, self.rule.for_each) if part is not None], {})
            self._when("return None")
            self.code.line(f"return {self.values.outputs(self.rule.for_each)}")
        with self.code.function("event(v, A, record, item, number, seen)"):
            self._enter(self.rule.expressions, {"item": "item", "index": "number"})
            self._return(self._event(n=None))
        return FanOut(self.code.build("items"), self.code.build("event"), self.values.budget.reset)

    def run(self, args: Args) -> RunMapper:
        """Write the loop over records: it ends with enough of them, or before the first that it is not made for."""
        line, block = self.code.line, self.code.block
        self._place = "f'{partition}:{offset}'"
        with self.code.function("run(records, offsets, most, room, A)"):
            line("size = full = 0")
            line("unwanted = []")
            line("bodies = []")
            line("partition = str(records[0].partition())")
            with (
                block("try", whole_inputs=True),
                block("for record, offset in zip(records, offsets, strict=True)", whole_inputs=True),
            ):
                self._record_of_run()
            with block("except Exception"):
                line("B.reset()")
            line("return unwanted, bodies, size, full")
        return _run_mapper(self.rule, self.code.build("run"), args)

    def _record_of_run(self) -> None:
        line, rule = self.code.line, self.rule
        unwanted = "unwanted.append(len(unwanted) + len(bodies)); continue"
        line("raw = record.value()")
        line(f"if raw is None: {unwanted}")
        line(f"v = {self.code.thing(loads)}(raw)")
        self._enter(rule.expressions, {})
        self.values.needs_object([rule.when] if rule.when is not None else rule.expressions)
        self._when(unwanted)
        made = self._event(n="0")
        line(f"{made.size} += size + 1")
        with self.code.block(f"if {made.size} > room"):
            line("full = True")
            line("break")
        line(f"size = {made.size}")
        line(f"bodies.append({made.body})")
        line("if len(bodies) >= most: break")

    def _return(self, made: _Made) -> None:
        """Write that the function returns the event."""
        rule, thing = self.rule, self.code.thing
        max_age = rule.max_age_ms if rule.max_age_ms is not None else self.context.max_age_ms
        expires = "None" if max_age is None else f"(ts + {max_age} if ts >= 0 else None)"
        event = f"({self.code.const(rule.name)}, {made.name}, {made.recipient}, {made.key}, {made.body}, {expires})"
        self.code.line(f"return {thing(tuple.__new__)}({thing(Event)}, {event})")

    def _enter(self, expressions: Sequence[Expression], names: dict[str, str]) -> None:
        """Begin a function: bind the variables that are read to names of it."""
        reads = {name for expression in expressions for name in expression.reads}
        bound = {name: self.values.keep(f"A[{n}]") for n, name in enumerate(VARIABLES[:7]) if name in reads}
        rest = {name: "None" for name in VARIABLES if name not in bound}
        self.values.enter({**rest, **bound, **names}, expressions[0].defs if expressions else None)

    def _when(self, otherwise: str) -> None:
        when = self.rule.when
        if when is None:
            return
        if self.values.returns_unless(when, otherwise):
            return
        name = self.values.computed(when)
        with self.code.block(f"if {name} is not True"):
            self.code.line(f"if {name} is False or {name} is None or {name} is NOTHING: {otherwise}")
            self.code.line("raise Again")

    def _event(self, n: str | None) -> _Made:
        """Write an event's parts; whatever of it is not plain leaves by an exception."""
        rule, thing, line = self.rule, self.code.thing, self.code.line
        self.values.prefetch(rule.expressions)
        name = self._name()
        recipient = self._text(rule.distinct_id, integers=True, longest=MAX_DISTINCT_ID_CHARS)
        if self.context.only_recipients:
            line(f"if not {thing(self.allowed)}({recipient}): raise Again")
        tenant = None if rule.tenant_id is None else self._optional(rule.tenant_id, MAX_TENANT_CHARS)
        properties = self._properties()
        line("ts = record.timestamp()[1]")
        insert_id, key = self._key(name, recipient, n)
        body = self._body(insert_id, name, recipient, properties, key, tenant)
        size = self.values.keep(f"len({body})")
        line(f"if {size} > {self.context.max_event_bytes}: raise Again")
        return _Made(name, recipient, key, body, size)

    def _name(self) -> str:
        if isinstance(self.rule.event, Fixed):
            return self.code.const(self.rule.event.value)
        name = self._text(self.rule.event, integers=False)
        self.code.line(f"if {name} not in {self.code.thing(frozenset(self.rule.events))}: raise Again")
        return name

    def _text(self, value: Value, *, integers: bool, longest: int | None = None) -> str:
        """Write trimmed text that is not blank; an integer may stand for it where `integers` says so."""
        if isinstance(value, Fixed):
            return self.code.const(str(value.value))
        self.values.needs_objects(value)
        name = self.values.text(value, integers=integers)
        trimmed = self.values.keep(f"{name}.strip()")
        too_long = "" if longest is None else f" or len({trimmed}) > {longest}"
        self.code.line(f"if not {trimmed}{too_long}: raise Again")
        return trimmed

    def _optional(self, value: Value, longest: int) -> str:
        """Write text that may be left out: the name holds None then."""
        if isinstance(value, Fixed):
            return self.code.const(str(value.value))
        self.values.needs_objects(value)
        made, may_be_nothing = self.values.value(value, level=None)
        name = self.code.name("o")
        if not may_be_nothing:
            self._short_text(name, made, longest)
            self._always.add(name)
            return name
        self.code.line(f"{name} = None")
        with self.code.block(f"if {made} is not NOTHING"):
            self._short_text(name, made, longest)
        return name

    def _short_text(self, name: str, made: str, longest: int) -> None:
        text = self.values.as_text(made, integers=True)
        self.code.line(f"{name} = {text}.strip()")
        self.code.line(f"if not {name} or len({name}) > {longest}: raise Again")

    def _key(self, name: str, recipient: str, n: str | None) -> tuple[str, str]:
        """Write the `$insert_id` and the key."""
        if self.rule.idempotency_key is None:
            key = self.values.keep(self._default_key(name, recipient, n))
            return key, key
        own = self._optional(self.rule.idempotency_key, MAX_KEY_CHARS)
        insert_id = self.code.name("i")
        with self.code.block(f"if {own} is None"):
            self.code.line(f"{insert_id} = {own} = {self._default_key(name, recipient, n)}")
        with self.code.block("else"):
            self.code.line(f"{insert_id} = {self.code.thing(derived_insert_id)}({own})")
        return insert_id, own

    def _default_key(self, name: str, recipient: str, n: str | None) -> str:
        rule, namespace = self.rule, self.context.namespace
        if n is None:
            pair = self.values.keep(f"({name}, {recipient})")
            n = self.values.keep(f"seen.get({pair}, 0)")
            self.code.line(f"seen[{pair}] = {n} + 1")
        if isinstance(rule.event, Fixed) and recipient.isidentifier():
            parts = key_parts(namespace, self.topic, rule.identity, rule.events[0])
            *lines, key = key_code(parts, self.code.thing(parts.begun), self._place, n, recipient)
            for text in lines:
                self.code.line(text)
            return key
        makers = {event: key_maker(namespace, self.topic, rule.identity, event) for event in rule.events}
        return f"{self.code.thing(makers)}[{name}](record.partition(), record.offset(), ts, {recipient}, {n})"

    def _properties(self) -> str:
        """Write all properties: the name of what the serialiser prints right."""
        rule = self.rule
        whole, right = self.values.properties(rule.properties, drop_nulls=rule.drop_nulls)
        if rule.attachments:
            attached = self._attachments()
            self.code.line(f"if {attached}: {whole}[{ATTACHMENTS!r}] = {attached}")
        return whole if right else self.values.finished(whole, drop_nulls=rule.drop_nulls)

    def _attachments(self) -> str:
        attachments = self.rule.attachments
        if not isinstance(attachments, tuple):
            made = self.values.computed(attachments.expression)
            return self.values.keep(f"{self.code.thing(checked_attachments)}({made})")
        name = self.values.keep("[]")
        for number, item in enumerate(attachments):
            url, may_be_nothing = self.values.value(item.url, level=None)
            with self.code.block(f"if {url} is not NOTHING" if may_be_nothing else "if True"):
                parts = [
                    "NOTHING" if part is None else self.values.value(part, level=None)[0]
                    for part in (item.filename, item.ignore_if_error)
                ]
                checked = self.code.thing(checked_attachment)
                self.code.line(f"{name}.append({checked}('attachments[{number}]', {url}, {', '.join(parts)}))")
        return name

    def _body(self, insert_id: str, name: str, recipient: str, properties: str, key: str, tenant: str | None) -> str:
        """Write the layout of `bridge.suprsend.event.event_body`, in its order (a test holds the two together)."""
        env = self.code.const(self.context.env)
        fields = (
            f"'$insert_id': {insert_id}, '$time': ts if ts >= {MIN_TIME_MS} else {MIN_TIME_MS}, 'event': {name}, "
            f"'env': {env}, 'distinct_id': {recipient}, 'properties': {properties}, '$idempotency_key': {key}"
        )
        if tenant is None or tenant in self._always or tenant.startswith(("'", '"')):
            whole = f"{{{fields}}}" if tenant is None else f"{{{fields}, 'tenant_id': {tenant}}}"
        else:
            whole = self.values.keep(f"{{{fields}}}")
            self.code.line(f"if {tenant} is not None: {whole}['tenant_id'] = {tenant}")
        return self.values.keep(f"{self.code.thing(dumps)}({whole})")
