"""One event of a rule: its name, recipient, key, tenant and properties, laid out as the bytes that are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from bridge.flow import Event, MappingContext
from bridge.jsontext import Fragment
from bridge.rules.map.body import exact_json
from bridge.rules.map.faults import MapError
from bridge.rules.map.key import derived_insert_id, key_maker
from bridge.rules.map.makers import optional_text, required_text
from bridge.rules.map.properties import properties_maker
from bridge.rules.map.scope import Scope
from bridge.rules.model import Fixed, Rule
from bridge.suprsend.event import event_body
from bridge.suprsend.limits import MAX_DISTINCT_ID_CHARS, MAX_KEY_CHARS, MAX_TENANT_CHARS, time_ms

__all__ = ["Allowed", "Coordinates", "MakeEvent", "Numbering", "event_maker", "laid_out"]

Coordinates = tuple[int, int, int]
"""Partition, offset and timestamp (ms, -1 where there is none) of a record."""

Numbering = dict[tuple[str, str], int]
"""How often each (event, distinct_id) of one rule and record was seen."""

Allowed = Callable[[str], bool]
"""Whether a recipient may get events (`delivery.only_recipients`)."""

MakeEvent = Callable[[Scope, Coordinates, Numbering, set[str]], Event]


def event_maker(rule: Rule, topic: str, context: MappingContext, allowed: Allowed) -> MakeEvent:
    """Return what makes the event of one item (or of the record); it raises MapError, and nothing else."""
    make_name = _event_name(rule)
    make_recipient = required_text("distinct_id", rule.distinct_id, integers=True, longest=MAX_DISTINCT_ID_CHARS)
    make_tenant = optional_text("tenant_id", rule.tenant_id, MAX_TENANT_CHARS)
    make_properties = properties_maker(rule)
    make_key = _key(rule, topic, context)
    max_age = rule.max_age_ms if rule.max_age_ms is not None else context.max_age_ms

    def make(scope: Scope, place: Coordinates, numbering: Numbering, keys: set[str]) -> Event:
        name = make_name(scope)
        recipient = make_recipient(scope)
        if not allowed(recipient):
            raise MapError("recipient_not_allowed", "The recipient is not among delivery.only_recipients.")
        key, insert_id = make_key(scope, place, name, recipient, numbering, keys)
        try:
            tenant = make_tenant(scope)
            properties = exact_json(make_properties(scope), drop_nulls=rule.drop_nulls)
            body = laid_out(insert_id, place[2], name, context.env, recipient, properties, key, tenant)
            _check_size(body)
        except MapError as problem:
            problem.key = key
            raise
        expires = place[2] + max_age if max_age is not None and place[2] >= 0 else None
        return Event(rule.name, name, recipient, key, body, expires)

    def _check_size(body: bytes) -> None:
        if len(body) > context.max_event_bytes:
            message = f"The event has {len(body)} bytes; the limit is {context.max_event_bytes}."
            raise MapError("event_too_large", message)

    return make


def laid_out(
    insert_id: str,
    timestamp: int,
    name: str,
    env: str,
    recipient: str,
    properties: bytes,
    key: str,
    tenant: str | None,
) -> bytes:
    """Lay out an event's JSON around properties that are JSON already; raises MapError (`bad_text`)."""
    try:
        return event_body(
            insert_id=insert_id,
            time_ms=time_ms(timestamp),
            name=name,
            env=env,
            distinct_id=recipient,
            properties=cast("Mapping[str, object]", Fragment(properties)),
            key=key,
            tenant=tenant,
        )
    except (TypeError, ValueError):
        raise _bad_text() from None


def _bad_text() -> MapError:
    return MapError("bad_text", "A text of the event holds half of a surrogate pair.")


def _event_name(rule: Rule) -> Callable[[Scope], str]:
    if isinstance(rule.event, Fixed):
        fixed = str(rule.event.value)
        return lambda _scope: fixed
    make = required_text("event", rule.event, integers=False)
    listed = frozenset(rule.events)

    def name(scope: Scope) -> str:
        made = make(scope)
        if made not in listed:
            message = f"The event's name came out as none of the {len(listed)} in `events` of the rule."
            raise MapError("event_not_listed", message)
        return made

    return name


MakeKey = Callable[[Scope, Coordinates, str, str, Numbering, set[str]], tuple[str, str]]
"""→ (key, `$insert_id`)"""


def _default_key(rule: Rule, topic: str, context: MappingContext) -> MakeKey:
    makers = {event: key_maker(context.namespace, topic, rule.identity, event) for event in rule.events}

    def make(
        _scope: Scope, place: Coordinates, name: str, recipient: str, numbering: Numbering, _keys: set[str]
    ) -> tuple[str, str]:
        n = numbering.get((name, recipient), 0)
        numbering[name, recipient] = n + 1
        try:
            key = makers[name](place[0], place[1], place[2], recipient, n)
        except UnicodeEncodeError:
            raise _bad_text() from None
        return key, key

    return make


def _key(rule: Rule, topic: str, context: MappingContext) -> MakeKey:
    """Return the maker of keys: the rule's own where it has one and it yields something, else the default."""
    default = _default_key(rule, topic, context)
    if rule.idempotency_key is None:
        return default
    make_text = optional_text("idempotency_key", rule.idempotency_key, MAX_KEY_CHARS)

    def make(
        scope: Scope, place: Coordinates, name: str, recipient: str, numbering: Numbering, keys: set[str]
    ) -> tuple[str, str]:
        key = make_text(scope)
        if key is None:
            return default(scope, place, name, recipient, numbering, keys)
        if key in keys:
            raise MapError("duplicate_key", "Another event of this record has the same idempotency key.")
        keys.add(key)
        try:
            return key, derived_insert_id(key)
        except UnicodeEncodeError:
            raise _bad_text() from None

    return make
