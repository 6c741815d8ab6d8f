"""The judge of the soak finds what is wrong: evidence made by hand, spoilt one thing at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.soak.accepted import Accepted
from tests.soak.commitlog import Commit
from tests.soak.facts import Column, Kind, Made
from tests.soak.judge import Evidence, Judgement, judge_outcomes
from tests.soak.stage import Allowed

T = "t"


def _key(partition: int, offset: int, timestamp: int, recipient: str, n: int) -> str:
    return f"k{offset}"


def _entry(at_ms: int, **more: Any) -> dict[str, Any]:
    base = {"first_ms": at_ms, "last_ms": at_ms, "count": 1, "identical": 0, "different": 0, "bytes_differ": False}
    return {**base, **more}


def _fine() -> dict[str, Any]:
    """Four records: two delivered, one filtered, one dead-lettered; two commits, both true."""
    kinds = (Kind.DELIVERED, Kind.FILTERED, Kind.REFUSED, Kind.DELIVERED)
    column = Column((T, 0), _key)
    for at, kind in enumerate(kinds):
        column.add(at, Made(kind, 7, at, 0))
    return {
        "columns": {(T, 0): column},
        "keys": {"k0": _entry(1_000), "k3": _entry(2_000)},
        "letters": {(T, 0, 2): [1_500]},
        # The second record of the note's runs: offset 2 is unfinished, 3 is finished.
        "commits": [Commit(T, 0, 2, "b1;2100;3;3;1,1", 2_100), Commit(T, 0, 4, "b1;2200;3;3;", 2_200)],
        "past": frozenset(),
    }


def _judged(evidence: dict[str, Any], allowed: Allowed | None = None) -> Judgement:
    entries = [{"key": key, **entry} for key, entry in evidence.pop("keys").items()]
    return judge_outcomes(Evidence(accepted=Accepted(entries), **evidence), allowed or Allowed())


def test_what_is_right_has_no_violation() -> None:
    """Records that ended as they had to, and commits that say no more than that, are left in peace."""
    assert _judged(_fine()).violations == []


def _without_event(evidence: dict[str, Any]) -> None:
    del evidence["keys"]["k3"]


def _without_letter(evidence: dict[str, Any]) -> None:
    evidence["letters"] = {}


def _letter_of_a_good_one(evidence: dict[str, Any]) -> None:
    evidence["letters"][T, 0, 0] = [900]


def _letter_of_a_filtered_one(evidence: dict[str, Any]) -> None:
    evidence["letters"][T, 0, 1] = [900]


def _foreign_key(evidence: dict[str, Any]) -> None:
    evidence["keys"]["other"] = _entry(1_200)


def _other_bytes(evidence: dict[str, Any]) -> None:
    evidence["keys"]["k0"] = _entry(1_000, count=2, different=1, last_ms=1_100, bytes_differ=True)


def _below_the_watermark_too_soon(evidence: dict[str, Any]) -> None:
    evidence["keys"]["k0"] = _entry(2_150)


def _letter_after_the_commit(evidence: dict[str, Any]) -> None:
    evidence["letters"][T, 0, 2] = [9_000]


def _note_too_soon(evidence: dict[str, Any]) -> None:
    evidence["keys"]["k3"] = _entry(2_150)


def _backwards(evidence: dict[str, Any]) -> None:
    evidence["commits"].append(Commit(T, 0, 3, "", 2_300))


def _sent_after_the_watermark_passed(evidence: dict[str, Any]) -> None:
    evidence["keys"]["k0"] = _entry(1_000, count=2, identical=1, last_ms=5_000)


def _sent_after_the_note_said_so(evidence: dict[str, Any]) -> None:
    evidence["commits"].pop()
    evidence["keys"]["k3"] = _entry(2_000, count=2, identical=1, last_ms=5_000)


def _out_of_order(evidence: dict[str, Any]) -> None:
    evidence["keys"] = dict(reversed(evidence["keys"].items()))


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (_without_event, "I1"),
        (_without_letter, "I1"),
        (_letter_of_a_good_one, "I5"),
        (_letter_of_a_filtered_one, "I5"),
        (_foreign_key, "I4"),
        (_other_bytes, "I4"),
        (_below_the_watermark_too_soon, "I2"),
        (_letter_after_the_commit, "I2"),
        (_note_too_soon, "I2"),
        (_backwards, "I3"),
        (_sent_after_the_watermark_passed, "I7"),
        (_sent_after_the_note_said_so, "I7"),
        (_out_of_order, "I6"),
    ],
)
def test_each_thing_wrong_is_found(spoil: Any, invariant: str) -> None:
    """One change to evidence that was fine, and the invariant that it breaks is named."""
    evidence = _fine()
    spoil(evidence)
    assert any(text.startswith(invariant) for text in _judged(evidence).violations)


def test_repeats_over_what_is_excused_are_found() -> None:
    """A repeat that no commit forbids is one too many where the row excuses none."""
    evidence = _fine()
    evidence["keys"]["k0"] = _entry(1_000, count=2, identical=1, last_ms=1_100)
    assert _judged(dict(evidence)).violations == []
    assert _judged(evidence, Allowed(repeats=0)).violations == ["I7: 1 repeats, at most 0 are excused"]
