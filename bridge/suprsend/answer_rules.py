"""What an answer of SuprSend means, as data: the table, and the rows that settings may put before it (contract §5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import re2

from bridge.flow import Verdict
from bridge.suprsend.shapes import SHAPES

_DECIDED_BY_RECORD: Final = ("records", "records_wrong_count", "summary")
_MAX_MESSAGE: Final = 2_000
_MAX_PATTERN: Final = 500


class AnswerRuleError(ValueError):
    """A row of the table that cannot be used; the message says why and what to write."""


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """One row: an answer that meets every condition given has `verdict`.

    It is asked of a whole call (`status` is HTTP's) and of each failed record (`status` is its `status_code`);
    `shape` is a property of calls alone. Raises AnswerRuleError when made with what cannot be meant.
    """

    verdict: Verdict
    status: int | str | None = None
    """A number, or all of a class: `4xx`."""
    type: str | None = None
    """The error's `type`, whole."""
    message: str | None = None
    """A regular expression (RE2) searched in the error's message, whatever its case.

    What a record may have put into the message is blanked first (`own_words`), unless the expression has a
    quote itself: then it sees the message as it came.
    """
    shape: str | None = None
    """A name of `shapes.SHAPES`."""

    def __post_init__(self) -> None:
        if self.status is None and self.type is None and self.message is None and self.shape is None:
            raise AnswerRuleError("an answer rule needs a status, a type, a message or a shape")
        try:
            object.__setattr__(self, "verdict", Verdict(self.verdict))
        except ValueError:
            raise AnswerRuleError(f"verdict must be one of {', '.join(Verdict)}") from None
        if self.status is not None:
            _span(self.status)
        if self.type == "":
            raise AnswerRuleError("type must be the text of an error's `type`")
        if self.message is not None:
            _pattern(self.message)
        if self.shape is not None:
            _check_shape(self.shape)


class Row(NamedTuple):
    """A rule made ready to be asked."""

    of: str
    """`call`, `record` or `both`."""
    low: int
    high: int
    type: str | None
    pattern: re2._Regexp | None
    quotes: bool
    """The pattern has a quote: it sees the message as it came."""
    shape: str | None
    verdict: Verdict

    def fits(self, status: int, type_: str, message: str, words: str, shape: str) -> bool:
        """Whether an answer meets every condition; `status` is -1 where a record names none, `words` are SuprSend's."""
        return (
            self.low <= status <= self.high
            and (self.type is None or self.type == type_)
            and (self.shape is None or self.shape == shape)
            and (
                self.pattern is None
                or self.pattern.search((message if self.quotes else words)[:_MAX_MESSAGE]) is not None
            )
        )


class TableRow(NamedTuple):
    """One line of the table as the documentation prints it."""

    of: str
    status: str
    type: str
    message: str
    shape: str
    verdict: str
    why: str


class _BuiltIn(NamedTuple):
    of: str
    verdict: Verdict
    why: str
    status: int | str | None = None
    type: str | None = None
    message: str | None = None
    shape: str | None = None


_V = Verdict
_SCHEMA: Final = r"^: .*\.$|missing required property|is not allowed by the schema"
_TABLE: Final = (
    _BuiltIn("call", _V.ACCEPTED, "the first version of the event API", status=202, shape="ok"),
    _BuiltIn("call", _V.ACCEPTED, "one event was taken", status="2xx", shape="message_id"),
    _BuiltIn("call", _V.UNKNOWN, "nobody can tell what was taken; sent again under the same keys", status="2xx"),
    _BuiltIn("both", _V.TRANSIENT, "the server waited too long for the request", status=408),
    _BuiltIn("both", _V.TRANSIENT, "too early", status=425),
    _BuiltIn("both", _V.THROTTLED, "too many requests", status=429),
    _BuiltIn("both", _V.TRANSIENT, "the API or a proxy fails, whatever the body says", status="5xx"),
    _BuiltIn("record", _V.INVALID, "a schema of the dashboard", status="4xx", message=_SCHEMA),
    _BuiltIn("record", _V.INVALID, "a schema of the dashboard", status=-1, message=_SCHEMA),
    _BuiltIn("call", _V.INVALID, "a schema of the dashboard", status=400, message=_SCHEMA, shape="error"),
    _BuiltIn("call", _V.INVALID, "a schema of the dashboard", status=422, message=_SCHEMA, shape="error"),
    _BuiltIn("both", _V.DOUBTFUL, "documented as worth a retry with the same key", type="db_integrity_violation"),
    _BuiltIn(
        "both",
        _V.DOUBTFUL,
        "documented as worth a retry with the same key",
        message=r"^(db_integrity_violation\b|(pq: |error: )*duplicate key value\b)",
    ),
    _BuiltIn("both", _V.TRANSIENT, "database trouble; documented as worth a retry", type="db_error"),
    _BuiltIn("both", _V.TRANSIENT, "database trouble; documented as worth a retry", message=r"^db_error\b"),
    _BuiltIn(
        "both",
        _V.TRANSIENT,
        "database trouble",
        message=r"^((dial|read|write) (tcp|udp|unix)\b.*: )?(i/o timeout|context canceled|(sql: )?database is closed)$",
    ),
    _BuiltIn("both", _V.TRANSIENT, "cache trouble; documented as worth a retry", message=r"^redis\b.*\bEOF$"),
    _BuiltIn("both", _V.TRANSIENT, "cache trouble; documented as worth a retry", message=r"^\[\] EOF$"),
    _BuiltIn("both", _V.TRANSIENT, "cache trouble; documented as worth a retry", message="^datacache failure"),
    _BuiltIn("both", _V.TRANSIENT, "trouble inside SuprSend", type="internal_error"),
    _BuiltIn("both", _V.SETUP, "the workspace is switched off", message=r"^(error: )?workspace key inactive\.?$"),
    _BuiltIn(
        "both",
        _V.SETUP,
        "the default tenant is missing",
        message=r"^(error: )?(default tenant/brand doesn't exist|tenant ['\"`]default['\"`] not found)\.?$",
    ),
    _BuiltIn("call", _V.INVALID, "something in the call is refused: it is split to find it", status=400, shape="error"),
    _BuiltIn("call", _V.INVALID, "something in the call is refused: it is split to find it", status=422, shape="error"),
    _BuiltIn("call", _V.TOO_LARGE, "the call or an event in it is too large", status=413, shape="error"),
    _BuiltIn("call", _V.OVERSIZED, "something on the way takes no call of that size; it is split", status=413),
    _BuiltIn("call", _V.SETUP, "keys, address or a proxy are wrong: it is not the events' fault", status="4xx"),
    _BuiltIn("call", _V.SETUP, "another address; redirects are never followed", status="3xx"),
    _BuiltIn("record", _V.SETUP, "keys or their rights are wrong", status=401),
    _BuiltIn("record", _V.SETUP, "keys or their rights are wrong", status=403),
    _BuiltIn("record", _V.TOO_LARGE, "the event is too large", status=413),
    _BuiltIn("record", _V.INVALID, "the event is refused", status="4xx"),
    _BuiltIn("record", _V.INVALID, "user, tenant or another thing does not exist", status=-1, type="not_found"),
    _BuiltIn("record", _V.INVALID, "the event is refused", status=-1, type="status_blocked"),
    _BuiltIn("record", _V.INVALID, "the event is refused", status=-1, type="action_not_supported"),
    _BuiltIn(
        "record", _V.INVALID, "user or tenant", status=-1, message="not[ _]found|doesn.t exist|no rows in result set"
    ),
    _BuiltIn(
        "record", _V.INVALID, "the event's JSON", status=-1, message="bad request|invalid value|must (not|only|pass)"
    ),
    _BuiltIn(
        "record",
        _V.INVALID,
        "an expression of the dashboard",
        status=-1,
        message="jq-expression ['\"`].*evaluated to empty",
    ),
)
"""Read from the top, the first row that fits decides; what none fits is unknown.

Calls with readable results per record never reach it: their records do. Messages and types count in SuprSend's JSON
error alone, and a message without what a record may have put into it (`own_words`). The texts are documented
without status codes (contract §5b).
"""


def rows(extra: tuple[AnswerRule, ...]) -> tuple[Row, ...]:
    """Make the table ready: the rows of settings, then the built-in ones."""
    own = (_row("both", rule.verdict, rule.status, rule.type, rule.message, rule.shape) for rule in extra)
    built_in = (_row(row.of, row.verdict, row.status, row.type, row.message, row.shape) for row in _TABLE)
    return (*own, *built_in)


def answer_table() -> list[TableRow]:
    """The built-in table in order, for the documentation."""
    return [
        TableRow(
            row.of,
            {None: "", -1: "none"}.get(row.status, str(row.status)) if not isinstance(row.status, str) else row.status,
            row.type or "",
            row.message or "",
            row.shape or "",
            str(row.verdict),
            row.why,
        )
        for row in _TABLE
    ]


def _row(
    of: str, verdict: Verdict, status: int | str | None, type_: str | None, message: str | None, shape: str | None
) -> Row:
    low, high = (-1, 999) if status is None else (-1, -1) if status == -1 else _span(status)
    pattern = None if message is None else _pattern(message)
    quotes = message is not None and any(quote in message for quote in QUOTES)
    return Row("call" if shape else of, low, high, type_, pattern, quotes, shape, verdict)


def _span(status: int | str) -> tuple[int, int]:
    """The first and last status that a rule's `status` means."""
    text = str(status).strip().lower()
    if len(text) == 3 and text[0] in "12345" and not isinstance(status, bool):
        if text[1:] == "xx":
            return int(text[0]) * 100, int(text[0]) * 100 + 99
        if text.isascii() and text.isdigit():
            return int(text), int(text)
    raise AnswerRuleError("status must be a number from 100 to 599, or a class such as 4xx")


def _pattern(pattern: str) -> re2._Regexp:
    if not pattern:
        raise AnswerRuleError("message must be a regular expression (RE2) that is not empty")
    if len(pattern) > _MAX_PATTERN:
        raise AnswerRuleError(f"message has {len(pattern)} characters; at most {_MAX_PATTERN} are taken")
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else error
        raise AnswerRuleError(f"message is no regular expression that RE2 takes: {reason}") from None


def _check_shape(shape: str) -> None:
    if shape in _DECIDED_BY_RECORD:
        raise AnswerRuleError("`records` are decided record by record; a rule cannot decide them as a whole")
    if shape not in SHAPES:
        raise AnswerRuleError(
            f"shape must be one of {', '.join(name for name in SHAPES if name not in _DECIDED_BY_RECORD)}"
        )


QUOTES: Final = "'\"`"

_OPENS: Final = re.compile(r"(?<![^\W_])['\"`]")
_CLOSES: Final = re.compile(r"['\"`](?![^\W_])")
"""A quote inside a word (`doesn't`) is none."""
_ABOUT_A_USER: Final = ("[distinct_id:", "[__object:")
"""Texts that begin so give the id without quotes."""
_TRAILING_ID: Final = re.compile(r"\bid: .*")
_SENTENCE: Final = re.compile(r": (?=[A-Z])")
"""`some/path: String is too short (0 < 4).`: what is before the sentence is a property's name."""


def own_words(message: str) -> str:
    """The message with everything blanked that may come from a record.

    From the first quote to the last (to the end where none closes), what follows `id:`, the id in `[distinct_id: …]`
    and the place in front of a schema's sentence, which then begins with `: `.
    """
    sentences = [found.start() for found in _SENTENCE.finditer(message)] if message.endswith(".") else []
    if sentences:
        return message[sentences[-1] :]
    text = message
    if text.startswith(_ABOUT_A_USER):
        text = f"[{text[max(text.rfind(']'), 0) :]}"
    opens = _OPENS.search(text)
    if opens is not None:
        closes = [found.end() for found in _CLOSES.finditer(text, opens.end())]
        text = f"{text[: opens.start()]}''{text[closes[-1] :] if closes else ''}"
    return _TRAILING_ID.sub("id:", text)
