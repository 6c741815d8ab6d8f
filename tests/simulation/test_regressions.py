"""Faults that the simulator found once, as small cases that show them, with what was wrong then.

When the simulator itself changes, its runs do: the cases are made anew with the fault planted (`planted/`), and shrunk.
"""

from __future__ import annotations

import pytest

from tests.simulation.faults import Case
from tests.simulation.shrink import outcome

CASES: dict[str, Case] = {
    "the accepted half of a bisected call freed lanes that the other half still held": Case(
        seed=4,
        steps=131,
        off=(
            "api: 5xx, not applied",
            "api: malformed answer",
            "api: no connection",
            "api: one of many refused",
            "api: poison event",
            "api: throttled",
            "api: timeout",
            "api: timeout, applied late",
            "api: wrong count",
            "clock: nothing runs for seconds",
            "kafka: brokers away",
            "kafka: client built anew",
            "kafka: compacted",
            "kafka: delivered twice",
            "kafka: partition added",
            "kafka: seek lost",
            "kafka: seek refused",
            "kafka: transaction marker",
            "operator: pause",
            "operator: skip",
            "rebalance",
            "rebalance: during a drain",
            "reload",
            "stop: SIGTERM",
            "zombie: frozen beyond its session",
        ),
        muted=((1, 4), (6, 24), (26, 101)),
    ),
    "assigned and revoked before a record was read, the note forgot what an earlier owner had finished": Case(
        seed=12,
        steps=298,
        off=(
            "api: timeout",
            "crash: after a commit's acknowledgement",
            "crash: after a drain began",
            "crash: at any time",
            "kafka: brokers away",
            "kafka: transaction marker",
            "secrets: of another workspace",
        ),
        muted=((1, 3), (5, 10), (13, 13), (15, 18), (21, 23), (25, 27), (29, 38), (41, 59)),
    ),
    "what an earlier owner left unfinished and nobody had read again was called finished": Case(
        seed=0,
        steps=209,
        off=(
            "api: nothing is readable",
            "api: throttles all",
            "api: timeout",
            "clock: nothing runs for seconds",
            "commit: ILLEGAL_GENERATION",
            "commit: answer late",
            "commit: not sent",
            "crash: after calls were started",
            "crash: at any time",
            "crash: between commit and revoke",
            "dead letter: written, report lost",
            "kafka: client built anew",
            "kafka: compacted",
            "kafka: end told too low",
            "kafka: seek refused",
            "operator: skip",
            "rebalance: during a drain",
            "secrets: of another workspace",
        ),
        muted=((1, 24), (27, 29), (31, 33), (35, 35), (38, 42), (44, 44), (46, 46), (49, 60), (66, 97)),
    ),
    "a clean handover forgot that an earlier owner may have sent records, and a day later they went out again": Case(
        seed=16,
        steps=386,
        off=(
            "api: no connection",
            "api: wrong count",
            "commit: answer late",
            "crash: between drain and commit",
            "crash: during a drain",
            "kafka: brokers away",
            "kafka: compacted",
            "kafka: retention overtakes the group",
            "kafka: transaction marker",
            "operator: pause",
            "rebalance: during a drain",
            "secrets: of another workspace",
            "zombie: frozen beyond its session",
        ),
        muted=((1, 17), (19, 20), (22, 22), (26, 31), (33, 70)),
    ),
    "what a note said of records that were cut off counted for those that took their offsets": Case(
        seed=38,
        steps=568,
        off=(
            "api: no connection",
            "api: one of many failed",
            "commit: OFFSET_METADATA_TOO_LARGE",
            "dead letter: written, report lost",
            "kafka: seek lost",
            "kafka: seek refused",
            "kafka: transaction marker",
            "shadow group: write failed",
        ),
        muted=((89, 110), (116, 126), (139, 146), (151, 152), (161, 162), (169, 170)),
    ),
    "what was given back and then compacted away was awaited for ever": Case(
        seed=34,
        steps=631,
        off=("kafka: delivered twice", "kafka: transaction marker", "stop: SIGTERM"),
        muted=((1, 3), (49, 54), (133, 192)),
    ),
    "a commit that rightly went back over offsets that were only reached counted as a fault": Case(
        seed=901,
        steps=272,
        off=("api: 5xx, not applied", "api: throttled", "commit: refused", "kafka: delivered twice"),
        muted=((1, 1), (4, 4), (7, 7), (20, 20), (39, 47)),
    ),
    "what got through to SuprSend and failed went on holding its partition, and never became stuck": Case(
        seed=20436,
        steps=1447,
        off=(
            "api: an event that always fails",
            "kafka: delivered twice",
            "kafka: seek forgotten",
            "kafka: seek lost",
            "kafka: transaction marker",
        ),
        muted=((256, 270), (301, 4040)),
    ),
    "the simulated member did not ask whether the log was still as it had been read before it went back in it": Case(
        seed=30349,
        steps=2927,
        off=(
            "api: malformed answer",
            "api: poison event",
            "api: throttled",
            "api: timeout",
            "dead letter: topic down",
            "dead letter: written after a crash",
        ),
        muted=(
            (2, 2),
            (10, 10),
            (12, 12),
            (16, 16),
            (46, 51),
            (106, 108),
            (151, 153),
            (199, 201),
            (229, 231),
            (307, 309),
            (322, 497),
        ),
    ),
    "what came behind a cut and was deleted unread was not counted where the topic might have been made anew": Case(
        seed=33064,
        steps=351,
        off=(
            "kafka: another leader",
            "kafka: gap",
            "kafka: transaction marker",
            "operator: skip unreadable, offline",
            "rebalance",
            "reload",
            "secrets: of another workspace",
            "stop: SIGTERM",
        ),
        muted=((1, 5), (7, 18), (20, 33), (35, 35), (37, 40)),
    ),
}

SEEDS = (1, 14, 30, 45, 143, 169, 228, 232, 243, 370, 764, 2037, 2100)
"""Seeds that showed a fault while the simulator was young; their runs have changed since, and are cheap to keep."""


@pytest.mark.parametrize("wrong", CASES)
def test_a_case_that_failed_once_holds(wrong: str) -> None:
    """The invariants hold where they once did not."""
    assert outcome(CASES[wrong])[0] is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_that_failed_once_holds(seed: int) -> None:
    """The invariants hold where they once did not."""
    assert outcome(Case(seed))[0] is None
