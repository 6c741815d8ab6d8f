"""What is said before, what is shown after, and the lines of the file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.asking.ask import Answered, Asked
from bridge.asking.questions import Question, event_name
from bridge.asking.redaction import Redaction
from bridge.suprsend.answers import shape_of


def plan(questions: Sequence[Question], calls: Sequence[int]) -> Iterator[str]:
    """Each question before it is asked: its calls, and what they do to the person."""
    width = max(len(question.name) for question in questions)
    for question, count in zip(questions, calls, strict=True):
        made = "1 call" if count == 1 else f"{count} calls"
        yield f"  {question.name:<{width}}  {made}, event {event_name(question.name)}; for the person: {question.person}"


def shown(asked: Asked, redaction: Redaction) -> Iterator[str]:
    """A question with expected and seen beside each other."""
    question = asked.question
    yield f"{question.name}: {question.asks}"
    for number, answer in enumerate(asked.answers, 1):
        of = f" {number}" if len(asked.answers) > 1 else ""
        yield f"  expected{of}  {_short(' or '.join(_counted(text) for text in answer.expected))}"
        yield f"  seen{of}      {_counted(answer.verdicts)}: {_seen(answer, redaction)}"
    yield f"  because   {question.why}"
    yield f"  {'as expected' if asked.as_expected else 'DIFFERS'}. The bridge: {question.acts}"


def lines(asked: Asked, redaction: Redaction) -> Iterator[str]:
    """The question's lines of the file, one for each call."""
    for number, answer in enumerate(asked.answers, 1):
        reply, call = answer.reply, answer.call
        yield redaction.line(
            {
                "question": asked.question.name,
                "call": number,
                "path": call.path,
                "events": call.events,
                "bytes": len(call.body),
                "date_late_seconds": call.late,
                "credentials": call.credentials,
                "status": reply.status,
                "error": reply.error,
                "cause": reply.seen.cause or None,
                "answered_by": reply.seen.by or None,
                "retry_after": reply.retry_after,
                "seconds": round(reply.seconds, 3),
                "shape": shape_of(reply.body, max(1, call.events)) if reply.status else None,
                "verdicts": answer.verdicts,
                "expected": answer.expected,
                "as_expected": answer.as_expected,
                "body": redaction.body(reply.body) if reply.status else None,
            }
        )


def _seen(answer: Answered, redaction: Redaction) -> str:
    reply = answer.reply
    if not reply.status:
        return answer.judged.message
    return f"status {reply.status} {_short(redaction.line(redaction.body(reply.body)))}"


def _counted(verdicts: str) -> str:
    """Nine times the same verdict is said once."""
    words = verdicts.split(", ")
    return f"{words[0]} ({len(words)} times)" if len(words) > 2 and len(set(words)) == 1 else verdicts


def _short(text: str) -> str:
    return text if len(text) <= 400 else text[:400] + "…"
