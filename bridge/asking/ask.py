"""Asks the questions, one call after the other, and tells what each answer means to the bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bridge.asking.questions import Call, Ground, Question
from bridge.flow import Judge, Judged, Reply, Verdict

Send = Callable[[Call], Reply]
"""Makes one call; blocks until its end."""


class Answered(NamedTuple):
    """One call and what came of it."""

    call: Call
    reply: Reply
    judged: Judged
    verdicts: str
    """What the bridge would take each event for, separated by commas."""
    expected: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        return self.verdicts in self.expected


class Asked(NamedTuple):
    """A question with its answers."""

    question: Question
    answers: Sequence[Answered]

    @property
    def as_expected(self) -> bool:
        return all(answer.as_expected for answer in self.answers)

    @property
    def cannot_be_asked(self) -> str | None:
        """Why it makes no sense to go on: nobody answers, or the keys are wrong."""
        for answer in self.answers:
            if answer.reply.status == 0 or (answer.judged.whole is Verdict.SETUP and answer.call.credentials == "own"):
                return answer.judged.message
        return None


def wanted(questions: Sequence[Question], *, signed: bool) -> list[Question]:
    """The questions that these credentials can ask."""
    return [question for question in questions if signed or not question.signed_only]


def ask(questions: Sequence[Question], ground: Ground, send: Send, judge: Judge) -> Iterator[Asked]:
    """Ask one after the other; ends early where the first one shows that nothing can be asked."""
    for number, question in enumerate(questions):
        pairs = zip(question.calls(ground), question.expected, strict=True)
        asked = Asked(question, [_answered(call, expected, send(call), judge) for call, expected in pairs])
        yield asked
        if number == 0 and asked.cannot_be_asked is not None:
            return


def _answered(call: Call, expected: tuple[str, ...], reply: Reply, judge: Judge) -> Answered:
    count = max(1, call.events)
    judged = judge(reply, count)
    verdicts = judged.items if judged.items is not None else [judged.whole] * count
    return Answered(call, reply, judged, ", ".join(verdict.value for verdict in verdicts), expected)
