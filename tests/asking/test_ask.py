"""What is unknown of SuprSend can be asked: shown on the sandbox in each way in which it may answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.asking.ask import Asked, Redaction, ask, call, lines, shown, wanted, wrong
from bridge.asking.questions import MADE_UP, QUESTIONS, Ground, QuestionCall
from bridge.cli.main import run
from bridge.flow import Reply
from bridge.kafka.tools.mock import MockCluster
from bridge.sandbox.api import VARIANTS
from bridge.sandbox.process import SandboxProcess
from bridge.suprsend.answers import make_judge
from bridge.suprsend.endpoint import Endpoint
from bridge.suprsend.signing import Bearer, Credentials, Hmac

PERSON = "person-0042"
USUAL = "no-tenants"
"""The ways of the sandbox in which every answer is as expected."""


@contextmanager
def sandbox(variants: str = USUAL, **options: str) -> Iterator[SandboxProcess]:
    more = {name.replace("_", "-"): value for name, value in options.items()}
    with SandboxProcess(options={"variants": variants, **more}) as started:
        yield started


def asked(of: SandboxProcess, *, api_key: bool = False) -> dict[str, Asked]:
    workspace = of.workspace
    own: Credentials = Hmac(workspace.key, workspace.secret)
    if api_key:
        own = Bearer(workspace.api_key, workspace.uid)
    endpoint = Endpoint(base_url=of.url)

    def send(one: QuestionCall) -> Reply:
        who = own if one.credentials == "own" else wrong(own)
        return call(endpoint, lambda: who, one.body, path=one.path, late=one.late)

    ground = Ground(PERSON, own.env, "r0", time.time_ns() // 1_000_000)
    found = ask(wanted(QUESTIONS, signed=not api_key), ground, send, make_judge())
    return {each.question.name: each for each in found}


def differing(found: dict[str, Asked]) -> set[str]:
    return {name for name, each in found.items() if not each.as_expected}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_a_row_is_whole(question: object) -> None:
    """Each question says what it asks, what it does to the person, what is expected and why, and what the bridge does."""
    assert question in QUESTIONS
    (row,) = [each for each in QUESTIONS if each == question]
    calls = row.calls(Ground(PERSON, "e" * 20, "r0", 1_800_000_000_000))
    assert len(row.expected) == len(calls)
    assert all(row.expected)
    assert all((row.asks.endswith("?"), row.person, row.why, row.acts))
    for verdicts, one in zip(row.expected, calls, strict=True):
        assert {len(text.split(", ")) for text in verdicts} == {max(1, one.events)}


@pytest.fixture(scope="module")
def usual() -> Iterator[SandboxProcess]:
    with sandbox() as started:
        yield started


def test_everything_as_expected_and_harmless(usual: SandboxProcess) -> None:
    """All questions are asked, with events `bridge_check_…` for that person or for ids that are made up, and no other."""
    usual.reset()
    found = asked(usual)
    assert list(found) == [question.name for question in QUESTIONS]
    assert differing(found) == set()
    events = list(usual.events())
    assert events
    assert {event["event"][:13] for event in events} == {"bridge_check_"}
    assert all(event["distinct_id"] == PERSON or event["distinct_id"].startswith(MADE_UP) for event in events)
    assert all(event["key"].startswith(MADE_UP) for event in events)


def test_with_an_api_key(usual: SandboxProcess) -> None:
    """With an API key the calls have no date, so that nothing is asked of dates; all else is."""
    usual.reset()
    found = asked(usual, api_key=True)
    assert differing(found) == set()
    assert set(found) == {question.name for question in QUESTIONS if not question.signed_only}
    assert {question.name for question in QUESTIONS if question.signed_only} == {"date-600", "date-86400"}


@pytest.mark.parametrize(
    ("variants", "options", "differ", "verdicts"),
    [
        (
            "duplicate-error,refusal-uses-key,properties-free,short-body",
            {"max_event_bytes": "819200", "max_body_bytes": "2000000", "max_skew": "300"},
            {"duplicate-same-body", "duplicate-other-body", "key-after-refusal", "date-600"},
            {
                "duplicate-same-body": ["accepted", "invalid"],
                "key-after-refusal": ["invalid", "invalid"],
                "reserved-properties": ["accepted", "accepted"],
                "short-body": ["accepted"],
                "event-over-100KB": ["accepted"],
                "call-over-800KB": ["accepted, " * 8 + "accepted"],
                "date-600": ["setup", "setup"],
                "date-86400": ["setup", "setup"],
            },
        ),
        (
            "bulk-refused-whole",
            {"max_body_bytes": "50000"},
            {"bulk-one-bad", "unknown-tenant"},
            {
                "bulk-one-bad": ["invalid, invalid"],
                "unknown-tenant": ["setup"],
                "event-over-100KB": ["too_large"],
            },
        ),
    ],
)
def test_another_way_of_answering_is_seen(
    variants: str, options: dict[str, str], differ: set[str], verdicts: dict[str, list[str]]
) -> None:
    """Where SuprSend answers in another way, exactly the questions about it differ, and say what the bridge makes of it."""
    with sandbox(",".join(filter(None, (USUAL, variants))), **options) as started:
        found = asked(started)
    assert differing(found) == differ
    for name, expected in verdicts.items():
        assert [answer.verdicts for answer in found[name].answers] == expected


def test_what_the_usual_sandbox_leaves_open() -> None:
    """A SuprSend that takes longer ids and unknown tenants is told as one."""
    with sandbox("ids-free") as started:
        found = asked(started)
    assert differing(found) == {"long-ids", "unknown-tenant"}


def test_nobody_there_ends_it_after_the_first_question() -> None:
    """Where nobody answers, one question is enough."""
    nobody = SandboxProcess()
    nobody.url = "http://127.0.0.1:9/"
    found = asked(nobody)
    assert list(found) == ["bulk-all-good"]
    assert "nothing listens there" in (found["bulk-all-good"].cannot_be_asked or "")


SECRETS = {"e" * 20: "<workspace>", PERSON: "<person 1234>", 's3"cr\\et-é': "<secret>"}


@pytest.mark.parametrize(
    "body",
    [
        {"status": "error", "error": {"type": "x", "message": f"user [distinct_id: '{PERSON}'] not found"}},
        {"message": 'authorised by s3"cr\\et-é for ' + "e" * 20},
        {"failed_records": [{"record": {"distinct_id": PERSON, "env": "e" * 20, "p": {PERSON: PERSON}}, "error": "x"}]},
        {PERSON: 1, "a": [{"b": [PERSON]}]},
        {"message_id": PERSON},
    ],
)
def test_no_secret_and_no_id_is_shown(body: object) -> None:
    """Whatever an answer echoes, neither the person's id, nor a key, nor a secret stands in what is shown or written."""
    redaction = Redaction(SECRETS, "salt")
    text = redaction.line(redaction.body(json.dumps(body, ensure_ascii=False).encode()))
    json.loads(text)
    for private in SECRETS:
        assert private not in text
        assert json.dumps(private)[1:-1] not in text


def test_what_is_kept_of_an_answer() -> None:
    """Its shape, SuprSend's words and numbers stay, and equal ids have equal hashes."""
    redaction = Redaction({"1": "<person>"}, "salt")
    body = b'\xef\xbb\xbf{"status":"error","code":12,"message":"user 1 of 31 <a@b.c> 10.0.0.1 0123456789abcdef012345","x":"?"}'
    assert redaction.body(body) == {
        "status": "error",
        "code": 12,
        "message": "user <person> of 31 <<…>> <…> <…>",
        "x": "<1 characters>",
    }
    assert redaction.body(b'{"message_id":"01J-m"}') == {"message_id": f"<id {redaction.hashed('01J-m')}>"}
    assert redaction.body(b"<html>") == "<6 bytes that are no JSON>"
    assert redaction.body(b"OK") == "OK"
    assert redaction.body(b"[" * 20 + b"]" * 20) is not None


def test_a_question_is_shown_with_expected_and_seen() -> None:
    """Expected and seen stand below each other, with what the bridge does; the file has a line for each call."""
    with sandbox("duplicate-error") as started:
        found = asked(started)["duplicate-same-body"]
    redaction = Redaction({PERSON: "<person>"}, "salt")
    text = "\n".join(shown(found, redaction))
    assert "expected 2  accepted\n" in text
    assert 'seen 2      invalid: status 207 {"status":"success","records":[{"status":"error","status_code":409' in text
    assert "DIFFERS. The bridge: accepted → delivered, once" in text
    first, second = (json.loads(line) for line in lines(found, redaction))
    assert (first["as_expected"], second["as_expected"], second["verdicts"]) == (True, False, "invalid")
    assert second["body"]["records"][0]["error"]["type"] == "duplicate_request"


SETTINGS = """\
kafka:
  bootstrap_servers: ["{kafka}"]
  topics: [t]
  group_id: g
  dead_letter_topic: dead
suprsend:
  base_url: {url}
  workspace_key: sandbox-workspace-key-01
  workspace_secret: {secret}
"""
RULE = "rules:\n  - {name: a, topics: [t], event: told, distinct_id: u1}\n"


@pytest.fixture(scope="module")
def kafka() -> Iterator[MockCluster]:
    with MockCluster({"t": 1, "dead": 1}) as started:
        yield started


@pytest.fixture
def prepared(
    kafka: MockCluster, usual: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SandboxProcess:
    monkeypatch.setattr("bridge.kafka.tools.preflight._ANSWER_SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    usual.reset()
    Path("rules").mkdir()
    Path("rules/a.yaml").write_text(RULE)
    text = SETTINGS.format(kafka=kafka.bootstrap, url=usual.url, secret=usual.workspace.secret)
    Path("bridge.yaml").write_text(text)
    return usual


ASK = ["check", "--config", "bridge.yaml", "--live", "--ask-suprsend", PERSON]


def test_the_command(prepared: SandboxProcess, capsys: pytest.CaptureFixture[str]) -> None:
    """It says before what each question will do, shows each, and leaves a file without secrets, keys and ids."""
    assert run([*ASK, "--yes", "--ask-file", "answers.jsonl"]) == 0
    out = capsys.readouterr().out
    before, _, after = out.partition("bulk-all-good: ")
    assert all(f"  {question.name} " in before for question in QUESTIONS)
    assert "for the person:" in before
    assert "21 of 21 questions asked; all as expected" in after
    text = Path("answers.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert {row["question"] for row in rows[1:]} == {question.name for question in QUESTIONS}
    for private in (PERSON, prepared.workspace.secret, prepared.workspace.key, MADE_UP):
        assert private not in text
    assert "sandbox-1" not in text


def test_no_is_no(
    prepared: SandboxProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever answers no has sent nothing but the call without events of `--live`."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda _text: False)
    assert run(ASK) == 1
    assert "nothing was sent" in capsys.readouterr().err
    assert prepared.stats()["calls"]["total"] == 1
    assert not list(Path().glob("*.jsonl"))


def test_wrong_keys_are_told_and_nothing_else_is_asked(
    prepared: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """With keys that SuprSend rejects the first question is the last, and says so."""
    Path("bridge.yaml").write_text(Path("bridge.yaml").read_text().replace(prepared.workspace.secret, "another-secret"))
    assert run([*ASK, "--yes"]) == 1
    out = capsys.readouterr().out
    assert "stopped: status 401, SuprSend's JSON: " in out
    assert "1 of 21 questions asked" in out
    assert not list(prepared.events())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "--ask-suprsend", PERSON, "--yes"], "--ask-suprsend needs --live"),
        (ASK, "add --yes"),
        (["check", "--live", "--ask-suprsend", " ", "--yes"], "give the distinct_id of a person of yours"),
        (["check", "--live", "--ask-suprsend", "x" * 256, "--yes"], "give the distinct_id of a person of yours"),
        ([*ASK, "--yes", "--format", "json"], "--ask-file"),
        ([*ASK, "--yes", "--ask-file", "nowhere/x"], "cannot be written"),
    ],
)
def test_wrong_usage(
    prepared: SandboxProcess, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that cannot be meant are one line, exit code 2, and no event."""
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert not list(prepared.events())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_has_a_name_that_is_known(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown variant is refused with the names that there are."""
    assert run(["sandbox", "--variants", f"{name},nonsense"]) == 2
    assert name in capsys.readouterr().err
