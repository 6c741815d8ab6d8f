"""The brake for records that reach no rule."""

from __future__ import annotations

import pytest

from bridge.delivery.admission import Reason
from bridge.delivery.policy import BrakeLimits, Policy
from bridge.flow import Fault, Mapped, Mapper, Record, Stage
from tests.delivery.bench import TOPIC, Bench, record
from tests.delivery.words import WordRules

SCOPE = (TOPIC, 0)


class _SomeUnreadable(WordRules):
    """The word `u` cannot be decoded: no rule is reached."""

    def mapper(self, topic: str) -> Mapper:
        words = super().mapper(topic)

        def mapper(each: Record) -> Mapped:
            if each.value() == b"u":
                return [Fault(None, Stage.DECODE, "not_json", "no JSON", None, "dead_letter")]
            return words(each)

        return mapper


@pytest.mark.parametrize("between", [b"e", b""])
def test_rare_unreadable_records_never_brake(between: bytes) -> None:
    """However many unreadable records there were in all, those that went well between them (delivered, or wanted by no rule) count."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)), rules=_SomeUnreadable())
    bench.assign()
    for at in range(0, 40, 2):
        bench.feed([record(at, between), record(at + 1, b"u")])
        for call in bench.start():
            bench.accept(call)
        bench.settle()
    assert not bench.delivery.holds.on(SCOPE)


def test_nothing_but_unreadable_records_brakes() -> None:
    """A topic of which nothing can be read is held."""
    bench = Bench(Policy(linger=0.0, brake=BrakeLimits(row=3)), rules=_SomeUnreadable())
    bench.assign()
    bench.feed([record(at, b"u") for at in range(5)])
    bench.start()
    assert Reason.BRAKE in bench.delivery.holds.on(SCOPE)
