"""Asks the questions, one call after the other; what each answer means to the bridge, and how it is shown.

An answer is shown to others as shapes, numbers and SuprSend's words, without ids, keys or secrets.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Final, NamedTuple

from bridge.asking.questions import MADE_UP, Ground, Question, QuestionCall, event_name
from bridge.flow import Judge, Judged, Reply, Verdict
from bridge.jsontext import JSONDecodeError, dumps, loads
from bridge.suprsend.answers import shape_of
from bridge.suprsend.causes import BOM
from bridge.suprsend.endpoint import BULK_PATH, Endpoint
from bridge.suprsend.signing import Bearer, Credentials, Hmac
from bridge.suprsend.transport import CurlTransport

Send = Callable[[QuestionCall], Reply]
"""Makes one call; blocks until its end."""


class Answered(NamedTuple):
    """One call and what came of it."""

    call: QuestionCall
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


def _answered(call: QuestionCall, expected: tuple[str, ...], reply: Reply, judge: Judge) -> Answered:
    count = max(1, call.events)
    judged = judge(reply, count)
    verdicts = judged.items if judged.items is not None else [judged.whole] * count
    return Answered(call, reply, judged, ", ".join(verdict.value for verdict in verdicts), expected)


_GRACE: float = 5.0


def call(
    endpoint: Endpoint,
    credentials: Callable[[], Credentials],
    body: bytes,
    *,
    path: str = BULK_PATH,
    late: float = 0.0,
) -> Reply:
    """Make one call and wait for its end; its signed date is `late` seconds behind. Raises what the two raise."""
    until = time.monotonic() + endpoint.deadline + _GRACE
    with closing(CurlTransport(endpoint, credentials, path=path, clock=lambda: time.time() - late)) as transport:
        transport.start(0, body)
        while time.monotonic() < until:
            for _call, reply in transport.poll(1.0):
                return reply
    return Reply(0, "timeout", None, b"", applied=True, seconds=endpoint.deadline)


def wrong(credentials: Credentials) -> Credentials:
    """The same workspace with a secret (or API key) that is not its."""
    if isinstance(credentials, Hmac):
        return Hmac(credentials.key, "bridge-check-a-wrong-secret")
    return Bearer("bridge-check-a-wrong-api-key", credentials.env)


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


_WORDS: Final = frozenset(
    {"status", "type", "message", "error", "detail", "code", "error_code", "status_code", "title"}
)
"""Fields whose text is SuprSend's own."""
_NAME: Final = re.compile(r"\$?[a-z][a-z_]{0,39}")
_OURS: Final = re.compile(rf"{MADE_UP}[a-z0-9.-]+", re.IGNORECASE)
_PRIVATE: Final = re.compile(r"[\w.+-]+@[\w.-]+|\b\d{1,3}(?:\.\d{1,3}){3}\b|(?=[\w+/=-]*\d)[\w+/=-]{20,}|https?://\S+")
_MOST_TEXT: Final = 300
_MOST_ITEMS: Final = 20
_MOST_DEPTH: Final = 6
_SHORT: Final = 6
"""A private text below this is looked for as a word of its own: `1` stands in many numbers."""


class Redaction:
    """What is known to be private, and what stands in its place. `salt` makes the hashes of a run its own."""

    def __init__(self, private: Mapping[str, str], salt: str) -> None:
        self._private = {text: shown for text, shown in private.items() if text}
        self._short = [(_alone(text), shown) for text, shown in self._private.items() if len(text) < _SHORT]
        self._salt = salt

    def hashed(self, text: str) -> str:
        """The same text gives the same eight characters, within a run."""
        return blake2b(text.encode("utf-8", "replace"), digest_size=4, key=self._salt.encode()[:64]).hexdigest()

    def body(self, body: bytes) -> object:
        """A body: its JSON with private texts replaced, or how long it is."""
        try:
            return self._value("", loads(body.removeprefix(BOM)), 0)
        except JSONDecodeError:
            return "OK" if body.strip() == b"OK" else f"<{len(body)} bytes that are no JSON>"

    def text(self, text: str) -> str:
        """A text of SuprSend's, bounded."""
        for private, shown in self._private.items():
            text = text.replace(private, shown) if len(private) >= _SHORT else text
        text = _PRIVATE.sub("<…>", _OURS.sub("<made up>", text))
        for pattern, shown in self._short:
            text = pattern.sub(shown.replace("\\", ""), text)
        return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "…"

    def line(self, value: object) -> str:
        """A value as one line of JSON; what is private is looked for once more, as JSON writes it."""
        text = dumps(value).decode()
        for private, shown in self._private.items():
            if len(private) >= _SHORT:
                text = text.replace(dumps(private).decode()[1:-1], shown)
        return text

    def _value(self, name: str, value: object, depth: int) -> object:
        if isinstance(value, str):
            if name in _WORDS:
                return self.text(value)
            return f"<id {self.hashed(value)}>" if name.endswith("id") else f"<{len(value)} characters>"
        if isinstance(value, dict | list) and depth >= _MOST_DEPTH:
            return "<deeper>"
        if isinstance(value, list):
            shown = [self._value(name, item, depth + 1) for item in value[:_MOST_ITEMS]]
            return [*shown, f"<{len(value) - _MOST_ITEMS} more>"] if len(value) > _MOST_ITEMS else shown
        if isinstance(value, dict):
            pairs = list(value.items())[:_MOST_ITEMS]
            return {self._name(key, at): self._value(key, item, depth + 1) for at, (key, item) in enumerate(pairs)}
        return value

    def _name(self, key: str, at: int) -> str:
        return key if _NAME.fullmatch(key) and key not in self._private else f"<field {at}>"


def _alone(private: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(private)}(?!\w)")
