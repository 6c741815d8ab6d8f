"""Keys are remembered for 24 hours of the sandbox's clock, and repeats are counted."""

from __future__ import annotations

from hypothesis import given, strategies as st

from bridge.sandbox.memory import KeyBook, Taken, digest_text
from bridge.sandbox.process import SandboxProcess
from bridge.sandbox.workspaces import EXAMPLE, Workspace
from tests.sandbox.raw import BULK, SINGLE, V1, event, hmac_headers, keyed, packed, post

ENV = EXAMPLE.key
DAY = 86_400


def test_a_repeat_is_answered_alike_and_counted(sandbox: SandboxProcess) -> None:
    """The same bytes again: accepted with the same message id, counted as an identical repeat, kept once."""
    first, second = (post(sandbox, BULK, [keyed(ENV, "k-1")]).json()["records"] for _ in range(2))
    assert first == second
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["repeats_identical"], stats["repeats_different"]) == (1, 1, 0)
    assert len(list(sandbox.events())) == 1
    (facts,) = sandbox.keys()
    assert (facts["key"], facts["count"], facts["accepted"], facts["bytes_differ"]) == ("k-1", 2, 1, False)
    assert facts["digest"] == digest_text(packed(keyed(ENV, "k-1")))


def test_other_bytes_under_the_key_are_noticed(sandbox: SandboxProcess) -> None:
    """A repeat whose body differs in one byte, even in white space alone, is counted as different."""
    body = packed(keyed(ENV, "k-1"))
    post(sandbox, SINGLE, body)
    post(sandbox, BULK, b"[" + body.replace(b'"event":', b'"event": ') + b"]")
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["repeats_identical"], stats["repeats_different"]) == (1, 0, 1)
    found = sandbox.key("k-1")
    assert found["keys"][0]["bytes_differ"] is True
    assert found["keys"][0]["digest"] == digest_text(body)
    assert [kept["taken"] for kept in found["events"]] == ["new", "different"]


def test_the_window_ends_after_24_hours(sandbox: SandboxProcess) -> None:
    """A second short of 24 hours it is a repeat; a repeat does not prolong the window; after it, accepted anew."""
    post(sandbox, SINGLE, keyed(ENV, "k-1"))
    sandbox.advance(DAY - 60)
    post(sandbox, SINGLE, keyed(ENV, "k-1"))
    assert sandbox.stats()["events"]["repeats_identical"] == 1
    sandbox.advance(60)
    post(sandbox, SINGLE, keyed(ENV, "k-1"))
    post(sandbox, SINGLE, keyed(ENV, "k-1"))
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["after_window"], stats["repeats_identical"]) == (2, 1, 2)
    (facts,) = sandbox.keys()
    assert (facts["count"], facts["accepted"], facts["identical"]) == (4, 2, 2)
    assert facts["last_ms"] - facts["first_ms"] >= DAY * 1000


def test_a_repeat_inside_one_call_counts_too(sandbox: SandboxProcess) -> None:
    """Two records of one call with one key: the first is taken, the second is a repeat."""
    post(sandbox, BULK, [keyed(ENV, "k-1"), keyed(ENV, "k-1", distinct_id="customer-2")])
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["repeats_different"]) == (1, 1)


def test_keys_hold_over_paths_and_are_trimmed(sandbox: SandboxProcess) -> None:
    """A key counts on all three paths, and white space at its ends does not make it another key."""
    for path in (SINGLE, V1):
        post(sandbox, path, keyed(ENV, "k-1"))
    post(sandbox, BULK, [keyed(ENV, "  k-1 ")])
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["repeats_identical"], stats["repeats_different"]) == (1, 1, 1)


def test_keys_of_two_workspaces_do_not_meet(sandbox: SandboxProcess) -> None:
    """The same key in another workspace is another event."""
    second = Workspace("second-workspace-key-01", "secret", "second-api-key", "second-workspace-uid-01")
    sandbox.put_workspace(second)
    post(sandbox, SINGLE, keyed(ENV, "k-1"))
    body = packed(keyed(second.key, "k-1"))
    post(sandbox, SINGLE, body, hmac_headers(second, SINGLE, body))
    assert sandbox.stats()["events"]["accepted"] == 2
    assert [facts["workspace"] for facts in list(sandbox.keys())] == [ENV, second.key]


def test_a_refused_event_does_not_use_up_its_key(sandbox: SandboxProcess) -> None:
    """After a refusal the mended event is accepted under the same key."""
    post(sandbox, BULK, [keyed(ENV, "k-1", "$mine")])
    post(sandbox, BULK, [keyed(ENV, "k-1")])
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["refused"], stats["repeats_different"]) == (1, 1, 0)


def test_events_without_a_key_are_all_accepted(sandbox: SandboxProcess) -> None:
    """Without a key nothing is a repeat."""
    post(sandbox, BULK, [event(ENV), event(ENV), {**event(ENV), "$idempotency_key": " "}])
    stats = sandbox.stats()["events"]
    assert (stats["accepted"], stats["without_key"]) == (3, 3)
    assert list(sandbox.keys()) == []


def test_the_window_ends_to_the_millisecond() -> None:
    """One millisecond short of the window is a repeat, the window itself is past."""
    book = KeyBook(window_ms=1000)
    taken = [book.take(b"k", b"{}", at)[0] for at in (5, 1004, 1005, 2004, 2005)]
    assert taken == [Taken.NEW, Taken.IDENTICAL, Taken.AGAIN, Taken.IDENTICAL, Taken.AGAIN]


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.integers(0, 60)), max_size=60)


@given(STEPS)
def test_the_book_agrees_with_a_plain_model(steps: list[tuple[str, str, int]]) -> None:
    """Any run of keys, bodies and times is classified and counted as a naive list of what was accepted would do."""
    book, now = KeyBook(window_ms=100), 1_000
    accepted: dict[str, tuple[int, str]] = {}
    seen: dict[str, list[tuple[Taken, int, str]]] = {}
    for key, body, pause in steps:
        now += pause
        at, old = accepted.get(key, (-1, ""))
        expected = Taken.NEW if at < 0 else Taken.AGAIN if now - at >= 100 else Taken(2 + (old != body))
        if expected <= Taken.AGAIN:
            accepted[key] = (now, body)
        seen.setdefault(key, []).append((expected, now, body))
        assert book.take(key.encode(), body.encode(), now)[0] == expected
    facts = {known.key: known for known in book.all()}
    assert list(facts) == list(seen)
    for key, history in seen.items():
        kinds = [kind for kind, _, _ in history]
        known = facts[key]
        assert (known.times, known.first_ms, known.last_ms) == (len(history), history[0][1], history[-1][1])
        assert known.accepted == sum(kind <= Taken.AGAIN for kind in kinds)
        assert (known.identical, known.different) == (kinds.count(Taken.IDENTICAL), kinds.count(Taken.DIFFERENT))
        assert known.digest == digest_text(accepted[key][1].encode())
