"""When a fault strikes, that it is seeded, and that a rule which cannot be used is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.sandbox.call import ApiCall, ApiPath
from bridge.sandbox.faults.fault_plan import FaultPlan
from bridge.sandbox.faults.spec import FaultError, parse_faults
from bridge.sandbox.process import SandboxError, SandboxProcess
from tests.sandbox.raw import BULK, packed, post


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def plan(*rules: dict[str, Any], seed: int = 1, clock: Clock | None = None) -> FaultPlan:
    """Rules in force."""
    made = FaultPlan(seed, clock or Clock())
    made.add(parse_faults([{"fault": "status", "status": 503, **rule} for rule in rules]))
    return made


def call(path: str = BULK, **fields: object) -> ApiCall:
    """A call of one event."""
    return ApiCall(ApiPath.BULK, path, {}, packed([{"event": "order_placed", "distinct_id": "c-1", **fields}]))


def struck(rules: FaultPlan, count: int) -> list[int]:
    """Which of so many equal calls are struck."""
    return [at for at in range(count) if rules.choose(call()).rule is not None]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"calls": 2}, [0, 1]),
        ({"skip": 3}, [3, 4, 5, 6, 7]),
        ({"every": 3}, [2, 5]),
        ({"skip": 1, "every": 2, "calls": 2}, [2, 4]),
        ({"probability": 0}, []),
    ],
)
def test_counted(when: dict[str, Any], expected: list[int]) -> None:
    """`skip`, `every` and `calls` count the calls that match."""
    assert struck(plan({"when": when}), 8) == expected


def test_seeded() -> None:
    """The same seed strikes the same calls, another seed others, at the asked rate."""
    rule = {"when": {"probability": 0.3}}
    first = struck(plan(rule, seed=5), 1000)
    assert first == struck(plan(rule, seed=5), 1000)
    assert first != struck(plan(rule, seed=6), 1000)
    assert 220 < len(first) < 380


def test_timed() -> None:
    """`after` and `until` are seconds since the rule was posted."""
    clock = Clock()
    rules = plan({"when": {"after": 5, "until": 10}}, clock=clock)
    seen = []
    for second in range(12):
        clock.now = 100.0 + second
        seen.append(rules.choose(call()).rule is not None)
    assert seen == [False] * 5 + [True] * 5 + [False] * 2
    assert rules.shown()[0]["active"] is False


@pytest.mark.parametrize(
    ("match", "hits"),
    [
        ({"event": "order"}, True),
        ({"event": {"equals": "order"}}, False),
        ({"event": {"regex": "^order_(placed|paid)$"}}, True),
        ({"distinct_id": {"equals": "c-1"}}, True),
        ({"key": "k"}, False),
        ({"path": "bulk"}, True),
        ({"path": {"equals": "/event/"}}, False),
        ({"path": "bulk", "event": "order", "distinct_id": "c-2"}, False),
    ],
)
def test_matched(match: dict[str, Any], hits: bool) -> None:
    """A rule strikes a call whose path and at least one event meet all of its conditions."""
    assert (plan({"when": {"match": match}}).choose(call()).rule is not None) is hits


def test_the_first_that_strikes_wins() -> None:
    """Rules are asked in order; one spent gives way to the next, and rejections come on top."""
    rules = plan({"name": "a", "when": {"calls": 1}}, {"name": "b"})
    rules.add(parse_faults({"fault": "reject", "name": "c"}))
    chosen = [rules.choose(call()) for _ in range(2)]
    assert [found.rule.name for found in chosen if found.rule is not None] == ["a", "b"]
    assert [[rejection.rule.name for rejection in found.rejections] for found in chosen] == [["c"], ["c"]]


WRONG: list[tuple[object, str]] = [
    ({"fault": "nonsense"}, "rule 0"),
    ({}, "rule 0"),
    ("status", "rule 0"),
    ({"fault": "status"}, "rule 0 (status): status"),
    ({"fault": "status", "status": 99}, "status"),
    ({"fault": "status", "status": 503, "typo": 1}, "typo"),
    ({"fault": "status", "status": 503, "headers": {"X": "a\r\nb"}}, "header 'X' cannot be sent"),
    ({"fault": "delay"}, "rule 0 (delay): seconds"),
    ({"fault": "delay", "seconds": 1, "apply": False}, "apply"),
    ({"fault": "disconnect_before", "apply": True}, "apply"),
    ({"fault": "drip", "bytes_per_second": 0}, "bytes_per_second"),
    ({"fault": "wrong_count", "by": 0}, "0 would change nothing"),
    ({"fault": "reject", "when": {"match": {"key": {"regex": "("}}}}, "not a regular expression"),
    ({"fault": "reject", "when": {"match": {"key": {"contains": "a", "equals": "b"}}}}, "exactly one"),
    ({"fault": "reject", "when": {"match": {"name": "a"}}}, "when.match.name"),
    ({"fault": "hang", "when": {"probability": 1.5}}, "when.probability"),
    ({"fault": "hang", "when": {"every": 0}}, "when.every"),
    ({"fault": "redirect", "location": "a b"}, "location"),
    ([{"fault": "hang"}, {"fault": "drip"}], "rule 1 (drip): bytes_per_second"),
]


@pytest.mark.parametrize(("rule", "message"), WRONG, ids=[str(rule) for rule, _ in WRONG])
def test_a_wrong_rule_is_refused(rule: object, message: str) -> None:
    """What cannot be used is named with its rule and field."""
    with pytest.raises(FaultError) as refused:
        parse_faults(rule)
    assert message in str(refused.value)


def test_rules_over_http(sandbox: SandboxProcess) -> None:
    """Rules are added, listed with their counts, taken away one by one, replaced and cleared; wrong ones are a 400."""
    assert sandbox.post_faults({"fault": "status", "status": 503}, {"fault": "hang", "name": "dead"}) == [1, 2]
    assert post(sandbox, BULK, b"[]").status == 503
    first, second = sandbox.faults()
    assert (first["struck"], first["rule"], first["active"]) == (1, {"fault": "status", "status": 503}, True)
    assert (second["name"], second["struck"]) == ("dead", 0)
    sandbox.call("DELETE", "/_sandbox/faults/1")
    assert [rule["id"] for rule in sandbox.faults()] == [2]
    assert sandbox.call("PUT", "/_sandbox/faults", {"fault": "delay", "seconds": 0})["added"] == [1]
    with pytest.raises(SandboxError, match=r"400.*rule 0 \(drip\): bytes_per_second"):
        sandbox.post_faults({"fault": "drip"})
    with pytest.raises(SandboxError, match="404"):
        sandbox.call("DELETE", "/_sandbox/faults/9")
    assert [rule["name"] for rule in sandbox.faults()] == ["delay"]
    sandbox.clear_faults()
    assert sandbox.faults() == []
