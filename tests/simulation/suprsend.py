"""A simulated SuprSend: applies events or not, answers or not, in every wrong way there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING, NamedTuple

from bridge.flow import Reply
from bridge.jsontext import dumps
from tests.simulation.faults import Faults
from tests.simulation.records import REFUSED, STUCK, Known, Track
from tests.simulation.truth import Truth

if TYPE_CHECKING:
    from tests.simulation.member import Member

OK = b'{"status":"success","message_id":"m","status_code":202}'
INVALID = b'{"status":"error","status_code":422,"error":{"type":"validation_error","message":"the event is bad"}}'
TRANSIENT = b'{"status":"error","status_code":500,"error":{"type":"internal_error","message":"redis eval error: EOF"}}'
THROTTLED = b'{"status":"error","status_code":"429","error":{"type":"too_many","message":"slow down"}}'
ODD = (b"null", b'{"status":"success"}', b'{"status":"success","status_code":202,"error":{}}', b'{"status":"queued"}')
NO_RIGHTS = b'{"status":"error","status_code":403,"error":{"type":"forbidden","message":"not for this key"}}'
AFTER = (None, None, "0", "1", "soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT")
"""What a server may say of when to come back."""
NEVER = "99999999999999999999"
"""Longer than anybody may be believed."""
QUIET = {"1": 1.0, NEVER: 300.0}
"""Seconds in which no call may come behind that, for each process that heard it."""
RIGHTS = 0.99
"""Above it a result says that the keys have no rights: it was not applied."""
WHOLE = (400, 422, 413)
"""With an error of SuprSend's own the call is refused for what is in it."""
NEVER_TAKEN = (REFUSED, STUCK)
"""Words of events that are never taken."""
FORBIDDEN = b'{"status":"error","error":{"type":"forbidden","message":"not for this key"}}'
GATEWAY = b'{"message":"Forbidden"}'
ERROR = b'{"status":"error","error":{"type":"validation_error","message":"one of the events is bad"}}'
HTML = b"<html><body>Bad gateway</body></html>"


def bulk(records: Sequence[bytes]) -> bytes:
    """The body of a bulk answer."""
    return b'{"status":"success","records":[' + b",".join(records) + b"]}"


ALL_OK = {n: bulk([OK] * n) for n in range(60)}


class Call(NamedTuple):
    """A call on its way: who sent it, under which assignments, and what is in it."""

    member: Member
    number: int
    events: list[Known]
    tracks: dict[int, Track]


class Answer(NamedTuple):
    """A reply, and what a reader of it may take for sure: indices of accepted and of refused events."""

    call: Call
    reply: Reply
    accepted: Sequence[int]
    refused: Sequence[int]


def plain(status: int, body: bytes, *, error: str | None = None, applied: bool = True) -> Reply:
    return Reply(status, error, None, body, applied, 0.05)


class SuprSend:
    """Calls that were sent and have no answer yet, and the fault that all of them meet."""

    def __init__(self, faults: Faults, truth: Truth, trouble: float) -> None:
        self.faults = faults
        self.truth = truth
        self.trouble = trouble
        self.calls: list[Call] = []
        self.answered = 0
        self.late: list[tuple[float, list[Known]]] = []
        self.ongoing: str | None = None
        """A kind of fault that every call meets for a while."""
        self.ongoing_until = 0.0
        self._table: tuple[tuple[str, Callable[[Call, float, int], Answer]], ...] = (
            ("api: 5xx, not applied", self._failed),
            ("api: 5xx, applied", self._failed_but_applied),
            ("api: timeout", self._timeout),
            ("api: timeout, applied late", self._late),
            ("api: connection reset", self._reset),
            ("api: no connection", self._no_connection),
            ("api: throttled", self._throttled),
            *[("", self._partial)] * 6,
            ("api: wrong count", self._wrong_count),
            ("api: malformed answer", self._malformed),
            ("api: cut answer", self._cut),
            ("api: a summary", self._summary),
            ("box: too large a call", self._too_large_for_a_box),
            ("box: hands it on, refuses the answer", self._box),
        )
        self._ongoing_faults: dict[str, Callable[[Call, float, int], Answer]] = {
            "api: outage": self._failed,
            "api: wrong set-up": self._setup,
            "api: own words refuse all": self._own_words,
            "box: hands all on, refuses the answers": self._box,
            "api: nothing is readable": self._malformed,
            "api: no answers": self._timeout,
            "api: throttles all": self._throttled,
            "api: refuses all connections": self._no_connection,
        }

    def answer(self, call: Call, now: float, now_ms: int) -> Answer:
        """End one call: decide what was applied and what comes back."""
        faults = self.faults
        self.answered += 1
        if self.ongoing is not None:
            if now < self.ongoing_until and faults.take(self.ongoing):
                return self._ongoing_faults[self.ongoing](call, now, now_ms)
            self.ongoing = None
        if faults.rng.random() < self.trouble:
            kind, fate = faults.rng.choice(self._table)
            if not kind or faults.take(kind):
                return fate(call, now, now_ms)
        return self._well(call, now_ms)

    def _apply(self, events: Sequence[Known], now_ms: int) -> None:
        for event in events:
            word = event.rec.words[event.item]
            if word not in NEVER_TAKEN:
                self.truth.applied(event, now_ms)

    def _note_failures(self, call: Call, indices: Sequence[int] | None = None) -> None:
        for index in indices if indices is not None else range(len(call.events)):
            rec, item, _ = call.events[index]
            rec.failed[item] = rec.failed.get(item, 0) + 1
            rec.failing_ms.setdefault(item, self.truth.now_ms)

    def _well(self, call: Call, now_ms: int) -> Answer:
        """As documented; poison is refused alone or takes the whole call with it."""
        events = call.events
        words = [event.rec.words[event.item] for event in events]
        n = len(events)
        if REFUSED in words:
            self.faults.take("api: poison event", words.count(REFUSED))
            if STUCK not in words and self.faults.rng.random() < 0.5:
                return Answer(call, plain(self.faults.rng.choice(WHOLE), ERROR), (), (0,) if n == 1 else ())
        self._apply(events, now_ms)
        if REFUSED not in words and STUCK not in words:
            return Answer(call, plain(207 if n % 2 else 200, ALL_OK[n]), range(n), ())
        if STUCK in words:
            self.faults.take("api: an event that always fails")
            self._note_failures(call, [i for i, word in enumerate(words) if word == STUCK])
        results = [INVALID if word == REFUSED else TRANSIENT if word == STUCK else OK for word in words]
        accepted = [i for i, word in enumerate(words) if word not in NEVER_TAKEN]
        return Answer(call, plain(207, bulk(results)), accepted, [i for i, word in enumerate(words) if word == REFUSED])

    def _partial(self, call: Call, now: float, now_ms: int) -> Answer:
        """Results per record: some accepted, some refused, some failed, some unreadable. Each that fails is a fault."""
        faults = self.faults
        rng = faults.rng
        results: list[bytes] = []
        accepted: list[int] = []
        refused: list[int] = []
        failed: list[int] = []
        for index, event in enumerate(call.events):
            word = event.rec.words[event.item]
            chance = rng.random()
            if word == REFUSED and chance < 0.7 and faults.take("api: one of many refused"):
                refused.append(index)
                results.append(INVALID)
            elif word not in NEVER_TAKEN and (chance < 0.5 or not faults.take("api: one of many failed")):
                accepted.append(index)
                results.append(OK)
                self.truth.applied(event, now_ms)
            else:
                failed.append(index)
                results.append(self._failure(chance))
                if 0.9 < chance <= RIGHTS:
                    self._apply((event,), now_ms)
        self._note_failures(call, failed)
        return Answer(call, plain(207, bulk(results)), accepted, refused)

    def _failure(self, chance: float) -> bytes:
        if chance < 0.75:
            return TRANSIENT
        if chance < 0.85:
            return THROTTLED
        return NO_RIGHTS if chance > RIGHTS else self.faults.rng.choice(ODD)

    def _failed(self, call: Call, now: float, now_ms: int) -> Answer:
        rng = self.faults.rng
        self._note_failures(call)
        status = rng.choice((500, 502, 503, 504, 408, 425))
        after = self._after(now_ms) if status == 503 else None
        return Answer(call, Reply(status, None, after, rng.choice((ERROR, HTML, b"")), True, 0.05), (), ())

    def _failed_but_applied(self, call: Call, now: float, now_ms: int) -> Answer:
        self._apply(call.events, now_ms)
        return self._failed(call, now, now_ms)

    def _timeout(self, call: Call, now: float, now_ms: int) -> Answer:
        if self.faults.rng.random() < 0.5:
            self._apply(call.events, now_ms)
        self._note_failures(call)
        return Answer(call, plain(0, b"", error="timeout"), (), ())

    def _late(self, call: Call, now: float, now_ms: int) -> Answer:
        self.late.append((now + self.faults.rng.random() * 20.0, call.events))
        self._note_failures(call)
        return Answer(call, plain(0, b"", error="timeout"), (), ())

    def _reset(self, call: Call, now: float, now_ms: int) -> Answer:
        answer = self._timeout(call, now, now_ms)
        return answer._replace(reply=plain(0, b"", error="reset"))

    def _no_connection(self, call: Call, now: float, now_ms: int) -> Answer:
        self._note_failures(call)
        return Answer(call, plain(0, b"", error="connect", applied=False), (), ())

    def _throttled(self, call: Call, now: float, now_ms: int) -> Answer:
        self._note_failures(call)
        return Answer(call, Reply(429, None, self._after(now_ms), b"", True, 0.05), (), ())

    def _after(self, now_ms: int) -> str | None:
        rng = self.faults.rng
        chance = rng.random()
        if chance < 0.05:
            return NEVER
        return formatdate(now_ms / 1000 + 2, usegmt=True) if chance < 0.1 else rng.choice(AFTER)

    def _own_words(self, call: Call, now: float, now_ms: int) -> Answer:
        """Refused before anything was looked at, and SuprSend says so itself."""
        return Answer(call, plain(self.faults.rng.choice((401, 403)), FORBIDDEN), (), ())

    def _box(self, call: Call, now: float, now_ms: int) -> Answer:
        """A proxy that lets the call through and refuses what comes back: all is applied, and a page says no."""
        self._apply(call.events, now_ms)
        self._note_failures(call)
        rng = self.faults.rng
        return Answer(call, plain(rng.choice((403, 407, 451, 302, 429)), rng.choice((HTML, GATEWAY))), (), ())

    def _too_large_for_a_box(self, call: Call, now: float, now_ms: int) -> Answer:
        self._note_failures(call)
        return Answer(call, plain(413, self.faults.rng.choice((HTML, GATEWAY, b""))), (), ())

    def _summary(self, call: Call, now: float, now_ms: int) -> Answer:
        """Counts and failed events, as SuprSend's page shows: some of them name another event, or count wrongly."""
        rng, events = self.faults.rng, call.events
        refused = [at for at, event in enumerate(events) if event.rec.words[event.item] == REFUSED]
        failed = [at for at, event in enumerate(events) if event.rec.words[event.item] == STUCK]
        accepted = [at for at in range(len(events)) if at not in refused and at not in failed]
        self._apply(events, now_ms)
        self._note_failures(call, failed)
        listed = [(at, 422) for at in refused] + [(at, 500) for at in failed]
        told = ",".join(
            f'{{"record":{{"$idempotency_key":{dumps(events[at].key).decode()}}},"error":"it is bad","code":{code}}}'
            for at, code in listed
        )
        wrong = rng.random() < 0.2
        total = len(events) + wrong
        body = (
            f'{{"status":"partial","total":{total},"success":{len(accepted) + wrong},"failure":{len(listed)},'
            f'"failed_records":[{told}]}}'
        )
        body = body if listed else body.replace("partial", "success")
        if wrong:
            self._note_failures(call)
            return Answer(call, plain(207, body.encode()), (), ())
        return Answer(call, plain(207, body.encode()), accepted, refused)

    def _setup(self, call: Call, now: float, now_ms: int) -> Answer:
        rng = self.faults.rng
        if rng.random() < 0.6:
            return Answer(call, plain(rng.choice((401, 403, 404)), HTML), (), ())
        return Answer(call, plain(0, b"", error=rng.choice(("tls", "dns")), applied=False), (), ())

    def _wrong_count(self, call: Call, now: float, now_ms: int) -> Answer:
        """Fewer or more results than events: nobody can say which is whose."""
        self._apply(call.events[: self.faults.rng.below(len(call.events) + 1)], now_ms)
        self._note_failures(call)
        n = len(call.events)
        return Answer(call, plain(207, ALL_OK[n + 1 if self.faults.rng.random() < 0.5 else n - 1]), (), ())

    def _malformed(self, call: Call, now: float, now_ms: int) -> Answer:
        if self.faults.rng.random() < 0.5:
            self._apply(call.events, now_ms)
        self._note_failures(call)
        n = len(call.events)
        whole = ALL_OK[n]
        body = self.faults.rng.choice(
            (
                HTML,
                b"",
                b"{",
                b"[]",
                b'{"status":"success"}',
                b'{"records":{}}',
                b'{"records":null,"status":"success"}',
                whole[:-2],
                whole + b"x",
                whole.replace(b'"status_code":202', b'"status_code":500', 1),
                whole.replace(b'{"status":"success","records"', b'{"records":[],"status":"success","records"'),
                bulk([b'{"status":"success"}'] * n),
                bulk([b'"ok"'] * n),
                b'"accepted"',
                b"\x1f\x8b\x08\x00",
            )
        )
        answer = Answer(call, plain(200, body), (), ())
        if body.count(b'"status_code":500') and n > 1:
            # The other records of that one are readable: they count as accepted, and were applied or they would be lost.
            self._apply(call.events[1:], now_ms)
            accepted = [i for i in range(1, n) if call.events[i].rec.words[call.events[i].item] not in NEVER_TAKEN]
            return answer._replace(accepted=accepted) if len(accepted) == n - 1 else self._failed(call, now, now_ms)
        return answer

    def _cut(self, call: Call, now: float, now_ms: int) -> Answer:
        self._apply(call.events, now_ms)
        self._note_failures(call)
        whole = ALL_OK[len(call.events)]
        cut = whole[: self.faults.rng.below(len(whole))]
        return Answer(call, plain(207, cut, error=self.faults.rng.choice(("reset", "timeout"))), (), ())

    def apply_late(self, now: float, now_ms: int, *, everything: bool = False) -> None:
        """What timed out for its sender may be processed now."""
        if self.late:
            due = [events for at, events in self.late if everything or at <= now]
            if due:
                self.late = [] if everything else [entry for entry in self.late if entry[0] > now]
            for events in due:
                self._apply(events, now_ms)
