"""The note in a commit's metadata."""

from __future__ import annotations

from hypothesis import given, strategies as st

from bridge.delivery.note import MAX_BYTES, decode, runs_of, text_of


def finished_of(text: str, committed: int) -> set[int]:
    """The offsets that the next owner would skip."""
    note = decode(text, committed)
    assert note is not None
    unfinished = {offset for first, last in note.unfinished for offset in range(first, last + 1)}
    return set(range(committed, note.delivered + 1)) - unfinished


@given(st.integers(0, 10**12), st.sets(st.integers(0, 300)), st.integers(-1, 300), st.integers(-1, 400))
def test_the_next_owner_skips_exactly_what_is_finished(base: int, gaps: set[int], top: int, bound: int) -> None:
    """A note decodes to exactly the finished offsets, whatever they are."""
    unfinished = sorted(base + gap for gap in gaps)
    watermark = unfinished[0] if unfinished else base
    delivered = base + top
    text = text_of(at_ms=5, bound=base + bound, delivered=delivered, runs=runs_of(watermark, unfinished, delivered))
    expected = set(range(watermark, delivered + 1)) - set(unfinished)
    assert finished_of(text, watermark) == expected


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4_000), st.integers(0, 10**15))
def test_a_note_never_outgrows_its_room_and_never_skips_what_is_unfinished(steps: list[int], base: int) -> None:
    """A note that would be too long ends early, and what it leaves out counts as unfinished."""
    unfinished = [base]
    for step in steps:
        unfinished.append(unfinished[-1] + step)
    delivered = unfinished[-1] + 1
    runs = runs_of(base, unfinished, delivered)
    text = text_of(at_ms=10**13, bound=10**18, delivered=delivered, runs=runs)
    assert len(text) <= MAX_BYTES
    assert not finished_of(text, base) & set(unfinished)


@given(st.text(max_size=60))
def test_foreign_metadata_is_no_note(text: str) -> None:
    """Anything that is not ours, or not whole, is None or a note; never an error."""
    decode(text, 10)
    assert decode("b2;1;2;3;", 10) is None


@given(st.text(alphabet="0123456789abz,;-+ _²٣", max_size=40))
def test_a_damaged_note_raises_nothing(text: str) -> None:
    """A note that was cut or changed is read or refused, without an error."""
    note = decode("b1;" + text, 10)
    assert note is None or note.delivered >= -1 or note.unfinished == ()


def test_no_metadata_is_no_note() -> None:
    """A commit of somebody else, without metadata, has no note."""
    assert decode(None, 3) is None
    assert decode("", 3) is None
