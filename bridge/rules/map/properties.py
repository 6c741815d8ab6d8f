"""An event's properties: layers of the rule and its defaults, attachments, and what SuprSend takes of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.rules.map.faults import MapError
from bridge.rules.map.makers import NOTHING, Maker, as_text, kind_of, maker, where
from bridge.rules.map.scope import Scope
from bridge.rules.model import AttachmentRule, Computed, Fields, Rule
from bridge.suprsend.event import attachment
from bridge.suprsend.limits import ATTACHMENTS, attachment_url_problem, reserved

__all__ = ["attachments_maker", "checked_attachment", "checked_attachments", "properties_maker"]

_ATTACHMENT_KEYS = frozenset({"url", "filename", "ignore_if_error"})


def properties_maker(rule: Rule) -> Callable[[Scope], dict[str, Any]]:
    """Return what makes all properties of one event of a rule, `$attachments` included."""
    layers = [_layer(layer) for layer in rule.properties]
    attachments = attachments_maker(rule.attachments) if rule.attachments else None

    def make(scope: Scope) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for layer in layers:
            layer(scope, made)
        if attachments is not None and (attached := attachments(scope)):
            made[ATTACHMENTS] = attached
        return made

    return make


def _layer(layer: Fields | Computed) -> Callable[[Scope, dict[str, Any]], None]:
    return _object_layer(layer) if isinstance(layer, Computed) else _fields_layer(layer)


def _fields_layer(layer: Fields) -> Callable[[Scope, dict[str, Any]], None]:
    makers = [(name, maker(value)) for name, value in layer.entries]

    def add(scope: Scope, made: dict[str, Any]) -> None:
        for name, make in makers:
            value = make(scope)
            if value is NOTHING:
                made.pop(name, None)
            else:
                made[name] = value

    return add


def _object_layer(layer: Computed) -> Callable[[Scope, dict[str, Any]], None]:
    make = maker(layer)

    def add(scope: Scope, made: dict[str, Any]) -> None:
        value = make(scope)
        if value is NOTHING:
            return
        if not isinstance(value, dict):
            raise MapError("wrong_type", f"{where(layer.expression)} gave {kind_of(value)}, not an object.")
        if any(map(reserved, value)):
            message = f"{where(layer.expression)} gave a property whose name begins with $ or ss_; rename it."
            raise MapError("property_name", message)
        made.update(value)

    return add


def attachments_maker(attachments: Computed | tuple[AttachmentRule, ...]) -> Callable[[Scope], list[dict[str, Any]]]:
    """Return what makes the list of attachments; an empty one where there are none."""
    if isinstance(attachments, Computed):
        return _computed_attachments(attachments)
    makers = [_attachment(number, rule) for number, rule in enumerate(attachments)]

    def make(scope: Scope) -> list[dict[str, Any]]:
        return [made for one in makers if (made := one(scope)) is not None]

    return make


def _attachment(number: int, rule: AttachmentRule) -> Callable[[Scope], dict[str, Any] | None]:
    field = f"attachments[{number}]"
    url = maker(rule.url)
    filename: Maker = (lambda _scope: NOTHING) if rule.filename is None else maker(rule.filename)
    ignore: Maker = (lambda _scope: NOTHING) if rule.ignore_if_error is None else maker(rule.ignore_if_error)

    def make(scope: Scope) -> dict[str, Any] | None:
        address = url(scope)
        if address is NOTHING:
            return None
        return checked_attachment(field, address, filename(scope), ignore(scope))

    return make


def _computed_attachments(attachments: Computed) -> Callable[[Scope], list[dict[str, Any]]]:
    make = maker(attachments)
    return lambda scope: checked_attachments(make(scope))


def checked_attachments(items: Any) -> list[dict[str, Any]]:
    """Check what one expression made for all attachments; NOTHING and null give none. Raises MapError."""
    if items is NOTHING or items is None:
        return []
    if not isinstance(items, list):
        raise MapError("attachment", f"attachments came out as {kind_of(items)}, not a list.")
    return [_from_object(f"attachments[{number}]", item) for number, item in enumerate(items)]


def _from_object(field: str, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or "url" not in item:
        message = f"{field} came out as {kind_of(item)} without a url; make {{url, filename, ignore_if_error}}."
        raise MapError("attachment", message)
    if not item.keys() <= _ATTACHMENT_KEYS:
        message = f"{field} has a key that no attachment has; there are url, filename and ignore_if_error."
        raise MapError("attachment", message)
    return checked_attachment(field, item["url"], item.get("filename", NOTHING), item.get("ignore_if_error", NOTHING))


def checked_attachment(field: str, url: Any, filename: Any, ignore: Any) -> dict[str, Any]:
    """Check one attachment, its filename and ignore_if_error NOTHING where there is none. Raises MapError."""
    address = as_text(f"{field}.url", url, integers=False)
    problem = attachment_url_problem(address)
    if problem is not None:
        raise MapError("attachment_url", f"{field}: {problem}.")
    name = None if filename is NOTHING else as_text(f"{field}.filename", filename, integers=True)
    if ignore is NOTHING:
        return attachment(address, name)
    if not isinstance(ignore, bool):
        raise MapError("wrong_type", f"{field}.ignore_if_error is {kind_of(ignore)}, not true or false.")
    return attachment(address, name, ignore)
