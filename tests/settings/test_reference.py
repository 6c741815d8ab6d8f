"""Schema, reference page and examples say what the model says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.document import ListNode, MappingNode, YamlNode, compose
from bridge.settings import SettingsError, load_settings
from bridge.settings.reference import settings_page, settings_schema
from bridge.settings.rows import settings_table

CONFIG = Path(__file__).resolve().parents[2] / "config"
FULL, SHORT = CONFIG / "bridge.full.yaml", CONFIG / "bridge.yaml"
VALIDATOR = jsonschema.Draft202012Validator(settings_schema())


def plain(node: YamlNode | None) -> Any:
    if isinstance(node, MappingNode):
        return {entry.name: plain(entry.value) for entry in node}
    if isinstance(node, ListNode):
        return [plain(item) for item in node]
    return node.value if node is not None else None


def alternatives(text: str) -> str:
    """The complete example with each `# or:` line in force."""
    return re.sub(r"(?m)^(\s*)# or: ", r"\1", text)


def keys(data: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in data.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from keys(value, (*above, name))


@pytest.mark.parametrize("file", [FULL, SHORT])
def test_the_examples_are_good_settings(file: Path) -> None:
    """Both examples load, and pass the schema."""
    load_settings(file, {}, files=False)
    assert list(VALIDATOR.iter_errors(plain(compose(file.read_text(), "f").root))) == []


def test_the_complete_example_sets_everything() -> None:
    """Each setting there is stands in bridge.full.yaml, if need be behind `# or:`, and nothing else does."""
    document = compose(alternatives(FULL.read_text()), "full")
    assert document.findings == ()
    present = set(keys(plain(document.root)))
    free = {("kafka", "properties"), ("kafka", "security", "oauth", "extensions")}
    expected = set(settings_table())
    assert expected - present == set()
    assert {path for path in present - expected if path[:-1] not in free} == set()
    answer = settings_table()[("suprsend", "answers")].section
    assert answer is not None
    assert set(plain(document.root)["suprsend"]["answers"][0]) == set(answer.model_fields)


def test_the_complete_example_says_the_defaults() -> None:
    """What bridge.full.yaml does not mark as another value is the default."""
    lines = FULL.read_text().split("\n")
    data = plain(compose(FULL.read_text(), "full").root)
    loaded = load_settings(FULL, {}, files=False)
    for setting in settings_table().values():
        value, node, given = loaded, data, True
        for name in setting.path:
            given = isinstance(node, dict) and name in node
            if not given:
                break
            value, node = getattr(value, name), node[name]
        if not given or setting.kind == "section" or setting.info.is_required():
            continue
        marked = any(re.match(rf"\s*{setting.path[-1]}:.*# (default|to be set)", line) for line in lines)
        default = setting.info.get_default(call_default_factory=True)
        inside_of_what_is_off = setting.path[:3] == ("kafka", "security", "sasl") or "secret" in setting.path[-1]
        if not marked and setting.name != "rules.path" and not inside_of_what_is_off:
            assert value == default, setting.name


def test_every_key_of_the_schema_has_a_description_and_an_example() -> None:
    """An editor can say of each key what it is and how it is written, and each example is a good value."""
    schema = settings_schema()
    checked = 0
    for definition in [schema, *schema["$defs"].values()]:
        assert definition["additionalProperties"] is False
        for name, key in definition["properties"].items():
            assert key.get("description"), name
            assert key.get("examples"), name
            for example in key["examples"]:
                jsonschema.Draft202012Validator({**key, "$defs": schema["$defs"]}).validate(example)
                checked += 1
    assert checked > 90


BROKEN = [
    ("kafka", "topics: orders.v1"),
    ("kafka", "topics: []"),
    ("kafka", "group_protocol: x"),
    ("kafka", "nonsense: 1"),
    ("kafka", "drain: 10"),
    ("kafka", "properties: {plugin.library.paths: x}"),
    ("delivery", "batch_events: 101"),
    ("delivery", "linger: fast"),
    ("delivery", "batch_bytes: 1MB"),
    ("delivery", "brake: {ratio: 1.5}"),
    ("admin", "port: '80'"),
    ("logs", "level: loud"),
    ("suprsend", "answers: [{verdict: x}]"),
    ("suprsend", "answers: [{shape: nonsense, verdict: setup}]"),
]


@pytest.mark.parametrize(("section", "line"), BROKEN)
def test_schema_and_loader_refuse_the_same(section: str, line: str, tmp_path: Path) -> None:
    """What an editor underlines by the schema, `check` finds too."""
    text = re.sub(rf"(?m)^{section}:\n", f"{section}:\n  {line}\n", SHORT.read_text() + "delivery:\nadmin:\nlogs:\n")
    text = re.sub(r"(?m)^(delivery|admin|logs):\n(?!  )", "", text)
    if line.startswith("topics"):
        text = text.replace("  topics: [orders.v1, comments.v1, payments.v1]\n", "")
    data = plain(compose(text, "f").root)
    assert list(VALIDATOR.iter_errors(data))
    file = tmp_path / "b.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {}, files=False)
    assert len(caught.value.findings) == 1


def test_the_page_has_every_setting_with_its_variable() -> None:
    """Each key has one heading, or one row of the last table, and its variable on the reference page."""
    page = settings_page()
    for setting in settings_table().values():
        heading = rf"(?m)^(##+ |\| )(.*, )?`{re.escape(setting.name)}`"
        assert len(re.findall(heading, page)) == 1, setting.name
        if setting.kind != "section" and setting.path[0] != "tuning":
            assert f"`{setting.variable}`" in page
