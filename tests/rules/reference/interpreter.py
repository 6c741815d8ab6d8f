"""Rules, record by record, as one would explain them to a person. Slow on purpose; right is all it has to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import PurePath
from typing import Any

from bridge.flow import Event, Fault, Mapped, Mapper, MappingContext, Record, Stage
from bridge.jq import BudgetExceeded, EvalBudget, JqError, number_text
from bridge.jsontext import Fragment
from bridge.rules.map.body import exact_json
from bridge.rules.map.decode import SNAPSHOT, decoder
from bridge.rules.map.faults import FAULTS, MapError
from bridge.rules.map.key import derived_insert_id, key_maker
from bridge.rules.map.scope import Args, args_maker
from bridge.rules.map.slow_path import plain_reason
from bridge.rules.model import (
    AttachmentRule,
    Computed,
    Elements,
    Expression,
    Fields,
    Fixed,
    MixedText,
    Rule,
    RuleFile,
    RuleSet,
    Value,
    expressions_in,
)
from bridge.rules.name_patterns import recipient_filter
from bridge.suprsend.event import attachment, event_body
from bridge.suprsend.limits import (
    ATTACHMENTS,
    MAX_DISTINCT_ID_CHARS,
    MAX_KEY_CHARS,
    MAX_TENANT_CHARS,
    attachment_url_problem,
    reserved,
    time_ms,
)

NOTHING = object()
KINDS = {type(None): "null", bool: "a boolean", str: "text", list: "an array", dict: "an object"}
UNMATCHED = "No rule took this record, and its topic keeps such records."


def reference(ruleset: RuleSet, context: MappingContext, topic: str) -> Mapper:
    """What maps the records of a topic, one after the other."""
    files = [file for file in ruleset.files if file.names(topic) or rules_of(file, topic)]

    def map_record(record: Record) -> Mapped:
        results: list[Event | Fault] = []
        keys: set[str] = set()
        taken = False
        for file in files:
            named = () if len(files) == 1 else (PurePath(file.path).name,)
            rules = rules_of(file, topic)
            if record.value() is None:
                rules = [rule for rule in rules if any("tombstone" in part.reads for part in rule.expressions)]
                taken = True
                if not rules:
                    continue
            try:
                value, args = read(file, topic, record)
            except MapError as problem:
                add_unreadable(results, problem, named)
                taken = True
                continue
            if value is SNAPSHOT:
                taken = True
                continue
            for rule in rules:
                if Run(rule, topic, context, record, Seen(value, args, EvalBudget()), results, keys).made():
                    taken = True
                    if rule.final:
                        break
        if not results and not taken and any(file.reading(topic).unmatched_dead_letter for file in files):
            return [Fault(None, Stage.UNMATCHED, "unmatched", UNMATCHED, None, "dead_letter")]
        return results

    return map_record


def rules_of(file: RuleFile, topic: str) -> list[Rule]:
    return [rule for rule in file.rules if rule.enabled and rule.selects(topic)]


def read(file: RuleFile, topic: str, record: Record) -> tuple[Any, Args]:
    given, raw = file.reading(topic), record.value()
    value = None if raw is None else decoder(given.decode, snapshot=given.snapshot)(raw, record)
    reads = {name for rule in rules_of(file, topic) for part in rule.expressions for name in part.reads}
    return value, args_maker(reads, key_json=given.key_json, unwrap_key=given.decode == "debezium")(record)


def add_unreadable(results: list[Event | Fault], problem: MapError, named: tuple[str, ...]) -> None:
    for number, other in enumerate(results):
        if isinstance(other, Fault) and other.rule is None and other.code == problem.code:
            results[number] = other._replace(files=(*other.files, *named))
            return
    results.append(Fault(None, FAULTS[problem.code].stage, problem.code, problem.message, None, "dead_letter", named))


@dataclass
class Seen:
    """What expressions see: the value, the variables, and the budget that a rule has for a record."""

    value: Any
    args: Args
    budget: EvalBudget

    def with_item(self, item: Any, index: int) -> Seen:
        return Seen(self.value, (*self.args[:7], item, index), self.budget)


@dataclass
class Run:
    """One rule and one record."""

    rule: Rule
    topic: str
    context: MappingContext
    record: Record
    seen: Seen
    results: list[Event | Fault]
    keys: set[str]
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    key: str | None = None
    """The key of the item that is being made, once it has one."""

    def made(self) -> bool:
        """Add what the rule makes; returns whether its `when` was true."""
        rule = self.rule
        try:
            if rule.when is not None and not condition(rule.when, self.seen):
                return False
        except MapError as problem:
            self.fail(problem, None)
            return False
        try:
            items = [self.seen] if rule.for_each is None else list(self.items(rule.for_each))
        except MapError as problem:
            self.fail(problem, None)
            return True
        for index, item in enumerate(items):
            self.key = None
            try:
                self.results.append(self.event(item))
            except MapError as problem:
                self.fail(problem, None if rule.for_each is None else index)
        return True

    def fail(self, problem: MapError, item: int | None) -> None:
        stage = FAULTS[problem.code].stage
        on_error = "drop" if problem.code == "recipient_not_allowed" else self.rule.on_error
        key = None if item is None else self.key
        fault = Fault(self.rule.name, stage, problem.code, problem.message, item, on_error, item_key=key)
        self.results.append(fault)

    def items(self, expression: Expression) -> Iterator[Seen]:
        made = outputs(expression, self.seen)
        if any(isinstance(item, list) for item in made):
            message = f"{where(expression)} gave a list as one item; write [] behind it, as in .mentions[]."
            raise MapError("fan_out_list", message)
        if len(made) > self.rule.max_fan_out:
            message = f"{where(expression)} gave {len(made)} items; max_fan_out is {self.rule.max_fan_out}."
            raise MapError("fan_out_too_large", message)
        return (self.seen.with_item(item, index) for index, item in enumerate(made))

    def event(self, seen: Seen) -> Event:
        """The order of all that may fail is this one, and no other: keys and dead letters come of it."""
        rule, timestamp = self.rule, self.record.timestamp()[1]
        name = required("event", rule.event, seen, None, integers=False)
        if not isinstance(rule.event, Fixed) and name not in rule.events:
            message = f"The event's name came out as none of the {len(rule.events)} in `events` of the rule."
            raise MapError("event_not_listed", message)
        recipient = required("distinct_id", rule.distinct_id, seen, MAX_DISTINCT_ID_CHARS, integers=True)
        if not recipient_filter(self.context.only_recipients)(recipient):
            raise MapError("recipient_not_allowed", "The recipient is not among delivery.only_recipients.")
        key, insert_id = self.keyed(seen, name, recipient)
        self.key = key
        tenant = optional("tenant_id", rule.tenant_id, seen, MAX_TENANT_CHARS)
        made = exact_json(properties(rule, seen), drop_nulls=rule.drop_nulls)
        try:
            body = event_body(
                insert_id=insert_id,
                time_ms=time_ms(timestamp),
                name=name,
                env=self.context.env,
                distinct_id=recipient,
                properties=Fragment(made),  # type: ignore[arg-type]
                key=key,
                tenant=tenant,
            )
        except (TypeError, ValueError):
            raise bad_text() from None
        if len(body) > self.context.max_event_bytes:
            message = f"The event has {len(body)} bytes; the limit is {self.context.max_event_bytes}."
            raise MapError("event_too_large", message)
        max_age = rule.max_age_ms if rule.max_age_ms is not None else self.context.max_age_ms
        return Event(
            rule.name, name, recipient, key, body, None if max_age is None or timestamp < 0 else timestamp + max_age
        )

    def keyed(self, seen: Seen, name: str, recipient: str) -> tuple[str, str]:
        own = optional("idempotency_key", self.rule.idempotency_key, seen, MAX_KEY_CHARS)
        if own is not None and own in self.keys:
            raise MapError("duplicate_key", "Another event of this record has the same idempotency key.")
        try:
            if own is not None:
                self.keys.add(own)
                return own, derived_insert_id(own)
            n = self.numbers.get((name, recipient), 0)
            self.numbers[name, recipient] = n + 1
            make = key_maker(self.context.namespace, self.topic, self.rule.identity, name)
            key = make(self.record.partition(), self.record.offset(), self.record.timestamp()[1], recipient, n)
        except UnicodeEncodeError:
            raise bad_text() from None
        return key, key


def bad_text() -> MapError:
    return MapError("bad_text", "A text of the event holds half of a surrogate pair.")


def kind_of(value: Any) -> str:
    return KINDS.get(type(value), "a number")


def where(expression: Expression) -> str:
    place = expression.place()
    return f"{expression.label} ({PurePath(expression.path).name}:{place.line}:{place.column})"


def name_of(label: str, value: Value) -> str:
    expression = next(expressions_in(value), None)
    return label if expression is None else where(expression)


def outputs(expression: Expression, seen: Seen) -> list[Any]:
    try:
        return list(expression.program.run(seen.value, seen.args, seen.budget))
    except BudgetExceeded as error:
        message = f"{where(expression)} took more work than one record may cost: {error}."
        raise MapError("budget_exceeded", message) from None
    except JqError as error:
        raise MapError("expression_failed", f"{where(expression)} failed: {plain_reason(str(error))}.") from None


def one_of(expression: Expression, seen: Seen, advice: str = "") -> Any:
    """The one output; of outputs, only those beyond the first are charged."""
    left = seen.budget.outputs
    seen.budget.outputs += 1
    made = outputs(expression, seen)
    if len(made) > 1:
        message = f"{where(expression)} gave {len(made)} values where one is wanted{advice}."
        raise MapError("several_outputs", message)
    seen.budget.outputs = left
    return made[0] if made else NOTHING


def condition(expression: Expression, seen: Seen) -> bool:
    made = one_of(expression, seen, "; use any(…) or all(…)")
    if made is True:
        return True
    if made is False or made is None or made is NOTHING:
        return False
    raise MapError("when_type", f"{where(expression)} gave {kind_of(made)}, not true or false; compare it.")


def value_of(value: Value, seen: Seen) -> Any:
    if isinstance(value, Fixed):
        return value.value
    if isinstance(value, Computed):
        return one_of(value.expression, seen)
    if isinstance(value, MixedText):
        return "".join(part if isinstance(part, str) else part_text(part, seen) for part in value.parts)
    if isinstance(value, Fields):
        made = [(name, value_of(part, seen)) for name, part in value.entries]
        return {name: part for name, part in made if part is not NOTHING}
    assert isinstance(value, Elements)
    return [part for item in value.values if (part := value_of(item, seen)) is not NOTHING]


def part_text(expression: Expression, seen: Seen) -> str:
    value, place = one_of(expression, seen), where(expression)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if not isfinite(value):
            raise MapError("not_finite", f"{place} gave infinity or NaN, which JSON cannot hold.")
        return number_text(value)
    if value is NOTHING:
        raise MapError("text_nothing", f'{place} gave nothing in the middle of text; write a default: // "…".')
    if value is None:
        raise MapError("text_null", f'{place} gave null in the middle of text; write a default: // "…".')
    message = f"{place} gave {kind_of(value)} in the middle of text; write a path into it, or | tojson."
    raise MapError("text_container", message)


def required(label: str, value: Value, seen: Seen, longest: int | None, *, integers: bool) -> str:
    if isinstance(value, Fixed):
        return str(value.value).strip()
    made, named = value_of(value, seen), name_of(label, value)
    if made is NOTHING:
        raise MapError("nothing", f"{named} came out as nothing.")
    return kept(named, text_of(named, made, integers=integers), longest)


def optional(label: str, value: Value | None, seen: Seen, longest: int) -> str | None:
    if value is None:
        return None
    made, named = value_of(value, seen), name_of(label, value)
    return None if made is NOTHING else kept(named, text_of(named, made, integers=True), longest)


def text_of(named: str, value: Any, *, integers: bool) -> str:
    if isinstance(value, str):
        if not value.strip():
            raise MapError("blank", f"{named} is blank.")
        return value.strip()
    if value is None:
        raise MapError("null", f"{named} is null.")
    whole = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value == int(value)
    if integers and whole:
        return number_text(value)
    raise MapError("wrong_type", f"{named} is {kind_of(value)}, not text.")


def kept(named: str, text: str, longest: int | None) -> str:
    if longest is not None and len(text) > longest:
        raise MapError("too_long", f"{named} has {len(text)} characters; SuprSend takes at most {longest}.")
    return text


def properties(rule: Rule, seen: Seen) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for layer in rule.properties:
        if isinstance(layer, Computed):
            lay_object(layer.expression, seen, made)
            continue
        for name, part in layer.entries:
            value = value_of(part, seen)
            if value is NOTHING:
                made.pop(name, None)
            else:
                made[name] = value
    attached = attachments(rule, seen)
    if attached:
        made[ATTACHMENTS] = attached
    return made


def lay_object(expression: Expression, seen: Seen, made: dict[str, Any]) -> None:
    value = one_of(expression, seen)
    if value is NOTHING:
        return
    if not isinstance(value, dict):
        raise MapError("wrong_type", f"{where(expression)} gave {kind_of(value)}, not an object.")
    if any(map(reserved, value)):
        message = f"{where(expression)} gave a property whose name begins with $ or ss_; rename it."
        raise MapError("property_name", message)
    made.update(value)


def attachments(rule: Rule, seen: Seen) -> list[dict[str, Any]]:
    if isinstance(rule.attachments, Computed):
        items = one_of(rule.attachments.expression, seen)
        if items is NOTHING or items is None:
            return []
        if not isinstance(items, list):
            raise MapError("attachment", f"attachments came out as {kind_of(items)}, not a list.")
        return [from_object(f"attachments[{number}]", item) for number, item in enumerate(items)]
    made = (listed(f"attachments[{number}]", one, seen) for number, one in enumerate(rule.attachments))
    return [one for one in made if one is not None]


def listed(named: str, given: AttachmentRule, seen: Seen) -> dict[str, Any] | None:
    url = value_of(given.url, seen)
    if url is NOTHING:
        return None
    rest = [NOTHING if part is None else value_of(part, seen) for part in (given.filename, given.ignore_if_error)]
    return checked(named, url, *rest)


def from_object(named: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or "url" not in item:
        message = f"{named} came out as {kind_of(item)} without a url; make {{url, filename, ignore_if_error}}."
        raise MapError("attachment", message)
    if not item.keys() <= {"url", "filename", "ignore_if_error"}:
        message = f"{named} has an unknown key; an attachment has url, filename and ignore_if_error."
        raise MapError("attachment", message)
    return checked(named, item["url"], item.get("filename", NOTHING), item.get("ignore_if_error", NOTHING))


def checked(named: str, url: Any, filename: Any, ignore: Any) -> dict[str, Any]:
    address = text_of(f"{named}.url", url, integers=False)
    problem = attachment_url_problem(address)
    if problem is not None:
        raise MapError("attachment_url", f"{named}: {problem}.")
    name = None if filename is NOTHING else text_of(f"{named}.filename", filename, integers=True)
    if ignore is NOTHING:
        return attachment(address, name)
    if not isinstance(ignore, bool):
        raise MapError("wrong_type", f"{named}.ignore_if_error is {kind_of(ignore)}, not true or false.")
    return attachment(address, name, ignore)
