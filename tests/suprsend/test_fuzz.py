"""Many seeded answers against the classifier alone: no false success, no false refusal.

Over real sockets, with the client and the delivery core: `test_storm.py`.
"""

from __future__ import annotations

import random

from bridge.flow import Reply, Verdict
from bridge.suprsend.answers import make_judge
from tests.suprsend.answers_made import made

JUDGE = make_judge()
ANSWERS = 100_000
REFUSED = {Verdict.INVALID, Verdict.TOO_LARGE}


def test_a_hundred_thousand_answers() -> None:
    """Of 100,000 answers, well-formed and broken, exactly what each truly accepts or refuses is taken as such."""
    dice = random.Random(20_231_115)
    accepted = refused = 0
    for number in range(ANSWERS):
        n = dice.randrange(1, 6)
        answer = made(dice, n)
        status = dice.choice((200, 207, 207, 207, 299, 400, 429, 503))
        error = "reset" if dice.random() < 0.05 else None
        judged = JUDGE(Reply(status, error, None, answer.body, applied=True, seconds=0.1), n)
        found = [judged.whole] * n if judged.items is None else list(judged.items)
        readable = error is None and status < 300
        told = (number, status, error, answer.body)
        assert [verdict is Verdict.ACCEPTED for verdict in found] == [readable and it for it in answer.accepted], told
        assert [verdict in REFUSED for verdict in found] == [readable and it for it in answer.refused], told
        accepted += sum(verdict is Verdict.ACCEPTED for verdict in found)
        refused += sum(verdict in REFUSED for verdict in found)
    assert accepted > ANSWERS / 2
    assert refused > ANSWERS / 20
