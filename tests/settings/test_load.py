"""Settings from a file, the environment and the files of secrets; and every mistake in them at once."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from bridge.findings import FORMATS, render
from bridge.settings import Settings, SettingsError, load_settings
from bridge.settings.rows import settings_table

LEAST = """\
kafka:
  bootstrap_servers: [localhost:9092]
  topics: [orders.v1]
  group_id: g
  dead_letter_topic: dead
suprsend:
  workspace_key: wskey
  workspace_secret: wssecret
"""
LEAST_ENVIRONMENT = {
    "BRIDGE_KAFKA__BOOTSTRAP_SERVERS": "a:9092,b:9092",
    "BRIDGE_KAFKA__TOPICS": '["orders.v1", "comments.v1"]',
    "BRIDGE_KAFKA__GROUP_ID": "g",
    "BRIDGE_KAFKA__DEAD_LETTER_TOPIC": "dead",
    "BRIDGE_SUPRSEND__WORKSPACE_KEY": "wskey",
    "BRIDGE_SUPRSEND__WORKSPACE_SECRET": "wssecret",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.yaml"


def load(file: Path, text: str, environ: dict[str, str] | None = None, **more: Any) -> Settings:
    file.write_text(text)
    return load_settings(file, environ or {}, **more)


def mistakes(
    file: Path, text: str, environ: dict[str, str] | None = None, *, files: bool = False
) -> list[tuple[str, int, int, str]]:
    """The findings as (code, line, column, message); in a variable's case its name stands for the code."""
    with pytest.raises(SettingsError) as caught:
        load(file, text, environ, files=files)
    return [
        (one.code if one.line or one.path == str(file) else one.path, one.line, one.column, one.message)
        for one in caught.value.findings
    ]


def with_line(section: str, line: str) -> str:
    """The least settings with one more line at the end of a section; `line` is indented for it."""
    sections = {"kafka": LEAST.split("suprsend:", maxsplit=1)[0], "suprsend": "suprsend:" + LEAST.split("suprsend:")[1]}
    sections[section] = sections.get(section, f"{section}:\n") + f"  {line}\n"
    return "".join(sections.values())


def test_the_least_settings_are_enough_and_the_rest_has_its_defaults(file: Path) -> None:
    """Brokers, topics, group, dead-letter topic and credentials: with these the bridge can run."""
    settings = load(file, LEAST)
    assert settings.kafka.topics == ("orders.v1",)
    assert settings.kafka.start_from == "latest"
    assert settings.delivery.linger == 0.02
    assert settings.tuning.dedupe_window == 86_400
    assert settings.suprsend.timeout == 30
    assert settings.memory_bytes == 64 * 1024**2
    assert settings.rules.path == file.parent / "rules"


def test_the_environment_alone_is_enough() -> None:
    """Without a file everything can come from variables: lists with commas or as JSON."""
    settings = load_settings(None, LEAST_ENVIRONMENT)
    assert settings.kafka.bootstrap_servers == ("a:9092", "b:9092")
    assert settings.kafka.topics == ("orders.v1", "comments.v1")
    assert settings.suprsend.secret is not None
    assert settings.suprsend.secret.read() == "wssecret"


def test_the_environment_wins_over_the_file(file: Path) -> None:
    """A variable replaces what the file says, in sections the file has and in others, whatever its type."""
    environ = {
        "BRIDGE_KAFKA__GROUP_ID": "007",
        "BRIDGE_DELIVERY__BATCH_EVENTS": "7",
        "BRIDGE_DELIVERY__BRAKE__RATIO": "0.5",
        "BRIDGE_DELIVERY__STRICT_ORDER": "yes",
        "BRIDGE_DELIVERY__LINGER": "5ms",
        "BRIDGE_DELIVERY__STORM__EVENTS": "9",
        "BRIDGE_DELIVERY__STORM__PER": "1h",
        "BRIDGE_MEMORY": "16MiB",
        "BRIDGE_SUPRSEND__ANSWERS": '[{"status": 422, "verdict": "setup"}]',
        "BRIDGE_ADMIN__PORT": "",
        "BRIDGE_CONFIG": "elsewhere.yaml",
        "OTHER": "x",
    }
    settings = load(file, LEAST, environ)
    assert settings.kafka.group_id == "007"
    assert (settings.delivery.batch_events, settings.delivery.brake.ratio) == (7, 0.5)
    assert (settings.delivery.strict_order, settings.delivery.linger) == (True, 0.005)
    assert settings.delivery.storm is not None
    assert (settings.delivery.storm.events, settings.delivery.storm.per) == (9, 3600)
    assert settings.memory_bytes == 16 * 1024**2
    assert settings.suprsend.answers[0].status == 422
    assert settings.admin.port == 8080


def test_every_setting_can_be_set_by_its_variable() -> None:
    """Each key's variable is read: the wrong value in it is named by that variable and no other."""
    for setting in settings_table().values():
        if setting.kind not in {"flag", "whole", "number", "json", "duration", "size"}:
            continue
        with pytest.raises(SettingsError) as caught:
            load_settings(None, {**LEAST_ENVIRONMENT, setting.variable: "?!"})
        assert setting.variable in {one.path for one in caught.value.findings}, setting.variable


def test_all_mistakes_come_at_once_each_with_its_place(file: Path) -> None:
    """Mistakes of YAML, of names, of types, of ranges, between settings and in variables: one run shows them all."""
    text = """\
kafka:
  bootstrap_servers: [localhost:9092, nonsense]
  topcs: [orders.v1]
  group_id: 5
  drain: 2
  dead_letter_topic: a/b
suprsend:
  workspace_key: x
  timeout: 1h
delivery:
  ordering: keys
  batch_events: 200
  linger: yes
extra: 1
"""
    found = mistakes(file, text, {"BRIDGE_ADMIN__PORT": "http", "BRIDGE_LOGS__LEVLE": "info"})
    assert [one[:3] for one in found] == [
        ("S002", 1, 1),
        ("S004", 2, 39),
        ("S001", 3, 3),
        ("S004", 4, 13),
        ("S004", 5, 10),
        ("S004", 6, 22),
        ("S004", 9, 12),
        ("S004", 11, 13),
        ("S004", 12, 17),
        ("Y007", 13, 11),
        ("S001", 14, 1),
        ("BRIDGE_ADMIN__PORT", 0, 0),
        ("BRIDGE_LOGS__LEVLE", 0, 0),
    ]


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("kafka", "group_protocol: clasic", "must be one of: classic, consumer"),
        ("kafka", 'start_from: "yesterday"', "is not usable"),
        ("kafka", 'start_from: "2026-01-31"', "is not usable"),
        ("kafka", "max_poll_interval: 300", "is not usable"),
        ("kafka", "max_poll_interval: 5s", "must be 10s or more"),
        ("kafka", "drain: 40s", "a tenth of `max_poll_interval` at most: 30s"),
        ("kafka", "topics_: 1", "no setting `topics_` in `kafka`"),
        ("kafka", "security: plaintext", "must be a mapping"),
        ("kafka", "security: {protocol: sasl_ssl}", "needs `sasl`"),
        ("kafka", "security: {sasl: {mechanism: PLAIN, username: u, password: p}}", "needs the protocol sasl_ssl"),
        ("kafka", "security: {ca_file: x.pem}", "needs the protocol ssl"),
        ("kafka", "security: {protocol: ssl, cert_file: x.pem}", "needs `key_file`"),
        ("kafka", "security: {protocol: sasl_ssl, sasl: {mechanism: OAUTHBEARER}}", "needs `oauth`"),
        ("kafka", "security: {protocol: sasl_ssl, sasl: {mechanism: PLAIN, username: u}}", "`password` or"),
        ("kafka", "assignment: range\n  group_protocol: consumer", "belongs to the classic protocol"),
        ("kafka", "properties: {plugin.library.paths: x}", "plugin.library.paths"),
        ("kafka", "properties: {enable.auto.commit: 'true'}", "enable.auto.commit"),
        ("suprsend", "api_key: k", "two ways to authenticate"),
        ("suprsend", "workspace_uid: 0123456789abcdef0123", "two ways to authenticate"),
        ("suprsend", "base_url: hub.suprsend.com", "is not usable"),
        ("suprsend", "base_url: https://u:p@hub.suprsend.com/", "is not usable"),
        ("suprsend", "max_event_bytes: 1MiB", "must be 800KiB or less"),
        ("tuning", "connect_timeout: 60s", "longer than `suprsend.timeout`"),
        ("suprsend", "client_cert_file: x", "needs `client_key_file`"),
        ("suprsend", "answers: [{verdict: setup}]", "status"),
        ("suprsend", "answers: [{message: '(?=x)', verdict: setup}]", "message"),
        ("suprsend", "answers: [{status: 422, verdict: good}]", "must be one of"),
        ("delivery", "batch_events: 1.5", "must be a whole number"),
        ("delivery", "batch_events: '5'", "must be a whole number, without quotes"),
        ("delivery", "strict_order: 'true'", "must be true or false"),
        ("delivery", "batch_bytes: 2KiB", "smaller than one event"),
        ("tuning", "initial_in_flight: 65", "more than `delivery.max_in_flight`"),
        ("tuning", "dedupe_margin: 24h", "shorter than `dedupe_window`"),
        ("tuning", "retry_base: 60s", "shorter than `retry_base`"),
        ("delivery", "only_recipients: jane", "must be a list"),
        ("delivery", "accept_rewind: 4f1c2a9b7e", "must be a list"),
        ("delivery", "accept_rewind: ['4F1C2A9B7E']", "a token as `suprsend-bridge status` shows it"),
        ("delivery", "rate_limit: 0", "must be more than 0"),
        ("delivery", "storm: {events: 5}", "`delivery.storm.per` is missing"),
        ("admin", "port: 99999", "must be 65535 or less"),
        ("logs", "level: loud", "must be one of: debug, info, warning, error"),
    ],
)
def test_a_wrong_setting_is_named_at_its_line_with_what_is_wrong(
    file: Path, section: str, line: str, message: str
) -> None:
    """Each kind of mistake has one finding, in the line where it is, in words that say what to write."""
    text = with_line(section, line)
    found = mistakes(file, text)
    begin = text.count("\n") - line.count("\n") if section != "kafka" else 6
    matching = [one for one in found if message in one[3] or message in _hints(file, text)]
    assert len(found) == 1, found
    assert matching, found
    assert begin <= found[0][1] <= begin + line.count("\n")


def _hints(file: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, text, files=False)
    return str(caught.value)


def test_unknown_keys_and_variables_get_a_did_you_mean(file: Path) -> None:
    """A slip in a name is answered with the name that was meant, in the file and in the environment."""
    with pytest.raises(SettingsError) as caught:
        load(
            file,
            with_line("delivery", "lingre: 5ms"),
            {"BRIDGE_KAFKA_GROUP_ID": "x", "BRIDGE_DELIVERY__LINGRE": "5ms", "BRIDGE_KAFAK__TOPICS": "x"},
        )
    assert [one.hint for one in caught.value.findings] == [
        "did you mean `linger`?",
        "did you mean BRIDGE_DELIVERY__LINGER?",
        "did you mean BRIDGE_KAFKA__TOPICS?",
        "did you mean BRIDGE_KAFKA__GROUP_ID?",
    ]


def test_variables_that_kubernetes_makes_of_services_are_not_settings() -> None:
    """A service named `bridge` or `bridge-kafka` puts variables with our prefix into every pod; they do no harm."""
    links = {
        "BRIDGE_SERVICE_HOST": "10.0.0.1",
        "BRIDGE_SERVICE_PORT": "8080",
        "BRIDGE_SERVICE_PORT_HTTP_METRICS": "8080",
        "BRIDGE_PORT": "tcp://10.0.0.1:8080",
        "BRIDGE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "BRIDGE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "BRIDGE_KAFKA_SERVICE_HOST": "10.0.0.2",
        "BRIDGE_KAFKA_PORT_9092_TCP_PROTO": "tcp",
    }
    assert load_settings(None, {**LEAST_ENVIRONMENT, **links}) == load_settings(None, LEAST_ENVIRONMENT)


def test_what_is_missing_is_named_with_an_example(file: Path) -> None:
    """An empty file is told everything that must be set, and how it is written."""
    with pytest.raises(SettingsError) as caught:
        load(file, "")
    shown = str(caught.value)
    for name in ("bootstrap_servers", "topics", "group_id", "dead_letter_topic"):
        assert f"`kafka.{name}` is missing" in shown
    assert "as in `group_id: suprsend-bridge`" in shown
    assert "set `workspace_key` and `workspace_secret`" in shown


def test_a_syntax_error_is_not_followed_by_what_it_made_unreadable(file: Path) -> None:
    """Where the YAML cannot be read to its end, nothing is said to be missing."""
    assert [one[0] for one in mistakes(file, 'kafka:\n  group_id: "x\n')] == ["Y005"]


@pytest.mark.parametrize("text", ["[1, 2]\n", "text\n", "5\n"])
def test_a_file_that_is_no_mapping_is_told_so(file: Path, text: str) -> None:
    """A list or a text in place of sections is one clear finding among what is missing."""
    assert "S006" in {one[0] for one in mistakes(file, text)}


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """A wrong path is one finding with the path in it."""
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none.yaml", {})
    assert str(caught.value) == (
        f"{tmp_path}/none.yaml: error: the file cannot be read: No such file or directory [Y001]"
    )


def test_paths_are_relative_to_the_file_and_in_the_environment_to_the_working_directory(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`rules.path` and all `_file` keys follow the settings file; variables follow the shell."""
    (file.parent / "token").write_text("t\n")
    monkeypatch.chdir(tmp_path.parent)
    settings = load(file, with_line("admin", "token_file: token"), {"BRIDGE_RULES__PATH": "elsewhere"})
    assert settings.admin.token_file == file.parent / "token"
    assert settings.admin.secret is not None
    assert settings.admin.secret.read() == "t"
    assert settings.rules.path == Path("elsewhere")


def test_an_unreadable_secret_is_one_line_at_its_key(file: Path) -> None:
    """A secret's path that leads nowhere is named with key, line, path and reason."""
    found = mistakes(file, with_line("admin", "token_file: nowhere"), files=True)
    assert [one[:3] for one in found] == [("S005", 10, 15)]
    assert "nowhere" in found[0][3]
    assert "No such file" in found[0][3]


def test_checking_without_the_machine_s_files_is_possible(file: Path) -> None:
    """With `files=False` (in a pipeline that has no secrets) the paths are not looked at."""
    assert load(file, with_line("admin", "token_file: nowhere"), files=False).admin.token_file is not None


def test_a_secret_in_the_environment_replaces_the_file_s_other_way(file: Path) -> None:
    """`…__WORKSPACE_SECRET_FILE` in the environment replaces `workspace_secret` of the file, and the reverse."""
    (file.parent / "secret").write_text("fresh")
    settings = load(file, LEAST, {"BRIDGE_SUPRSEND__WORKSPACE_SECRET_FILE": str(file.parent / "secret")})
    assert settings.suprsend.workspace_secret is None
    assert settings.suprsend.secret is not None
    assert settings.suprsend.secret.read() == "fresh"


def test_a_secret_set_twice_is_refused(file: Path) -> None:
    """In one place, text and file of the same secret exclude each other."""
    (file.parent / "t").write_text("t")
    found = mistakes(file, with_line("admin", "token: a\n  token_file: t"))
    assert [(one[0], one[1]) for one in found] == [("S003", 11)]


SECRET = "hunter2-s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"suprsend:\n  workspace_secret: {SECRET}\n  timeout: 1\n",
        f"suprsend:\n  workspace_secret: [{SECRET}]\n",
        f"suprsend: {{workspace_secret: {SECRET}, timeout: 1, timeot: 2}}\n",
        f"suprsend:\n  workspce_secret: {SECRET}\n",
        f"suprsend:\n  wrkspc: {SECRET}\n",
        f"suprsend:\n  proxy: http://user:{SECRET}@host:port\n",
        f"suprsend:\n  proxy: http://user:{SECRET}@[host\n",
        f"suprsend:\n  proxy: http://user:{SECRET}\n",
        f"suprsend:\n  workspace_secret: |\n    {SECRET}\n    {SECRET}\n",
        f"suprsend:\n  workspace_secret: '{SECRET} '\n",
        f"suprsend:\n  workspace_secret: !x {SECRET}\n",
        f"suprsend:\n  workspace_secret: &{SECRET} x\n",
        f"suprsend:\n  workspace_secret: @{SECRET}\n",
        f'suprsend:\n  workspace_secret: "{SECRET}\n',
        f"suprsend:\n  workspace_secret: {SECRET}: x\n",
        f"suprsend:\n  workspace_secret: ${{ {SECRET}: x\n",
        f"suprsend:\n  workspace_secret: {SECRET} # ${{ {SECRET}\n",
        f"kafka:\n  properties: {{sasl.jaas.config: {SECRET}, ssl.key.password: {SECRET}}}\n",
        f"kafka:\n  security:\n    sasl:\n      mechanism: PLAIN\n      pasword: {SECRET}\n",
        f"kafka:\n  security: {{oauth: {{client_secret: {SECRET}}}}}\n",
    ],
)
def test_no_secret_is_ever_shown(file: Path, text: str) -> None:
    """Whatever is wrong with a secret or beside it, no message, line or exception shows it."""
    with pytest.raises(SettingsError) as caught:
        load(file, text)
    shown = "".join(render(caught.value.findings, form, caught.value.sources) for form in FORMATS)
    assert SECRET not in shown + str(caught.value) + repr(caught.value) + repr(caught.value.__cause__)
    assert SECRET not in repr(caught.value.sources)


def test_no_secret_of_the_environment_is_shown() -> None:
    """A variable with a secret in the wrong form is named, not shown."""
    environ = {
        **LEAST_ENVIRONMENT,
        "BRIDGE_SUPRSEND__WORKSPACE_SECRET": f"{SECRET}\nx",
        "BRIDGE_SUPRSEND__PROXY": f"http://u:{SECRET}",
        "BRIDGE_ADMIN__TOKN": SECRET,
        "BRIDGE_KAFKA__PROPERTIES": f'{{"a": {SECRET}',
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(None, environ)
    assert len(caught.value.findings) == 4
    assert SECRET not in str(caught.value)


def test_the_settings_do_not_show_secrets_and_cannot_be_changed(file: Path) -> None:
    """`repr`, `str` and JSON of the settings hide secrets; the model is frozen."""
    settings = load(file, LEAST)
    assert "wssecret" not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(Exception, match="frozen"):
        settings.kafka.group_id = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_times_to_start_from_are_read_exactly(file: Path) -> None:
    """An RFC 3339 time with any offset and fraction becomes milliseconds."""
    for written, expected in (
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00.25+01:00", 250),
        ("2026-01-31t08:00:00.123456789z", 1769846400123),
    ):
        assert load(file, with_line("kafka", f'start_from: "{written}"')).kafka.start_from_ms == expected
    assert load(file, with_line("kafka", "start_from: earliest")).kafka.start_from_ms is None


@given(st.dictionaries(st.sampled_from([s.variable for s in settings_table().values()]), st.text(max_size=20)))
@hypothesis_settings(max_examples=150, deadline=None)
def test_no_environment_makes_it_raise_anything_else(environ: dict[str, str]) -> None:
    """Whatever the variables hold, the answer is settings or findings."""
    try:
        load_settings(None, {**LEAST_ENVIRONMENT, **environ})
    except SettingsError as error:
        assert error.findings


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([s.path for s in settings_table().values()]), VALUES)
@hypothesis_settings(max_examples=300, deadline=None)
def test_no_value_in_the_file_makes_it_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: Any
) -> None:
    """Whatever value a key has, the answer is settings, or findings that name a place."""
    data: Any = value
    for name in reversed(path):
        data = {name: data}
    file = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.yaml"
    file.write_bytes(json.dumps(data).encode())
    try:
        load_settings(file, LEAST_ENVIRONMENT if path[0] not in {"kafka", "suprsend"} else {})
    except SettingsError as error:
        assert error.findings


def test_properties_may_be_numbers_and_flags(file: Path) -> None:
    """Librdkafka's numbers and flags need no quotes; each is passed on as librdkafka spells it."""
    text = with_line("kafka", "properties: {fetch.max.bytes: 1024, socket.keepalive.enable: true, client.rack: a}")
    assert load(file, text).kafka.properties == {
        "fetch.max.bytes": "1024",
        "socket.keepalive.enable": "true",
        "client.rack": "a",
    }


def test_a_warning_alone_does_not_stop(file: Path) -> None:
    """A doubtful comment in the settings is no reason not to start."""
    assert load(file, LEAST + "memory: small # ${ x }\n").memory == "small"


def test_no_settings_at_all_is_told_in_one_line() -> None:
    """Without a file and without variables the answer is how to name a file, not a list of all that is missing."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"PATH": "/bin", "BRIDGE_PORT_8080_TCP": "x"})
    assert len(caught.value.findings) == 1
    assert "--config" in str(caught.value)


WRAPPED = [
    "{}",
    "'{}'",
    '"{}"',
    "[{}]",
    "{{a: {}}}",
    "!t {}",
    "&{} x",
    "*{}",
    "@{}",
    "`{}`",
    "{}: x",
    "'{}",
    '"{}',
    "|\n      {}",
]
WRAPPED += [
    "|x {}",
    ">-\n      a\n\n      {}",
    "? {}",
    "- {}",
    "${{ {} ",
    "x # {}",
    "x # ${{ {}",
    "\t{}",
    "{}\x07",
    "<<: {}",
    "0{}",
    "{}\n     {}",
]
SECRET_KEYS = ["password", "workspace_secret", "api_key", "client_secret", "token", "proxy", "pasword", "key_password"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["  ", "    ", "  - ", ""]), st.sampled_from(SECRET_KEYS), st.sampled_from(WRAPPED))
    ),
    st.sampled_from(["suprsend:\n", "kafka:\n  security:\n", "kafka: {security: {\n", "", "a: [\n"]),
    st.sampled_from(["", "x: yes\n", "  }\n", "\tx\n", "kafka: 1\n"]),
)
@hypothesis_settings(max_examples=400, deadline=None)
def test_no_secret_is_shown_in_whatever_it_is_wrapped(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str]], before: str, behind: str
) -> None:
    """However broken the YAML around a secret's key, nothing that is printed has the secret in it."""
    file = tmp_path_factory.getbasetemp() / f"wrapped-{os.getpid()}.yaml"
    written = "".join(f"{indent}{key}: {value.format(SECRET, SECRET)}\n" for indent, key, value in lines)
    file.write_text(before + written + behind)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    shown = "".join(render(caught.value.findings, form, caught.value.sources) for form in FORMATS)
    assert SECRET not in shown + str(caught.value)
