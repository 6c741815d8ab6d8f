"""The differential test: random programs and a corpus, compared with libjq."""

from __future__ import annotations

import os
from pathlib import Path
from random import SystemRandom

import pytest

from tests.jq.differential import Report, check, compare
from tests.jq.oracle import Oracle

HERE = Path(__file__).parent
CORPUS = (HERE / "corpus.txt", HERE / "oneliners.txt")
"""Corners of jq, and programs as people write them."""
PROGRAMS = int(os.environ.get("JQ_FUZZ_PROGRAMS", "1000"))
VALUES = int(os.environ.get("JQ_FUZZ_VALUES", "8"))
SEED = int(os.environ.get("JQ_FUZZ_SEED", str(SystemRandom().randrange(2**31))))


def corpus() -> list[tuple[str, str]]:
    """Programs and inputs, one pair a line."""
    found = []
    for line in "\n".join(file.read_text(encoding="utf-8") for file in CORPUS).split("\n"):
        program, _, given = line.partition(" ### ")
        if program:
            found.append((program, given or "null"))
    return found


@pytest.mark.timeout(1800)
def test_random_programs_give_what_libjq_gives(capsys: pytest.CaptureFixture[str]) -> None:
    """Random programs over the whole grammar: no difference that is not in the table of allowed ones."""
    with capsys.disabled():
        print(f"\nseed {SEED}: {PROGRAMS} programs, {VALUES} values each")
    report = compare(SEED, PROGRAMS, VALUES, Report())
    assert report.differences == []
    assert report.compared > report.failed
    assert report.refused < PROGRAMS / 10


def test_the_corpus_gives_what_libjq_gives() -> None:
    """Some 2,000 programs, of corners of jq and as people write them: the oracle's answer, or a refusal."""
    oracle = Oracle()
    report = Report()
    for program, given in corpus():
        check([program], [given], oracle, report)
    oracle.close()
    assert report.differences == []
    assert report.compared > 1800
