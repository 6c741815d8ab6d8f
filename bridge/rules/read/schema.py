"""JSON Schemas of rule files and test files, for editors: made from the table of keys. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from bridge.rules.read import example_keys, keys
from bridge.rules.read.keys import Key, Keys

__all__ = ["rules_schema", "tests_schema"]

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_IN_DEFAULTS: Final = tuple(name for name, key in keys.RULE.items() if key.needed and key.in_defaults)
"""Keys that a rule needs, and that its file's defaults may have instead."""


def rules_schema() -> dict[str, Any]:
    """Return the schema of a rule file (draft 2020-12)."""
    schema = {
        "$schema": _DRAFT,
        "title": "Rules of the Kafka to SuprSend bridge",
        "description": "Which records become which events. `suprsend-bridge check` finds more than a schema can.",
        **_object(keys.FILE),
        "allOf": [_unless_default(key) for key in _IN_DEFAULTS],
    }
    schema["$defs"] = {
        "topic": _object(keys.TOPIC),
        "attachment": _object(keys.ATTACHMENT),
        "rule": _object(keys.RULE, not_needed=_IN_DEFAULTS),
        "defaults": _object(keys.DEFAULTS, not_needed=keys.DEFAULTS),
    }
    return schema


def tests_schema() -> dict[str, Any]:
    """Return the schema of a file of tests (draft 2020-12)."""
    schema = {
        "$schema": _DRAFT,
        "title": "Tests of rules of the Kafka to SuprSend bridge",
        "description": "Records, and the events that must come of them. `suprsend-bridge test` runs them.",
        **_object(example_keys.TEST_FILE),
    }
    schema["$defs"] = {
        "test": _object(example_keys.TEST),
        "given": _object(example_keys.GIVEN),
        "attachment": _object(example_keys.SENT_ATTACHMENT),
        "made": {
            "type": "object",
            "properties": {**_object(example_keys.ERROR)["properties"], **_object(example_keys.EVENT)["properties"]},
            "oneOf": [{"$ref": "#/$defs/event"}, {"$ref": "#/$defs/error"}],
        },
        "event": _object(example_keys.EVENT),
        "error": _object(example_keys.ERROR),
    }
    return schema


def _object(table: Keys, *, not_needed: Collection[str] = ()) -> dict[str, Any]:
    needed = [name for name, key in table.items() if key.needed and name not in not_needed]
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _key(key) for name, key in table.items()},
    }
    return {**schema, "required": needed} if needed else schema


def _key(key: Key) -> dict[str, Any]:
    return {**key.kind.schema, "description": key.description, "examples": list(key.examples)}


def _unless_default(key: str) -> dict[str, Any]:
    """A rule needs the key where the file's defaults do not have it."""
    return {
        "if": {"required": ["defaults"], "properties": {"defaults": {"type": "object", "required": [key]}}},
        "else": {"properties": {"rules": {"items": {"required": [key]}}}},
    }
