"""Fault rules as they are posted: one model per fault, unknown fields refused, every number bounded.

A rule is `{"fault": <kind>, …its own fields…, "when": {…}, "apply": …, "delay": …, "name": …}`. `apply` says whether
the events of a call it strikes are accepted all the same; what was done is what the sandbox then reports.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Megabytes = Annotated[int, Field(ge=1, le=4096)]
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class FaultError(ValueError):
    """A fault rule that cannot be used; the message names the place and what is wrong."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextTest(_Model):
    """How a text must look: exactly one of the three. A bare string in its place means `contains`."""

    contains: str | None = None
    equals: str | None = None
    regex: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: object) -> object:
        return {"contains": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> TextTest:
        if sum(part is not None for part in (self.contains, self.equals, self.regex)) != 1:
            raise ValueError("give exactly one of contains, equals, regex")
        return self

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class EventTest(_Model):
    """Which calls: those with this path and at least one event that meets all the others."""

    path: TextTest | None = None
    event: TextTest | None = None
    distinct_id: TextTest | None = None
    key: TextTest | None = None


class When(_Model):
    """When a rule strikes, among the calls that match: the conditions are taken in the order they stand here."""

    match: EventTest = EventTest()
    after: Seconds = 0
    """Not before so many seconds since the rule was posted (real time, not the sandbox's clock)."""
    until: Seconds | None = None
    """Not later than so many seconds since the rule was posted."""
    skip: Annotated[int, Field(ge=0)] = 0
    """Let so many matching calls pass first."""
    every: Annotated[int, Field(ge=1)] = 1
    """Only each k-th matching call."""
    probability: Share = 1
    """By the sandbox's seed."""
    calls: Annotated[int, Field(ge=1)] | None = None
    """Strike so many times and no more."""


class _FaultModel(_Model):
    name: Annotated[str, Field(max_length=100)] | None = None
    when: When = When()
    delay: Seconds = 0
    """Seconds before anything of the answer is sent."""


class _Applied(_FaultModel):
    """The events are taken, the answer is spoilt; with `apply` false the answer is the same and a lie."""

    apply: bool = True


class StatusFault(_FaultModel):
    """An answer with this status. Without `body` it is SuprSend's error JSON, made of `type` and `message`."""

    fault: Literal["status"]
    status: Annotated[int, Field(ge=200, le=599)]
    body: JsonValue = None
    """A string is sent as it is (HTML, text, nothing at all); anything else as JSON."""
    type: str = "sandbox_fault"
    message: str = "a fault that was asked for"
    headers: dict[str, str] = {}
    retry_after: Seconds | None = None
    """Sets `Retry-After` to so many seconds …"""
    retry_after_as: Literal["seconds", "date"] = "seconds"
    """… or to the date that far from now."""
    apply: bool = False

    @field_validator("headers")
    @classmethod
    def _clean(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if HEADER_NAME.fullmatch(name) is None or not text.isascii() or not text.isprintable():
                raise ValueError(f"header {name!r} cannot be sent")
        return value


class Delay(_FaultModel):
    """A true answer, later. The events are taken at once."""

    fault: Literal["delay"]
    seconds: Seconds


class Hang(_FaultModel):
    """No answer at all, for so long or until the client leaves."""

    fault: Literal["hang"]
    seconds: Seconds = 3600
    apply: bool = False


class Drip(_Applied):
    """The answer, this slowly: headers at once, then the body."""

    fault: Literal["drip"]
    bytes_per_second: Annotated[float, Field(gt=0, le=1e9)]


class Truncate(_Applied):
    """The right Content-Length, but only a share of the body; then the connection is closed."""

    fault: Literal["truncate"]
    keep: Share = 0.5
    reset: bool = False


class WrongLength(_Applied):
    """The whole body under a Content-Length that is so many bytes off; if too large, the rest never comes."""

    fault: Literal["wrong_length"]
    by: Annotated[int, Field(ge=-1_000_000, le=1_000_000_000)]


class NonJson(_Applied):
    """The right status with a body that is no JSON."""

    fault: Literal["non_json"]
    body: str = "<html><body><h1>It works!</h1></body></html>"
    content_type: str = "text/html; charset=utf-8"
    status: Annotated[int, Field(ge=200, le=599)] | None = None


class WrongCount(_Applied):
    """A bulk answer with so many records too few (negative) or too many."""

    fault: Literal["wrong_count"]
    by: Annotated[int, Field(ge=-1000, le=1000)]

    @field_validator("by")
    @classmethod
    def _some(cls, value: int) -> int:
        if value == 0:
            raise ValueError("0 would change nothing")
        return value


class SummaryFault(_Applied):
    """A bulk answer in the form that SuprSend's page shows: counts, and the failed events with their own JSON."""

    fault: Literal["summary"]
    miscount: Annotated[int, Field(ge=-1000, le=1000)] = 0
    """So many too many in `total` and `success`."""


class MalformedRecords(_Applied):
    """A bulk answer in which a share of the records is rubbish (null, numbers, missing and foreign fields)."""

    fault: Literal["malformed_records"]
    share: Share = 1


class Reject(_FaultModel):
    """The events that match are refused, each on its own; `share` chooses among them, by the seed.

    With `sticky` the choice hangs on the event's key (the same event is refused at every attempt), else each attempt
    is a new draw. `whole` refuses the whole call as soon as it holds a chosen event. A single call is always refused
    whole. `status_code` 500 is a transient refusal inside a 207.
    """

    fault: Literal["reject"]
    share: Share = 1
    sticky: bool = True
    whole: bool = False
    status_code: Annotated[int, Field(ge=400, le=599)] = 400
    type: str = "invalid_request"
    message: str = "refused by a fault that was asked for"
    apply: bool = False


class DisconnectBefore(_FaultModel):
    """The connection is closed (or reset) with nothing taken and nothing answered."""

    fault: Literal["disconnect_before"]
    reset: bool = False


class DisconnectAfter(_FaultModel):
    """The events are taken, then the connection is closed (or reset), after so many bytes of the answer."""

    fault: Literal["disconnect_after"]
    after_bytes: Annotated[int, Field(ge=0)] = 0
    reset: bool = False


class CompressedBomb(_Applied):
    """A small compressed body that unpacks to so many megabytes of white space."""

    fault: Literal["compressed_bomb"]
    megabytes: Megabytes = 256
    encoding: Literal["gzip", "deflate"] = "gzip"


class Endless(_Applied):
    """A body that goes on until the client leaves or so many megabytes are sent."""

    fault: Literal["endless"]
    megabytes: Megabytes = 1024


class HugeHeaders(_Applied):
    """The true answer behind so many bytes of headers."""

    fault: Literal["huge_headers"]
    bytes: Annotated[int, Field(ge=1, le=64 * 1024 * 1024)] = 1024 * 1024
    lines: Annotated[int, Field(ge=1, le=100_000)] = 1


class NotHttp(_Applied):
    """Bytes that are no HTTP."""

    fault: Literal["not_http"]


class Redirect(_FaultModel):
    """Somewhere else; nothing is taken."""

    fault: Literal["redirect"]
    status: Literal[301, 302, 303, 307, 308] = 307
    location: Annotated[str, Field(min_length=1, pattern=r"^[\x21-\x7e]+$")] = "http://127.0.0.1:9/elsewhere"


AnyFault = (
    StatusFault | Delay | Hang | Drip | Truncate | WrongLength | NonJson | WrongCount | SummaryFault | MalformedRecords | Reject
    | DisconnectBefore | DisconnectAfter | CompressedBomb | Endless | HugeHeaders | NotHttp | Redirect
)  # fmt: skip
_RULES: Final[TypeAdapter[list[AnyFault]]] = TypeAdapter(
    Annotated[list[Annotated[AnyFault, Field(discriminator="fault")]], Field(max_length=1000)]
)


def described() -> dict[str, dict[str, Any]]:
    """Every fault with what it does and its fields, for `GET /_sandbox`."""
    return {model.model_fields["fault"].annotation.__args__[0]: _described(model) for model in get_args(AnyFault)}


def _described(model: type[BaseModel]) -> dict[str, Any]:
    fields = {
        name: "required" if field.is_required() else field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if name not in ("fault", "name", "when")
    }
    return {"what": " ".join((model.__doc__ or "").split()), "fields": fields}


def parse_faults(posted: object) -> list[AnyFault]:
    """One rule or a list of them. Raises FaultError that names every wrong field of every rule."""
    rules = posted if isinstance(posted, list) else [posted]
    try:
        return _RULES.validate_python(rules)
    except ValidationError as error:
        raise FaultError("; ".join(map(_line, error.errors(include_url=False)))) from None


def _line(error: Any) -> str:
    first, *rest = error["loc"] or (0,)
    inner = ".".join(str(part) for part in rest[1:] if part is not None)
    kind = f" ({rest[0]})" if rest else ""
    message = error["msg"].removeprefix("Value error, ")
    return f"rule {first}{kind}: {inner + ': ' if inner else ''}{message}"
