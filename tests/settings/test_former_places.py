"""Settings that moved to `tuning` are read where they stood in the version before, with a warning that names the new place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.findings import Finding
from bridge.settings import Settings, SettingsError, load_settings
from bridge.settings.reference import settings_page, settings_schema
from bridge.settings.rows import Setting, former_places, settings_table, variable_of
from tests.settings.test_load import LEAST, LEAST_ENVIRONMENT

OTHER: dict[str, Any] = {
    "initial_in_flight": (7, "7", 7),
    "connect_timeout": ("7s", "7s", 7.0),
    "retry_base": ("7s", "7s", 7.0),
    "retry_cap": ("7s", "7s", 7.0),
    "retry_budget": (0.7, "0.7", 0.7),
    "breaker_failures": (7, "7", 7),
    "probe_interval": ("7s", "7s", 7.0),
    "commit_interval": ("7s", "7s", 7.0),
    "commit_records": (7, "7", 7),
    "span": (700, "700", 700),
    "dedupe_window": ("7h", "7h", 25_200.0),
    "dedupe_margin": ("7h", "7h", 25_200.0),
    "brake_window": (70, "70", 70),
}
"""Key → a value that is not its default: in YAML, in the environment, and as it is loaded."""

MOVED = pytest.mark.parametrize(
    ("old", "setting"), [pytest.param(old, setting, id=".".join(old)) for old, setting in former_places().items()]
)


def nested(place: tuple[str, ...], value: object) -> str:
    """A section that LEAST does not have, or one more line of its last, `suprsend`."""
    if place[0] == "suprsend":
        return f"  {place[1]}: {value}\n"
    return "".join(f"{'  ' * depth}{name}:\n" for depth, name in enumerate(place[:-1])) + (
        f"{'  ' * (len(place) - 1)}{place[-1]}: {value}\n"
    )


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> tuple[Settings, list[Finding]]:
    file = tmp_path / "bridge.yaml"
    file.write_text(text)
    notes: list[Finding] = []
    return load_settings(file, environ or {}, notes=notes), notes


def refused(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[Finding]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text, environ)
    return [finding for finding in caught.value.findings if finding.severity == "error"]


def test_every_setting_that_moved_has_a_case_here() -> None:
    """No setting moves without its tests: each that has a former place is in the table above."""
    assert set(OTHER) == {setting.path[1] for setting in former_places().values()}
    assert {setting.path[0] for setting in former_places().values()} == {"tuning"}


@MOVED
def test_the_former_place_is_read_with_a_warning_that_names_the_new_one(
    tmp_path: Path, old: tuple[str, ...], setting: Setting
) -> None:
    """A file of the version before means what it meant; one warning at the key says where it belongs now."""
    written, _, value = OTHER[setting.path[1]]
    text = LEAST + nested(old, written)
    settings, (note,) = load(tmp_path, text)
    assert getattr(settings.tuning, setting.path[1]) == value
    assert (note.code, note.severity) == ("S009", "warning")
    assert text.split("\n")[note.line - 1][note.column - 1 : note.end_column - 1] == old[-1]
    assert note.message == f"`{'.'.join(old)}` is now `{setting.name}`"


@MOVED
def test_the_new_place_is_read_without_a_word(tmp_path: Path, old: tuple[str, ...], setting: Setting) -> None:
    """What stands under `tuning` is loaded, and nothing is said."""
    assert old != setting.path
    written, _, value = OTHER[setting.path[1]]
    settings, notes = load(tmp_path, LEAST + nested(setting.path, written))
    assert (getattr(settings.tuning, setting.path[1]), notes) == (value, [])


@MOVED
def test_a_setting_in_both_places_is_an_error_that_says_so(
    tmp_path: Path, old: tuple[str, ...], setting: Setting
) -> None:
    """Nobody has to guess which of two values holds: the former place is pointed at, and the loader stops."""
    written = OTHER[setting.path[1]][0]
    (finding,) = refused(tmp_path, LEAST + nested(old, written) + nested(setting.path, written))
    assert finding.code == "S003"
    assert finding.message == f"`{'.'.join(old)}` and `{setting.name}` are the same setting, and both are set"
    assert finding.hint == f"leave `{'.'.join(old)}` out"
    assert (tmp_path / "bridge.yaml").read_text().split("\n")[finding.line - 1].strip().startswith(old[-1])


@MOVED
def test_both_names_of_the_variable_are_read(old: tuple[str, ...], setting: Setting) -> None:
    """The former variable is read with a warning, the present one without, and both at once are an error."""
    _, written, value = OTHER[setting.path[1]]
    for variable, codes in ((setting.variable, []), (variable_of(old), ["S009"])):
        notes: list[Finding] = []
        settings = load_settings(None, {**LEAST_ENVIRONMENT, variable: written}, notes=notes)
        assert getattr(settings.tuning, setting.path[1]) == value
        assert [note.code for note in notes] == codes
        assert all((note.path, setting.variable in note.message) == (variable, True) for note in notes)
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {**LEAST_ENVIRONMENT, variable_of(old): written, setting.variable: written})
    assert [(one.code, one.path) for one in caught.value.findings] == [("S003", variable_of(old))]


def test_the_environment_wins_over_a_former_place_of_the_file(tmp_path: Path) -> None:
    """A variable replaces what the file says, under whichever of the two names either is set."""
    old, new = LEAST + "delivery:\n  span: 700\n", LEAST + "tuning:\n  span: 700\n"
    for text, variable in (
        (old, "BRIDGE_TUNING__SPAN"),
        (new, "BRIDGE_DELIVERY__SPAN"),
        (old, "BRIDGE_DELIVERY__SPAN"),
    ):
        assert load(tmp_path, text, {variable: "800"})[0].tuning.span == 800


@pytest.mark.parametrize(
    ("text", "code", "line", "message"),
    [
        ("delivery:\n  span: 7\n", "S004", 10, "must be 100 or more"),
        ("delivery:\n  retry:\n    base: 60s\n", "S003", 11, "`retry_cap` is shorter than `retry_base`"),
        ("delivery:\n  retry: {bse: 1s}\n", "S001", 10, "no setting `retry` in `delivery`"),
        ("delivery:\n  retry: 5\n", "S001", 10, "no setting `retry` in `delivery`"),
        ("delivery: 5\n", "S004", 9, "must be a mapping"),
        ("tuning: 5\ndelivery:\n  span: 700\n", "S004", 9, "must be a mapping"),
    ],
)
def test_a_mistake_at_a_former_place_is_told_where_it_stands(
    tmp_path: Path, text: str, code: str, line: int, message: str
) -> None:
    """A wrong value is pointed at in the line where the person wrote it, whatever its name is now."""
    (finding,) = refused(tmp_path, LEAST + text)
    assert (finding.code, finding.line) == (code, line)
    assert message in finding.message


def test_what_was_one_section_says_where_its_settings_went(tmp_path: Path) -> None:
    """`delivery.retry` with a key that it never had names the settings that it became."""
    (finding,) = refused(tmp_path, LEAST + "delivery:\n  retry: {bse: 1s}\n")
    assert finding.hint == "its settings are now `tuning.retry_base`, `tuning.retry_cap`, `tuning.retry_budget`"


def test_the_line_of_a_former_place_is_shown(tmp_path: Path) -> None:
    """A former key is no misspelt secret: its value stands in the line that a message shows."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, LEAST + "delivery:\n  retry:\n    budget: 12345\n")
    assert "budget: 12345" in str(caught.value)


def test_nothing_has_to_be_tuned_beside_a_smaller_limit(tmp_path: Path) -> None:
    """Fewer calls than the default begins with, or a shorter time than the default connects in, need no second setting."""
    settings, notes = load(tmp_path, LEAST + "  timeout: 5s\ndelivery:\n  max_in_flight: 8\n")
    assert (settings.initial_in_flight, settings.connect_timeout, notes) == (8, 5.0, [])


@MOVED
def test_the_schema_takes_the_former_place_and_strikes_it_through(old: tuple[str, ...], setting: Setting) -> None:
    """Editors and the chart take a file of the version before, and mark what moved."""
    schema: dict[str, Any] = settings_schema()
    written: Any = OTHER[setting.path[1]][0]
    where = schema["$defs"][schema["properties"][old[0]]["$ref"].rsplit("/", 1)[1]]
    for name in old[1:]:
        where = where["properties"][name]
        where = schema["$defs"][where["$ref"].rsplit("/", 1)[1]] if "$ref" in where else where
    assert (where["deprecated"], setting.name in where["description"]) == (True, True)
    for name in reversed(old[1:]):
        written = {name: written}
    section = {**schema["$defs"][schema["properties"][old[0]]["$ref"].rsplit("/", 1)[1]], "required": []}
    assert jsonschema.Draft202012Validator({**section, "$defs": schema["$defs"]}).is_valid(written)


def test_the_page_says_where_each_setting_stood() -> None:
    """The reference has the last section last, one row per setting, with its former place."""
    last = settings_page().split("\n## ")[-1]
    assert last.startswith("`tuning`")
    rows = [line for line in last.split("\n") if line.startswith("| `")]
    assert [
        (setting.name in row, ".".join(old) in row)
        for (old, setting), row in zip(
            sorted(former_places().items(), key=lambda item: list(settings_table()).index(item[1].path)),
            rows,
            strict=True,
        )
    ] == [(True, True)] * len(rows)
