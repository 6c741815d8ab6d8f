"""The short version of `make soak`: rows of the fault matrix, a few faults each, on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers.fixtures import StartKafka
from tests.brokers.real import RealKafka
from tests.soak.commit_proxy import COMMIT_ERRORS
from tests.soak.matrix import ROWS, play

SHARED = [
    ("kill", "classic", 3, 3_000),
    ("kill-after-apply", "consumer", 1, 500),
    ("sigterm", "range", 2, 2_000),
    ("rolling-restart", "consumer", 2, 1_000),
    ("output-blocked", "classic", 1, 1_000),
    ("api-429", "classic", 1, 500),
    ("api-poison", "classic", 1, 1_000),
    ("api-refuses-all", "classic", 1, 500),
    ("retention-gap", "classic", 1, 500),
    ("dead-letters-too-large", "classic", 1, 300),
    ("topic-recreated", "classic", 1, 500),
]


@pytest.mark.parametrize(("row", "group", "faults", "records"), SHARED)
def test_a_row_of_the_matrix(kafka: RealKafka, tmp_path: Path, row: str, group: str, faults: int, records: int) -> None:
    """Nothing is lost, wrongly dead-lettered, rewound or sent again once committed, whatever the row does."""
    result = play(row, kafka, tmp_path / row, seed=1, protocol=group, faults=faults, records=records)
    assert result.judged.violations == []
    assert result.judged.commits > 0
    assert sum(result.faults.values()) >= faults


@pytest.mark.parametrize(
    ("row", "group"), [("broker-kill", "classic"), ("broker-network", "consumer"), ("dead-letters-refused", "classic")]
)
def test_a_row_with_a_broker_of_its_own(start_kafka: StartKafka, tmp_path: Path, row: str, group: str) -> None:
    """The same with brokers that die and connections that break."""
    kafka = start_kafka(nodes=ROWS[row].nodes, kind=ROWS[row].kind)
    result = play(row, kafka, tmp_path / row, seed=1, protocol=group, faults=1, records=1_000)
    assert result.judged.violations == []
    assert sum(result.faults.values()) >= 1


def test_each_error_of_a_commit(start_kafka: StartKafka, tmp_path: Path) -> None:
    """Whatever a commit is answered with, polling goes on, and nothing is lost or sent again once committed."""
    kafka = start_kafka(kind=ROWS["commits-refused"].kind)
    result = play(
        "commits-refused", kafka, tmp_path / "row", seed=1, protocol="classic", faults=len(COMMIT_ERRORS), records=2_000
    )
    assert result.judged.violations == []
    assert set(result.faults) == {f"commits refused: {each.name}" for each in COMMIT_ERRORS}


def test_every_row_says_what_it_does() -> None:
    """The list that `--list` shows has a line for each."""
    assert all(row.play.__doc__ for row in ROWS.values())
