"""What is told of delivery: how much of it is kept until the log takes it, and what of a payload."""

from __future__ import annotations

import pytest

from bridge.delivery.journal import Journal, trace_of
from tests.delivery.bench import Bench, record, results


def test_of_one_kind_so_many_lines_are_kept_and_the_others_counted() -> None:
    """A flood of one kind takes no memory, hides no other kind, and the next look says how much was left out."""
    journal = Journal()
    for number in range(2_003):
        journal.note("flood", number=number)
    journal.note("other")
    taken = journal.take()
    assert [entry.facts["number"] for entry in taken if entry.event == "flood"] == list(range(2_000))
    assert [entry.event for entry in taken[2_000:]] == ["other"]
    journal.note("flood")
    assert [(entry.event, entry.facts) for entry in journal.take()] == [
        ("flood", {}),
        ("left_out", {"kind": "flood", "count": 3}),
    ]
    assert journal.take() == []


def test_payloads_are_shown_where_that_was_asked_for_fifty_at_a_time() -> None:
    """Nobody's data is in the log unasked; then so many payloads are kept between two looks."""
    journal = Journal()
    journal.show("record", b"secret")
    assert journal.take() == []
    journal.payloads = True
    for number in range(51):
        journal.show("record", b"v", number=number)
    assert [entry.facts["number"] for entry in journal.take() if entry.event == "payload"] == list(range(50))


@pytest.mark.parametrize(("size", "shown"), [(0, True), (16_384, True), (16_385, False)])
def test_a_payload_that_is_too_large_is_told_by_its_size(size: int, shown: bool) -> None:
    """What is longer than 16 KiB is not held."""
    journal = Journal()
    journal.payloads = True
    journal.show("record", b"v" * size)
    (entry,) = journal.take()
    assert (entry.facts["size"], "payload" in entry.facts) == (size, shown)


@pytest.mark.parametrize(("payloads", "sent", "shown"), [(False, False, 0), (True, False, 0), (True, True, 2)])
def test_what_goes_out_is_shown_where_that_was_asked_for(payloads: bool, sent: bool, shown: int) -> None:
    """Each event as it is sent; without the wish for it nothing, whatever else is shown."""
    bench = Bench()
    assert (bench.delivery.journal.payloads, bench.delivery.journal.sent) == (False, False)
    bench.delivery.journal.payloads, bench.delivery.journal.sent = payloads, sent
    bench.assign()
    bench.feed([record(0), record(1)])
    bench.start()
    told = [entry.facts for entry in bench.delivery.journal.take() if entry.event == "payload"]
    assert [(fact["what"], fact["topic"], fact["partition"], fact["offset"]) for fact in told] == [
        ("sent", "t", 0, offset) for offset in range(shown)
    ]


@pytest.mark.parametrize(("word", "shown"), [(b"ex", ["record", "event"]), (b"d", ["record"])])
def test_a_dead_letter_is_shown_with_its_event_where_it_has_one(word: bytes, shown: list[str]) -> None:
    """The record as it was read, and what the rules had made of it."""
    bench = Bench()
    bench.delivery.journal.payloads = True
    bench.assign()
    bench.feed([record(0, word)])
    for call in bench.start():
        bench.answer(call, results("invalid"))
    bench.write_dead_letters()
    told = bench.delivery.journal.take()
    assert [entry.facts["what"] for entry in told if entry.event == "payload"] == shown
    (line,) = (entry for entry in told if entry.event == "dead_letter")
    assert (line.level, line.facts["topic"], line.facts["partition"], line.facts["offset"]) == ("warning", "t", 0, 0)


def test_a_trace_is_bounded_and_quotes_nothing() -> None:
    """The innermost twenty places in the code, and the type; never the text, which may quote a record."""

    def here(levels: int) -> None:
        if levels:
            there(levels - 1)
        message = "of order " + "4711"
        raise ValueError(message)

    def there(levels: int) -> None:
        here(levels)

    with pytest.raises(ValueError, match="4711") as caught:
        here(30)
    trace = trace_of(caught.value)
    assert trace.count('File "') == 20
    assert trace.endswith("ValueError")
    assert "order 4711" not in trace
