"""`suprsend-bridge check --live --ask-suprsend USER_ID`: what SuprSend's documentation leaves open, asked."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import typer

from bridge.cli.failure import FOUND, Failure

if TYPE_CHECKING:
    from bridge.asking.ask import Asked, Redaction
    from bridge.asking.questions import Ground, Question, QuestionCall
    from bridge.flow import Reply
    from bridge.settings.model import Settings
    from bridge.suprsend.signing import Credentials

_LONGEST_ID: Final = 255


@dataclass(frozen=True, slots=True)
class Asking:
    """What the options of `suprsend-bridge check` say of it."""

    person: str
    file: Path | None
    yes: bool = False

    def refuse(self, *, live: bool, form: str) -> None:
        """Raise Failure for options that cannot be meant."""
        if not live:
            raise Failure("--ask-suprsend needs --live: it makes calls to SuprSend")
        if form != "text":
            raise Failure("--ask-suprsend prints text; its answers as JSON go to --ask-file")
        if not self.person.strip() or len(self.person) > _LONGEST_ID or not self.person.isprintable():
            raise Failure("--ask-suprsend USER_ID: give the distinct_id of a person of yours, such as your own")
        if not (self.yes or sys.stdin.isatty()):
            raise Failure("--ask-suprsend asks first, and nobody is there to answer: add --yes to go on without")

    def ask(self, settings: Settings) -> int:
        """Say what will be done, do it, and show what came: the exit code. Blocks for as long as the calls take."""
        from bridge.asking.ask import ask, wanted
        from bridge.asking.questions import QUESTIONS, Ground
        from bridge.service.wiring import credentials_of, judge_of
        from bridge.suprsend.signing import Hmac

        credentials = credentials_of(settings)
        own = credentials()
        ground = Ground(self.person, own.env, uuid.uuid4().hex[:8], time.time_ns() // 1_000_000)
        questions = wanted(QUESTIONS, signed=isinstance(own, Hmac))
        self._announce(settings, own, questions, ground)
        redaction = _redaction(settings, ground)
        file = self.file or Path(f"suprsend-answers-{ground.run}.jsonl")
        found = []
        with _opened(file) as lines:
            lines.write(redaction.line(_head(settings, own)) + "\n")
            for asked in ask(questions, ground, _sender(settings, credentials), judge_of(settings)):
                found.append(asked)
                _show(asked, redaction, lines)
        return _conclude(found, len(questions), file)

    def _announce(self, settings: Settings, own: Credentials, questions: list[Question], ground: Ground) -> None:
        from bridge.asking.ask import plan

        calls = [len(question.calls(ground)) for question in questions]
        typer.echo(
            f"SuprSend at {settings.suprsend.base_url} will be asked {len(questions)} questions in {sum(calls)} calls, in "
            f"the workspace …{own.env[-4:]}, with events for {self.person!r}. No workflow may listen to events named "
            "bridge_check_…; then nobody is notified. The events stay in SuprSend's logs."
        )
        for line in plan(questions, calls):
            typer.echo(line)
        if not self.yes and not typer.confirm("Is this a workspace that is not production? Go on?"):
            raise Failure("nothing was sent", FOUND)


def _opened(file: Path) -> TextIO:
    try:
        return file.open("w", encoding="utf-8")
    except OSError as error:
        raise Failure(f"--ask-file: {file} cannot be written: {error.strerror}") from None


def _redaction(settings: Settings, ground: Ground) -> Redaction:
    from bridge.asking.ask import Redaction
    from bridge.service.wiring import secrets_of

    salt = uuid.uuid4().hex
    person = f"<person {Redaction({}, salt).hashed(ground.person)}>"
    private = dict.fromkeys(secrets_of(settings)(), "<secret>")
    return Redaction({ground.env: "<workspace>", ground.person: person, **private}, salt)


def _head(settings: Settings, own: Credentials) -> dict[str, object]:
    from urllib.parse import urlsplit

    from bridge import __version__
    from bridge.suprsend.endpoint import BASE_URL

    host = urlsplit(str(settings.suprsend.base_url)).hostname
    return {
        "bridge": __version__,
        "at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "suprsend": host if host == urlsplit(BASE_URL).hostname else "another address",
        "authentication": type(own).__name__,
        "rows_in_suprsend_answers": len(settings.suprsend.answers),
    }


def _sender(settings: Settings, credentials: Callable[[], Credentials]) -> Callable[[QuestionCall], Reply]:
    from bridge.asking.ask import call, wrong
    from bridge.service.wiring import endpoint_of

    endpoint = endpoint_of(settings)

    def send(one: QuestionCall) -> Reply:
        who = credentials if one.credentials == "own" else lambda: wrong(credentials())
        return call(endpoint, who, one.body, path=one.path, late=one.late)

    return send


def _show(asked: Asked, redaction: Redaction, lines: TextIO) -> None:
    from bridge.asking.ask import lines as lines_of, shown

    typer.echo()
    for text in shown(asked, redaction):
        typer.echo(text)
    for text in lines_of(asked, redaction):
        lines.write(text + "\n")
    lines.flush()


def _conclude(found: list[Asked], wanted: int, file: Path) -> int:
    differs = [asked.question.name for asked in found if not asked.as_expected]
    typer.echo()
    if len(found) < wanted:
        typer.echo(f"stopped: {found[-1].cannot_be_asked}")
    typer.echo(
        f"{len(found)} of {wanted} questions asked; {f'{len(differs)} differ: ' if differs else 'all as expected'}"
    )
    if differs:
        typer.echo(f"  {', '.join(differs)}")
    typer.echo(f"The answers, without secrets and ids, are in {file}: please send it to us with an issue.")
    return FOUND if differs or len(found) < wanted else 0
