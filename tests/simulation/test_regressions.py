"""Faults that the simulator found once, as small cases that show them, with what was wrong then.

When the simulator itself changes, its runs do: the cases are made anew with the fault planted (`planted/`), and shrunk.
"""

from __future__ import annotations

import pytest

from tests.simulation.faults import Case
from tests.simulation.shrink import outcome

CUTS = ("kafka: log cut off",)

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
    "a late commit of a reader between two cuts was measured by the older cut, which it had noticed": Case(
        seed=510035,
        steps=415,
        off=(
            "api: an event that always fails",
            "api: cut answer",
            "api: one of many failed",
            "api: poison event",
            "commit: answer lost",
            "kafka: transaction marker",
            "shadow group: write failed",
        ),
        muted=((3, 3), (7, 9), (11, 14), (16, 34), (41, 44), (47, 52), (55, 134)),
        often=CUTS * 3,
    ),
    "who had reached a cut end behind gaps alone, and had not read so far, counted as a reader of the log as it is": Case(
        seed=31976,
        steps=178,
        off=("kafka: transaction marker",),
        muted=((2, 2), (5, 5), (8, 8), (14, 15), (17, 18), (25, 25), (28, 28)),
    ),
    "the same, with the topic made anew": Case(
        seed=500081,
        steps=324,
        off=(
            "kafka: brokers away",
            "kafka: compacted",
            "kafka: gap",
            "pauses: no answer",
            "secrets: of another workspace",
        ),
        muted=((1, 1), (3, 6), (8, 8), (17, 20), (35, 36), (81, 82), (89, 90)),
        often=CUTS,
    ),
    "a cut of gaps alone counted as a rewind": Case(
        seed=510169,
        steps=493,
        off=("api: outage", "api: wrong count", "clock: nothing runs for seconds", "kafka: another leader"),
        muted=(
            (2, 2),
            (12, 12),
            (16, 16),
            (18, 18),
            (28, 28),
            (35, 36),
            (40, 40),
            (45, 45),
            (47, 47),
            (51, 52),
            (56, 56),
            (70, 70),
            (72, 74),
            (76, 76),
            (78, 78),
            (84, 85),
            (90, 92),
            (94, 94),
            (103, 109),
        ),
        often=CUTS * 3,
    ),
    "a cut of what had been compacted away before it was finished counted as a rewind": Case(
        seed=530120,
        steps=1079,
        off=("dead letter: refused", "dead letter: written after a crash", "kafka: another leader"),
        muted=((289, 392),),
        often=CUTS * 3,
    ),
    "the simulated member at the end of a log did not notice a cut that had grown to the same end again": Case(
        seed=510216,
        steps=1500,
        off=("kafka: transaction marker", "pauses: a late repetition"),
        muted=((251, 403),),
        often=CUTS * 3,
    ),
    "the simulated member went back before a cut that nobody could tell it of": Case(
        seed=500255, steps=2955, off=("api: poison event",), often=CUTS
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
