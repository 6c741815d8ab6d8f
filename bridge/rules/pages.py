"""The pages of the docs that are made from tables of the code: the reference of rules, and the codes of findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.jq.builtins import BUILTINS, Builtin
from bridge.jq.refused import REFUSED
from bridge.jq.runtime.formats import FORMATS
from bridge.jsontext import dumps
from bridge.rules.lint.check import CODES
from bridge.rules.map.faults import FAULTS
from bridge.rules.read import example_keys, keys
from bridge.rules.read.keys import Keys

__all__ = ["DECODER_DOCS", "LIVE_TEXT", "VARIABLE_DOCS", "findings_page", "reference_page"]

_GENERATED: Final = "<!-- Generated from the code by `make docs`. Do not edit. -->"

VARIABLE_DOCS: Final[Mapping[str, str]] = {
    "key": "The record's key as text (base64 where it is not UTF-8), or decoded where the topic says `key: json`.",
    "headers": "The record's headers as an object: the last value of a name, names as they are written.",
    "topic": "The topic's name.",
    "partition": "The partition's number.",
    "offset": "The record's offset.",
    "timestamp": "The record's time in **milliseconds** since 1970, or null.",
    "tombstone": "Whether the record has no value. Only rules that name `$tombstone` see such records; `.` is null then.",
    "item": "In a rule with `for_each`: the item that the event is made for.",
    "index": "In a rule with `for_each`: the item's number, from 0.",
}
DECODER_DOCS: Final[Mapping[str, str]] = {
    "json": "One JSON value. Values in Confluent's wire format are read where they are JSON (its JSON Schema serialiser).",
    "string": "`.` is the value as text.",
    "bytes": "`.` is the value in base64.",
    "cloudevents": "A CloudEvent in structured or binary mode: `.` has its attributes, and `.data`.",
    "debezium": "A change event: `.before`, `.after`, `.op`. Records of a snapshot (`op: r`) are filtered unless the "
    "topic says `snapshot: true`.",
}
LIVE_TEXT: Final = "Only `suprsend-bridge check --live` says this."

_REFERENCE: Final = f"""\
# Reference of rules

{_GENERATED}

Every key of a rule file, every variable, every built-in function. Begin with [the guide](guide.md); what the messages
of `suprsend-bridge check` mean is in [findings](findings.md), what is not as in jq in
[differences from jq](../jq-differences.md). Editors complete and explain all keys with `rules.schema.json`
and `tests.schema.json` (`suprsend-bridge schema rules`, `suprsend-bridge schema tests`).
"""

_FINDINGS: Final = f"""\
# Findings in rules and tests

{_GENERATED}

What `suprsend-bridge check` may say of rules (`R…`), `suprsend-bridge test` of its files (`T…`), `suprsend-bridge check --live` of Kafka and
SuprSend (`L…`). Findings in YAML itself (`Y…`) and in settings (`S…`) have
[their own page](../reference/findings-yaml-settings.md). A code never changes its meaning.
"""


def reference_page() -> str:
    """Return the reference of rules, in Markdown."""
    return "\n".join(_reference())


def _reference() -> Iterator[str]:
    yield _REFERENCE
    yield from _table("Keys of a rule file", keys.FILE)
    yield from _table("Keys under `topics`", keys.TOPIC)
    yield from _table("Keys of a rule", keys.RULE)
    barred = ", ".join(f"`{name}`" for name, key in keys.RULE.items() if not key.in_defaults)
    yield f"`defaults` can have all of them but {barred}.\n"
    yield from _table("Keys of an attachment", keys.ATTACHMENT)
    yield "## Variables\n"
    yield "| variable | what it is |\n|---|---|"
    yield from (f"| `${name}` | {_cell(text)} |" for name, text in VARIABLE_DOCS.items())
    yield "\n`.` is the record's value. `defs` may use `$key` to `$timestamp`; pass the others to functions.\n"
    yield "## Decoders\n"
    yield "| `decode` | how a value is read |\n|---|---|"
    yield from (f"| `{name}` | {_cell(text)} |" for name, text in DECODER_DOCS.items())
    yield ""
    yield from _builtins()
    yield from _errors()
    yield from _table("Keys of a file of tests", example_keys.TEST_FILE)
    yield from _table("Keys of a test", example_keys.TEST)
    yield from _table("Keys of `given`", example_keys.GIVEN)
    yield from _table("Keys of an expected event", example_keys.EVENT)
    yield from _table("Keys of an expected error", example_keys.ERROR)


def _table(title: str, table: Keys) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | what it is | example |\n|---|---|---|"
    for name, key in table.items():
        needed = " *Needed.*" if key.needed else ""
        examples = "<br>".join(f"`{_cell(_written(example))}`" for example in key.examples)
        yield f"| `{name}` | {_cell(key.description)}{needed} | {examples} |"
    yield ""


def _written(value: object) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _builtins() -> Iterator[str]:
    yield "## Functions\n"
    yield "All of jq's that are here, by name. `f` and other arguments are separated by `;`. What the bridge adds is marked.\n"
    yield "| function | what it gives | example | result |\n|---|---|---|---|"
    for key in sorted(BUILTINS, key=lambda key: (key.lower(), key)):
        builtin = BUILTINS[key]
        if not builtin.private:
            yield _builtin(builtin)
    yield ""
    yield f'Formats: {", ".join(f"`@{name}`" for name in FORMATS)}; `@uri "https://x.example/\\(.id)"` formats what is inserted.\n'
    yield "### Refused\n"
    yield "| name | why |\n|---|---|"
    reasons: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    yield from (f"| {', '.join(names)} | {_cell(reason)} |" for reason, names in reasons.items())
    yield ""


def _builtin(builtin: Builtin) -> str:
    arguments = "" if not builtin.arity else f"({'; '.join(['…'] * builtin.arity)})"
    program, outputs = builtin.example
    ours = " *(not in jq)*" if builtin.ours else ""
    result = ", ".join(outputs)
    return f"| `{builtin.name}{arguments}` | {_cell(builtin.doc)}{ours} | `{_cell(program)}` | `{_cell(result)}` |"


def _errors() -> Iterator[str]:
    yield "## Errors of records\n"
    yield "What can keep a record from becoming an event: the code is in the dead letter, the metrics and in tests.\n"
    yield "| code | where | what happened | what to do |\n|---|---|---|---|"
    for code, kind in FAULTS.items():
        yield f"| `{code}` | {kind.stage} | {_cell(kind.title)} | {_cell(kind.remedy)} |"
    yield ""


def findings_page(live: Mapping[str, tuple[str, str]] | None = None) -> str:
    """Return the page of the finding codes of rules and tests, in Markdown; `live` are those of `check --live`."""
    lines = [_FINDINGS]
    for code, row in {**CODES, **example_keys.CODES}.items():
        lines += [f"## {code}", "", row.title, "", f"**Instead:** {row.instead}", ""]
        if row.example:
            lines += ["For example this is found:", "", "```yaml", row.example.rstrip("\n"), "```", ""]
    for code, (title, instead) in (live or {}).items():
        lines += [f"## {code}", "", f"{title} {LIVE_TEXT}", "", f"**Instead:** {instead}", ""]
    return "\n".join(lines)
