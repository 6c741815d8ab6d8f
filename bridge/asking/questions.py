"""The questions, as data: one row each. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from bridge.jsontext import dumps
from bridge.suprsend.endpoint import BULK_PATH, EVENT_PATH
from bridge.suprsend.event import event_body
from bridge.suprsend.limits import MIN_TIME_MS
from bridge.suprsend.sending import join

MADE_UP: Final = "bridge-check-"
"""Every key and every id that is made up for the questions begins so."""

_DAY: Final = 86_400.0
_NOBODY: Final = "nothing: the id is made up (SuprSend may make a user of it)"
_NOT_LISTENED: Final = "nothing: no workflow listens to such an event"
_REFUSED: Final = "nothing: it is to be refused"


class Ground(NamedTuple):
    """What the calls are made of."""

    person: str
    """A `distinct_id` that SuprSend knows."""
    env: str
    """The events' `env`: workspace key, or UID with an API key."""
    run: str
    """Makes the keys and ids of this run its own; letters and digits."""
    now_ms: int


class QuestionCall(NamedTuple):
    """One HTTP call. `late` are the seconds that its signed date is behind; negative: ahead."""

    body: bytes
    events: int = 1
    path: str = BULK_PATH
    late: float = 0.0
    credentials: Literal["own", "wrong"] = "own"


Calls = tuple[QuestionCall, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One question: what is unknown, what is sent, what the bridge goes by, and what it does on another answer."""

    name: str
    asks: str
    person: str
    """What it does to the person."""
    expected: tuple[tuple[str, ...], ...]
    """Per call the verdicts of its events, separated by commas; any of several."""
    why: str
    acts: str
    """How the bridge acts on each answer."""
    calls: Callable[[Ground], Calls]
    signed_only: bool = False
    """Only calls that are signed have a date."""


def event_name(question: str) -> str:
    """The name of a question's events."""
    return f"bridge_check_{question.replace('-', '_')}"


def _event(
    ground: Ground,
    question: str,
    number: int = 0,
    *,
    name: str | None = None,
    person: str | None = None,
    key: str | None = None,
    time_ms: int | None = None,
    tenant: str | None = None,
    properties: Mapping[str, object] | None = None,
) -> bytes:
    text = f"{MADE_UP}{ground.run}-{question}-{number}"
    return event_body(
        insert_id=str(uuid.uuid5(uuid.NAMESPACE_URL, text)),
        time_ms=ground.now_ms if time_ms is None else time_ms,
        name=event_name(question) if name is None else name,
        env=ground.env,
        distinct_id=ground.person if person is None else person,
        properties=properties or {"asked_by": "suprsend-bridge check"},
        key=key or text,
        tenant=tenant,
    )


def _bulk(*events: bytes, late: float = 0.0) -> QuestionCall:
    return QuestionCall(join(events), len(events), late=late)


def _long(ground: Ground, characters: int) -> str:
    return f"{MADE_UP}{ground.run}-".ljust(characters, "x")


def _all_good(ground: Ground) -> Calls:
    return (_bulk(*(_event(ground, "bulk-all-good", number) for number in range(2))),)


def _one_bad(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "bulk-one-bad"), _event(ground, "bulk-one-bad", 1, name="")),)


def _all_bad(ground: Ground) -> Calls:
    return (_bulk(*(_event(ground, "bulk-all-bad", number, name="") for number in range(2))),)


def _single(ground: Ground) -> Calls:
    return (QuestionCall(_event(ground, "single"), path=EVENT_PATH),)


def _same_body(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "duplicate-same-body")),) * 2


def _other_body(ground: Ground) -> Calls:
    return tuple(_bulk(_event(ground, "duplicate-other-body", properties={"attempt": attempt})) for attempt in (1, 2))


def _after_refusal(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "key-after-refusal", name="")), _bulk(_event(ground, "key-after-refusal")))


def _of_size(question: str, size: int) -> Callable[[Ground], Calls]:
    def calls(ground: Ground) -> Calls:
        empty = len(_event(ground, question, properties={"filler": ""}))
        return (_bulk(_event(ground, question, properties={"filler": "x" * (size - empty)})),)

    return calls


def _call_too_large(ground: Ground) -> Calls:
    filler = {"filler": "x" * 95_000}
    return (_bulk(*(_event(ground, "call-over-800KB", number, properties=filler) for number in range(9))),)


def _long_keys(ground: Ground) -> Calls:
    return tuple(_bulk(_event(ground, "long-keys", key=_long(ground, length))) for length in (255, 256))


def _long_ids(ground: Ground) -> Calls:
    return tuple(
        _bulk(_event(ground, "long-ids", number, person=_long(ground, length)))
        for number, length in enumerate((255, 256))
    )


def _unknown_user(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "unknown-user", person=f"{MADE_UP}{ground.run}-nobody")),)


def _unknown_tenant(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "unknown-tenant", tenant=f"{MADE_UP}{ground.run}")),)


def _past(ground: Ground) -> Calls:
    times = (ground.now_ms - int(_DAY * 1000), MIN_TIME_MS)
    return tuple(_bulk(_event(ground, "time-in-the-past", number, time_ms=at)) for number, at in enumerate(times))


def _reserved(ground: Ground) -> Calls:
    return (
        _bulk(_event(ground, "reserved-properties", 0, properties={"$bridge_check": 1})),
        _bulk(_event(ground, "reserved-properties", 1, properties={"ss_bridge_check": 1})),
    )


def _short(ground: Ground) -> Calls:
    fields = {
        "distinct_id": ground.person,
        "event": event_name("short-body"),
        "properties": {"asked_by": "suprsend-bridge check"},
        "$idempotency_key": f"{MADE_UP}{ground.run}-short-body",
    }
    return (QuestionCall(dumps(fields), path=EVENT_PATH),)


def _empty(_ground: Ground) -> Calls:
    return (QuestionCall(b"[]", 0),)


def _wrong(ground: Ground) -> Calls:
    return (_bulk(_event(ground, "wrong-secret"))._replace(credentials="wrong"),)


def _skewed(seconds: float) -> Callable[[Ground], Calls]:
    def calls(ground: Ground) -> Calls:
        question = f"date-{int(seconds)}"
        return tuple(
            _bulk(_event(ground, question, number), late=late) for number, late in enumerate((seconds, -seconds))
        )

    return calls


_REPEATED: Final = (
    "accepted → delivered, once; refused (400 to 422) → a dead letter, although it was delivered: add a row to "
    "suprsend.answers with that type or message and `verdict: accepted`"
)
_OK: Final = ("accepted",)
_BAD: Final = ("invalid",)

QUESTIONS: Final = (
    Question(
        "bulk-all-good",
        "How is a bulk call answered when all its events are good?",
        _NOT_LISTENED,
        (("accepted, accepted",),),
        "the SDKs read `records` with one result per event, of whatever 2xx",
        "results per event → what they say; any other 2xx → nobody can tell what was taken: sent again under the same "
        "keys, and after ten in a row everything is held as unreadable_answers",
        _all_good,
    ),
    Question(
        "bulk-one-bad",
        "How is a bulk call answered when one of its events is bad?",
        "one good event, which no workflow listens to; the other is refused",
        (("accepted, invalid",),),
        "the documented 207 has a result for each event",
        "a result per event → the bad one becomes a dead letter; 400 for the whole call → it is halved until the bad one "
        "is found, and the good one is sent again under its key",
        _one_bad,
    ),
    Question(
        "bulk-all-bad",
        "How is a bulk call answered when all its events are bad?",
        _REFUSED,
        (("invalid, invalid",),),
        "the documented 207 has a result for each event",
        "results per event or 400 with SuprSend's error → dead letters; 401, 403, 404 or a page → everything is held as setup",
        _all_bad,
    ),
    Question(
        "single",
        "How is one event at its own address answered?",
        _NOT_LISTENED,
        (_OK,),
        "the SDKs read status and message_id of a 2xx",
        "it sends bulk calls alone; `suprsend-bridge send` and the Python API use this address",
        _single,
    ),
    Question(
        "duplicate-same-body",
        "How is a repeat with the same key and the same body answered?",
        "one event, which no workflow listens to; its repeat is skipped",
        (_OK, _OK),
        "a repeat after a time-out must not look like a refusal; the documentation says `skipped`",
        _REPEATED,
        _same_body,
    ),
    Question(
        "duplicate-other-body",
        "How is a repeat with the same key and another body answered?",
        "one event, which no workflow listens to; its repeat is skipped",
        (_OK, _OK),
        "after a change of rules a record keeps its key, and its body may differ",
        _REPEATED,
        _other_body,
    ),
    Question(
        "key-after-refusal",
        "Does a refused event use up its key?",
        "nothing by the first; one event by the second, which no workflow listens to",
        (_BAD, _OK),
        "replays of refused events use a key of their own, KEY.rN, because it is not known",
        "accepted with a new message_id → the key is free; anything else → KEY.rN is needed",
        _after_refusal,
    ),
    Question(
        "event-over-100KB",
        "Is an event of 110,000 bytes taken?",
        _NOT_LISTENED,
        (("too_large", "accepted"),),
        "100 KB are documented; the SDKs let 800 KB pass",
        "accepted → suprsend.max_event_bytes may be raised; 413 with SuprSend's error → the default of 100 KiB is right; "
        "a page → a box on the way has a limit of its own",
        _of_size("event-over-100KB", 110_000),
    ),
    Question(
        "event-over-800KB",
        "How is an event of 830,000 bytes refused?",
        _REFUSED,
        (("too_large",),),
        "the SDKs refuse it by themselves, with code 413",
        "413 with SuprSend's error → a dead letter `too_large`; 400 → a dead letter `invalid`. It never sends one by itself",
        _of_size("event-over-800KB", 830_000),
    ),
    Question(
        "call-over-800KB",
        "How is a call of nine events and 860,000 bytes refused?",
        _NOT_LISTENED,
        ((", ".join(["too_large"] * 9), ", ".join(["accepted"] * 9)),),
        "800 KB a call are documented for another address, `undefined` beyond",
        "413 → the call is halved. It keeps each call below delivery.batch_bytes",
        _call_too_large,
    ),
    Question(
        "long-keys",
        "Are keys of 255 and of 256 characters taken?",
        "one or two events, which no workflow listens to",
        (_OK, _BAD),
        "255 are documented",
        "it refuses 256 by itself; its own keys have 64 at most",
        _long_keys,
    ),
    Question(
        "long-ids",
        "Are ids of 255 and of 256 characters taken?",
        _NOBODY,
        (("accepted", "invalid"), _BAD),
        "255 are documented for a user's distinct_id",
        "accepted at 256 → SuprSend loses such an event without a word",
        _long_ids,
    ),
    Question(
        "unknown-user",
        "How is an event answered when SuprSend does not know its user?",
        _NOBODY,
        (("accepted", "invalid"),),
        "documented: accepted, then discarded without an error",
        "accepted → counted as delivered, and only SuprSend's log shows that nobody was told; refused → a dead letter",
        _unknown_user,
    ),
    Question(
        "unknown-tenant",
        "How is an event for an unknown tenant answered?",
        _REFUSED,
        (_BAD,),
        "documented as an error of the event: `tenant/brand doesn't exist`",
        "refused → a dead letter; 401, 403 or 404 for the whole call → everything is held for one record's tenant",
        _unknown_tenant,
    ),
    Question(
        "time-in-the-past",
        "Is a `$time` of yesterday taken, and one of 2022?",
        _NOT_LISTENED,
        (_OK, _OK),
        "`$time` is the record's timestamp, so that the same record gives the same bytes",
        "accepted → look in SuprSend's log under which time the events stand; refused → old records become dead letters",
        _past,
    ),
    Question(
        "reserved-properties",
        "Are property keys that begin with `$` or `ss_` taken?",
        "one or two events, which no workflow listens to",
        (("invalid", "accepted"), ("invalid", "accepted")),
        "documented as not allowed; no SDK enforces it",
        "it refuses such keys when it checks the rules, and records that make them become dead letters",
        _reserved,
    ),
    Question(
        "short-body",
        "Is the short body of the REST reference taken, without `env`, `$insert_id` and `$time`?",
        _NOT_LISTENED,
        (("invalid", "accepted"),),
        "every SDK sends the full body",
        "it always sends the full body",
        _short,
    ),
    Question(
        "empty-list",
        "How is a call without events answered?",
        "nothing",
        (("invalid",),),
        "`Request body must not be empty` is documented",
        "`check --live` sends one to see whether the keys are right: 401 and 403 are the answers that say no",
        _empty,
    ),
    Question(
        "wrong-secret",
        "How is a call with a wrong secret answered?",
        _REFUSED,
        (("setup",),),
        "401; its body is documented for another API alone",
        "401 or 403, whatever the body → everything is held as setup, nothing is lost, a probe every 30 s; 400 with "
        "SuprSend's error → would be taken for bad events: add a row to suprsend.answers with `verdict: setup`",
        _wrong,
    ),
    Question(
        "date-600",
        "Is a call taken when its date is ten minutes late, or early?",
        _NOT_LISTENED,
        (_OK, _OK),
        "no tolerance is documented",
        "401 or 403 → everything is held as setup while a clock is off by so much",
        _skewed(600.0),
        signed_only=True,
    ),
    Question(
        "date-86400",
        "Is a call taken when its date is a day late, or early?",
        _NOT_LISTENED,
        (("setup", "accepted"), ("setup", "accepted")),
        "no tolerance is documented",
        "401 or 403 → everything is held as setup while a clock is off by so much",
        _skewed(_DAY),
        signed_only=True,
    ),
)
