"""The fault rules in force: which of them strikes a call. Seeded: the same calls in the same order, the same faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple

from bridge.sandbox.answers import Refusal
from bridge.sandbox.call import ApiCall
from bridge.sandbox.faults.spec import AnyFault, EventTest, Reject, TextTest

_FIELDS = (("event", "event"), ("distinct_id", "distinct_id"), ("key", "$idempotency_key"))


class FaultRule:
    """One posted rule with what it has done so far. One thread."""

    def __init__(self, number: int, spec: AnyFault, seed: int, now: float) -> None:
        self.number = number
        self.spec = spec
        self.name = spec.name or spec.fault
        self.seen = 0
        self.struck = 0
        self.random = Random(f"{seed}/{number}")
        self._salt = f"{seed}/{number}/".encode()
        self._since = now
        match = spec.when.match
        self._path = None if match.path is None else _test(match.path)
        self._tests = _tests(match)

    def strikes(self, call: ApiCall, now: float) -> bool:
        """Whether this call is struck; counts it if it matched."""
        when = self.spec.when
        age = now - self._since
        if self.spent(now) or age < when.after or not self._matches(call):
            return False
        self.seen += 1
        turn = self.seen - when.skip
        if turn <= 0 or turn % when.every or (when.probability < 1 and self.random.random() >= when.probability):
            return False
        self.struck += 1
        return True

    def spent(self, now: float) -> bool:
        """Whether it can never strike again."""
        when = self.spec.when
        late = when.until is not None and now - self._since >= when.until
        return late or (when.calls is not None and self.struck >= when.calls)

    def fits(self, event: object) -> bool:
        """Whether an event meets what the rule asks of events."""
        return isinstance(event, dict) and all(test(event) for test in self._tests)

    def drawn(self, event: object, spec: Reject) -> bool:
        """Whether the share of a rejection falls on this event."""
        if spec.share >= 1:
            return True
        if not spec.sticky or not isinstance(event, dict):
            return self.random.random() < spec.share
        name = event.get("$idempotency_key") or event.get("$insert_id") or event.get("distinct_id")
        draw = blake2b(self._salt + str(name).encode(), digest_size=8).digest()
        return int.from_bytes(draw, "big") < spec.share * 2**64

    def shown(self, now: float) -> dict[str, Any]:
        """The rule and its counts, as `GET /_sandbox/faults` lists it."""
        return {
            "id": self.number,
            "name": self.name,
            "active": not self.spent(now),
            "seen": self.seen,
            "struck": self.struck,
            "rule": self.spec.model_dump(exclude_defaults=True),
        }

    def _matches(self, call: ApiCall) -> bool:
        if self._path is not None and not self._path(call.target):
            return False
        return not self._tests or any(self.fits(event) for _, event in call.pieces())


class FaultRejection(NamedTuple):
    """A `reject` rule that struck, as the API asks it (`bridge.sandbox.api.Rejection`)."""

    rule: FaultRule
    spec: Reject

    @property
    def apply(self) -> bool:
        """Whether a refused event is accepted behind the client's back."""
        return self.spec.apply

    @property
    def whole(self) -> bool:
        """Whether one chosen event refuses the call."""
        return self.spec.whole

    @property
    def refusal(self) -> Refusal:
        """What the refused are told."""
        return Refusal(self.spec.status_code, self.spec.type, self.spec.message)

    def chooses(self, event: object) -> bool:
        """Whether this event is refused."""
        return self.rule.fits(event) and self.rule.drawn(event, self.spec)


class Chosen(NamedTuple):
    """What strikes one call: at most one rule for the call, and any number of rejections of its events."""

    rule: FaultRule | None
    rejections: tuple[FaultRejection, ...]


NOTHING = Chosen(None, ())


class FaultPlan:
    """All rules, in the order they were posted; the first that strikes a call wins. One thread."""

    def __init__(self, seed: int, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._clock = clock
        self._rules: list[FaultRule] = []
        self._numbers = 0

    def add(self, specs: list[AnyFault]) -> list[FaultRule]:
        """Put rules behind those in force."""
        now = self._clock()
        added = [FaultRule(self._numbers + at, spec, self._seed, now) for at, spec in enumerate(specs, 1)]
        self._numbers += len(added)
        self._rules.extend(added)
        return added

    def clear(self) -> None:
        """End all faults; the next rule is the first again, with the same seed."""
        self._rules.clear()
        self._numbers = 0

    def remove(self, number: int) -> bool:
        """End one; False where there is no such rule."""
        left = [rule for rule in self._rules if rule.number != number]
        found = len(left) < len(self._rules)
        self._rules = left
        return found

    def shown(self) -> list[dict[str, Any]]:
        """All rules with their counts, spent ones too."""
        now = self._clock()
        return [rule.shown(now) for rule in self._rules]

    def choose(self, call: ApiCall) -> Chosen:
        """What strikes this call."""
        if not self._rules:
            return NOTHING
        now = self._clock()
        first: FaultRule | None = None
        rejections: list[FaultRejection] = []
        for rule in self._rules:
            if isinstance(rule.spec, Reject):
                if rule.strikes(call, now):
                    rejections.append(FaultRejection(rule, rule.spec))
            elif first is None and rule.strikes(call, now):
                first = rule
        return Chosen(first, tuple(rejections))


def _tests(match: EventTest) -> list[Callable[[dict[str, object]], bool]]:
    wanted = ((getattr(match, name), field) for name, field in _FIELDS)
    return [_field_test(field, _test(text)) for text, field in wanted if text is not None]


def _field_test(field: str, test: Callable[[str], bool]) -> Callable[[dict[str, object]], bool]:
    def fits(event: dict[str, object]) -> bool:
        value = event.get(field)
        return isinstance(value, str) and test(value)

    return fits


def _test(text: TextTest) -> Callable[[str], bool]:
    if text.regex is not None:
        pattern = re.compile(text.regex)
        return lambda value: pattern.search(value) is not None
    if text.equals is not None:
        return text.equals.__eq__
    part = text.contains or ""
    return lambda value: part in value
