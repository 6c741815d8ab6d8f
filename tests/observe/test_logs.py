"""The log: its lines, what is kept out of them, and that it is in nobody's way."""

from __future__ import annotations

import ast
import json
import logging
import os
import pty
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import bridge
from bridge.observe.events import EVENTS
from bridge.observe.logs import Limiter, Logs, LogWriter
from bridge.observe.redact import MASK, Redactor, mask, mask_text, parse_path, without
from bridge.settings.model import PERSONAL


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def lines_of(tmp_path: Path, use: Callable[[Logs], None], **settings: Any) -> list[dict[str, Any]]:
    file = tmp_path / "log"
    with file.open("wb") as out:
        logs = Logs(descriptor=out.fileno(), **settings)
        use(logs)
        logs.close()
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_a_line_is_json_with_its_event(tmp_path: Path) -> None:
    """A line is one JSON object: time in UTC, level, event, then the facts."""
    lines = lines_of(tmp_path, lambda logs: logs.logger.info("hold", reason="setup", offset=2**63), clock=lambda: 0.5)
    assert lines == [
        {"time": "1970-01-01T00:00:00.500Z", "level": "info", "event": "hold", "reason": "setup", "offset": 2**63}
    ]


def test_a_terminal_gets_colours() -> None:
    """In a terminal `auto` is for people: coloured, without JSON."""
    master, slave = pty.openpty()
    logs = Logs(descriptor=slave)
    logs.logger.warning("hold", reason="setup")
    logs.close()
    shown = os.read(master, 4096).decode()
    os.close(master)
    os.close(slave)
    assert "\x1b[" in shown
    assert "setup" in shown
    assert not shown.startswith("{")


def test_the_level_changes_at_run_time(tmp_path: Path) -> None:
    """What is below the level is left out, and the level may change while it runs."""

    def use(logs: Logs) -> None:
        logs.logger.debug("hold", n=1)
        logs.set_level("debug")
        logs.logger.debug("hold", n=2)
        logs.set_level("error")
        logs.logger.warning("hold", n=3)
        with pytest.raises(KeyError):
            logs.set_level("loud")

    assert [line["n"] for line in lines_of(tmp_path, use)] == [2]


def test_too_many_of_a_kind_are_counted(tmp_path: Path) -> None:
    """Of a flood of one kind the first are written, the count of the others is told, and other kinds go through."""
    clock = Clock()

    def use(logs: Logs) -> None:
        for n in range(50):
            logs.logger.warning("batch_retried", n=n)
            logs.logger.info("admin_action", n=n)
        logs.logger.info("hold")
        clock.now += 11
        logs.logger.info("hold")
        assert logs.left_out() == {"rate": 45, "queue": 0}

    lines = lines_of(tmp_path, use, limiter=Limiter(burst=5), monotonic=clock)
    kinds = [line["event"] for line in lines]
    assert (kinds.count("batch_retried"), kinds.count("admin_action"), kinds.count("hold")) == (5, 50, 2)
    told = next(line for line in lines if line["event"] == "left_out")
    assert (told["kind"], told["count"], told["seconds"]) == ("batch_retried", 45, 11.0)


def test_what_was_left_out_last_is_told_at_the_end(tmp_path: Path) -> None:
    """Closing the log tells what was left out since."""

    def use(logs: Logs) -> None:
        for _ in range(3):
            logs.logger.info("hold")

    lines = lines_of(tmp_path, use, limiter=Limiter(1))
    assert (lines[-1]["event"], lines[-1]["count"]) == ("left_out", 2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), max_size=200), st.integers(1, 4))
def test_nothing_is_left_out_silently(calls: list[tuple[str, float]], burst: int) -> None:
    """Whatever comes when: of each kind, lines written and lines counted as left out add up to the calls."""
    limiter = Limiter(burst, seconds=10)
    now, written, told = 0.0, 0, 0
    for kind, step in calls:
        now += step
        told += sum(left.lines for left in limiter.ended(now))
        written += limiter.allow(kind, now)
    told += sum(left.lines for left in limiter.ended(now, all_of_them=True))
    assert written + told == len(calls)


def test_a_stalled_output_stalls_nobody() -> None:
    """While the output takes nothing, calls return at once; what does not fit is dropped and counted."""
    reading, writing = os.pipe()
    logs = Logs(descriptor=writing, limiter=Limiter(burst=10**9))
    start = time.monotonic()
    for n in range(20_000):
        logs.logger.info("hold", n=n, text="x" * 200)
    assert time.monotonic() - start < 120
    dropped = logs.left_out()["queue"]
    assert 0 < dropped < 20_000
    got = b""

    def close() -> None:
        logs.close()
        os.close(writing)

    closing = threading.Thread(target=close)
    closing.start()
    while chunk := os.read(reading, 1 << 20):
        got += chunk
    closing.join(120)
    os.close(reading)
    assert got.count(b"\n") == 20_000 - dropped


def test_a_broken_output_is_no_error() -> None:
    """An output that is gone costs lines, which are counted, and nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    writer = LogWriter(writing)
    writer.put(b"line\n")
    assert writer.close()
    assert writer.dropped == 1
    os.close(writing)


def test_an_output_that_never_takes_a_line_does_not_hold_up_the_end() -> None:
    """Closing waits for a bounded time."""
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    for _ in range(10):
        writer.put(b"x" * 65_536)
    assert writer.close(0.2) is False
    os.close(reading)
    os.close(writing)


SECRETS = ("hunter2-hunter2", "wk_ABCDEFGH:/+=")


@pytest.mark.parametrize(
    "facts",
    [
        {"Authorization": "Bearer abcdefghi"},
        {"headers": {"authorization": "x", "Cookie": "x"}},
        {"password": "x", "sasl.password": "x", "api_key": "x", "apiKey": "x", "admin_token": "x", "secret_file": "x"},
        {"message": "sent Authorization: Bearer abcdef.ghi-jkl"},
        {"message": "Bearer abcdef.ghi-jkl refused"},
        {"message": "proxy http://user:hunter3@proxy:3128 refused"},
        {"message": f"GET /?k={SECRETS[0]} refused", "nested": [[{"n": f"<{SECRETS[1]}>"}]]},
        {"exc_info": ValueError(f"bad {SECRETS[0]}")},
        {SECRETS[0]: "as a key"},
    ],
)
def test_no_secret_in_a_line(tmp_path: Path, facts: dict[str, Any]) -> None:
    """Secrets are masked by name, by looks and by value, wherever they stand."""
    redactor = Redactor(secrets=lambda: SECRETS)
    text = json.dumps(lines_of(tmp_path, lambda logs: logs.logger.error("unexpected", **facts), redactor=redactor))
    for bad in (*SECRETS, "abcdef", "hunter3", '"x"'):
        assert bad not in text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=30,
    )
)
def test_any_fact_becomes_a_line(value: Any) -> None:
    """Whatever a fact is, the line is one line of valid JSON and no exception reaches the caller."""
    logs = Logs(descriptor=os.open(os.devnull, os.O_WRONLY), form="json")
    line = logs._line("info", {"event": "hold", "value": value})
    logs.close()
    assert line.count(b"\n") == 1
    json.loads(line)


def test_a_fact_that_cannot_be_shown_costs_its_line_only(tmp_path: Path) -> None:
    """A fact whose text cannot be made is told as such, and the caller goes on."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError

    lines = lines_of(tmp_path, lambda logs: logs.logger.info("hold", bad=Bad()))
    assert lines[0]["message"] == "a log line could not be made: RuntimeError"


@pytest.mark.parametrize("allowed", [False, True])
def test_payloads_only_when_asked_for(tmp_path: Path, allowed: bool) -> None:
    """A payload is left out unless `log_payloads` is set, and then the listed paths are masked."""
    redactor = Redactor(log_payloads=allowed, redact=["customer.email", "items[].note", ".ids.*"])
    payload = b'{"customer":{"email":"a@b.c","id":7},"items":[{"note":"n","sku":1},{"note":"m"}],"ids":{"a":1,"b":2}}'
    lines = lines_of(tmp_path, lambda logs: logs.logger.info("payload", payload=payload), redactor=redactor)
    if not allowed:
        assert "payload" not in lines[0]
        return
    assert lines[0]["payload"] == {
        "customer": {"email": MASK, "id": 7},
        "items": [{"note": MASK, "sku": 1}, {"note": MASK}],
        "ids": {"a": MASK, "b": MASK},
    }


def test_a_payload_that_is_not_json_is_only_measured(tmp_path: Path) -> None:
    """A payload that no path can be applied to is told by its size."""
    redactor = Redactor(log_payloads=True)
    lines = lines_of(tmp_path, lambda logs: logs.logger.info("payload", payload=b"\xff\x00"), redactor=redactor)
    assert lines[0]["payload"] == "<2 bytes, not JSON>"


@given(st.text())
def test_masking_changes_no_ordinary_text(text: str) -> None:
    """A text without a secret stays as it is."""
    if not any(mark in text.lower() for mark in ("bearer", "basic", "authorization", "://")):
        assert mask_text(text) == text


def test_masking_is_bounded() -> None:
    """Depth, items and text are bounded, so that no line grows without end."""
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    assert len(json.dumps(mask(deep))) < 200
    assert len(mask(list(range(10_000)))) == 100
    assert len(mask_text("x" * 10**6)) < 70_000


def test_a_path_that_leads_nowhere_changes_nothing() -> None:
    """Paths are applied where they exist, and nowhere else."""
    assert without({"a": 1, "b": [1, 2]}, parse_path("b.c")) == {"a": 1, "b": [1, 2]}


def test_libraries_log_the_same_way(tmp_path: Path) -> None:
    """What a library logs by the standard library becomes a line of ours."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def use(logs: Logs) -> None:
        logs.capture_libraries()
        logging.getLogger("aiohttp").warning("token=%s", "Bearer abcdefgh")
        logging.getLogger("aiohttp").info("chatter")

    try:
        lines = lines_of(tmp_path, use)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert [(line["event"], line["name"]) for line in lines] == [("library", "aiohttp")]
    assert "abcdefgh" not in json.dumps(lines)


LOG_METHODS = {"debug", "info", "warning", "error", "log", "note"}


def named_event(call: ast.Call) -> str | None:
    """The event that a call names: a log method's first argument, an `Entry`'s, or the second of a `log_…`."""
    function = call.func
    if isinstance(function, ast.Attribute):
        place = 0 if function.attr in LOG_METHODS else None
    else:
        name = function.id if isinstance(function, ast.Name) else ""
        line = name == "Entry" and len(call.args) == 3 and isinstance(call.args[2], ast.Dict)
        place = 0 if line else 1 if name.startswith(("log_", "tell_")) else None
    given = call.args[place] if place is not None and len(call.args) > place else None
    event = given.value if isinstance(given, ast.Constant) else None
    return event if isinstance(event, str) and re.fullmatch("[a-z_]+", event) else None


def test_every_logged_event_is_in_the_table() -> None:
    """Each event that the code names to the log is in the table (that each of the table is told: `test_events`)."""
    named = {
        event: f"{file.name}:{node.lineno}"
        for file in Path(bridge.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and (event := named_event(node))
    }
    assert {event: where for event, where in named.items() if event not in EVENTS} == {}
    assert len(named) > 30


def test_the_last_errors_are_kept_by_kind(tmp_path: Path) -> None:
    """Warnings and worse are kept, the newest first: when, what, where, how often; also those that were left out."""
    clock = Clock()
    with (tmp_path / "log").open("wb") as out:
        logs = Logs(descriptor=out.fileno(), limiter=Limiter(burst=1), clock=clock, level="error")
        place = {"topic": "t", "partition": 1}
        for n in range(3):
            clock.now += 1
            logs.logger.warning("dead_letter", rule="r", code="wrong_type", message="no text", offset=n, **place)
        logs.logger.warning("dead_letter", rule="r", code="missing", message="no text", offset=9, **place)
        logs.logger.warning("batch_retried", spans=["t:1:3-7"], code="503", message="busy", reason="transient")
        logs.logger.info("hold_lifted", reason="brake")
        logs.logger.warning("payload", payload=b"{}", topic="t")
        found = [(error.kind, error.where, error.message, error.times) for error in logs.last_errors()]
        assert logs.last_errors()[-1].at == clock.now
        logs.close()
    assert found == [
        ("batch_retried", "t:1:3-7", "503: transient: busy", 1),
        ("dead_letter", "t:1:9", "r: missing: no text", 1),
        ("dead_letter", "t:1:2", "r: wrong_type: no text", 3),
    ]


def test_the_last_errors_hold_no_secret_and_are_bounded(tmp_path: Path) -> None:
    """Secrets are masked there as in the log; the oldest kinds go."""
    with (tmp_path / "log").open("wb") as out:
        logs = Logs(descriptor=out.fileno(), redactor=Redactor(secrets=lambda: SECRETS))
        for n in range(200):
            logs.logger.error("library", name=f"lib-{n}", message=f"{SECRETS[0]} " + "x" * 10_000)
        errors = logs.last_errors()
        logs.close()
    assert len(errors) == 50
    assert errors[0].message.startswith("lib-199: ***")
    assert all(len(error.message) <= 400 for error in errors)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "email"]), inner, max_size=2),
        max_leaves=30,
    )
)
def test_a_path_at_any_depth_masks_every_one(value: Any) -> None:
    """`**.email` masks what is called so wherever it stands, and nothing else."""

    def masked(item: Any) -> Any:
        if isinstance(item, list):
            return [masked(one) for one in item]
        if isinstance(item, dict):
            return {key: MASK if key == "email" else masked(one) for key, one in item.items()}
        return item

    assert without(value, parse_path("**.email")) == masked(value)


def test_the_usual_names_are_masked_without_a_word(tmp_path: Path) -> None:
    """The default of `logs.redact` masks addresses of people at any depth."""
    redactor = Redactor(log_payloads=True, redact=PERSONAL)
    payload = {"customer": {"email": "a@b.c", "id": 7}, "properties": {"$sms": ["+1"], "to": [{"phone": "1"}]}}
    lines = lines_of(tmp_path, lambda logs: logs.logger.info("payload", payload=json.dumps(payload)), redactor=redactor)
    assert lines[0]["payload"] == {
        "customer": {"email": MASK, "id": 7},
        "properties": {"$sms": MASK, "to": [{"phone": MASK}]},
    }
