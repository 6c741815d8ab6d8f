"""The note in a commit's metadata."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.offsets.commits import (
    MAX_BYTES,
    MOST_STEPS,
    OLD_MS,
    Began,
    HandedSince,
    Origin,
    Steps,
    decode,
    digest_of,
    halved,
    runs_of,
    since_of,
    text_of,
)
from tests.delivery import former_metadata


def finished_of(text: str, committed: int) -> set[int]:
    """The offsets that the next owner would skip."""
    note = decode(text, committed)
    assert note is not None
    unfinished = {offset for first, last in note.unfinished for offset in range(first, last + 1)}
    return set(range(committed, note.delivered + 1)) - unfinished


@given(st.integers(0, 10**12), st.sets(st.integers(0, 300)), st.integers(-1, 300), st.integers(-1, 400))
def test_the_next_owner_skips_exactly_what_is_finished(base: int, gaps: set[int], top: int, send_limit: int) -> None:
    """A note decodes to exactly the finished offsets, whatever they are."""
    unfinished = sorted(base + gap for gap in gaps)
    watermark = unfinished[0] if unfinished else base
    delivered = base + top
    runs = runs_of(watermark, unfinished, delivered)
    text = text_of(at_ms=5, send_limit=base + send_limit, delivered=delivered, runs=runs, committed=watermark)
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
    text = text_of(at_ms=10**13, send_limit=10**18, delivered=delivered, runs=runs, committed=base)
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


IDS = st.one_of(st.none(), st.text(min_size=1, max_size=40))
BEGAN = st.one_of(st.none(), st.builds(Began, st.integers(0, 2**43), st.integers(0, 2**20 - 1)))
MOVES = st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 14_400_000)), max_size=MOST_STEPS)


def steps_of(watermark: int, moves: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Steps by how far and how long each goes."""
    last, since = watermark - 1, 1_700_000_000_000
    found = []
    for offsets, wait in moves:
        last, since = last + offsets, since + wait
        found.append((last, since))
    return tuple(found)


@given(
    st.integers(0, 2**62),
    st.sets(st.integers(0, 3_000)),
    st.integers(-1, 3_000),
    MOVES,
    IDS,
    IDS,
    BEGAN,
    st.integers(0, 4),
)
def test_the_former_version_understands_what_is_written_now(
    base: int,
    gaps: set[int],
    top: int,
    moves: list[tuple[int, int]],
    cluster: str | None,
    topic: str | None,
    began: Began | None,
    halvings: int,
) -> None:
    """The decoder of the version before reads a note with facts, in any room, as this one does, and drops the facts."""
    watermark, delivered = base + min(gaps, default=0), base + top
    runs = runs_of(watermark, sorted(base + gap for gap in gaps), delivered)
    steps = steps_of(watermark, moves)
    origin = Origin(digest_of(cluster), digest_of(topic))
    room = MAX_BYTES >> halvings
    send_limit, at_ms = steps[-1] if steps else (-1, 5)
    text = text_of(
        at_ms=steps[0][1] if steps else at_ms,
        send_limit=send_limit,
        delivered=delivered,
        runs=runs,
        committed=watermark,
        steps=steps,
        origin=origin,
        began=began,
        room=room,
    )
    note, former = decode(text, watermark), former_metadata.decode(text, watermark)
    assert len(text) <= room
    assert note is not None
    assert former is not None
    assert (note.send_limit, note.at_ms, note.delivered, note.unfinished, note.runs, note.steps) == (
        *(former.bound, former.at_ms, former.delivered, former.unfinished, former.runs, former.steps),
    )
    assert (note.offset, note.fits, note.origin, note.began) == (watermark, True, origin, began)
    assert not finished_of(text, watermark) & {base + gap for gap in gaps}


@given(st.integers(0, 2**62), st.sets(st.integers(0, 3_000)), st.integers(-1, 3_000), MOVES)
def test_what_the_former_version_wrote_is_understood(
    base: int, gaps: set[int], top: int, moves: list[tuple[int, int]]
) -> None:
    """A note without facts means what it meant, and claims nothing of cluster, topic or commit."""
    watermark, delivered = base + min(gaps, default=0), base + top
    runs = former_metadata.runs_of(watermark, sorted(base + gap for gap in gaps), delivered)
    steps = steps_of(watermark, moves)
    send_limit, at_ms = steps[-1] if steps else (-1, 5)
    text = former_metadata.text_of(
        at_ms=steps[0][1] if steps else at_ms,
        bound=send_limit,
        delivered=delivered,
        runs=runs,
        steps=steps,
        committed=watermark,
    )
    note, former = decode(text, watermark), former_metadata.decode(text, watermark)
    assert note is not None
    assert former is not None
    assert (note.send_limit, note.at_ms, note.delivered, note.unfinished, note.runs, note.steps) == (
        *(former.bound, former.at_ms, former.delivered, former.unfinished, former.runs, former.steps),
    )
    assert (note.offset, note.fits, note.origin, note.began) == (None, True, Origin(), None)


@given(st.sets(st.integers(0, 2_000), min_size=1), st.integers(0, 200))
def test_in_any_room_nothing_unfinished_is_skipped_and_the_facts_are_told(gaps: set[int], room: int) -> None:
    """With hardly any room all that is left of a note is its fields and facts; no reader takes these for finished."""
    watermark, top = min(gaps), max(gaps) + 3
    origin, began = Origin(digest_of("a"), digest_of("b")), Began(1_700_000_000_000, 12)
    text = text_of(
        at_ms=1_700_000_000_000,
        send_limit=top,
        delivered=top,
        runs=runs_of(watermark, sorted(gaps), top),
        committed=watermark,
        origin=origin,
        began=began,
        room=room,
    )
    note = decode(text, watermark)
    assert note is not None
    assert (note.origin, note.began, note.offset) == (origin, began, watermark)
    assert not finished_of(text, watermark) & gaps
    assert older_bridge(text, watermark) == finished_of(text, watermark)
    assert len(text) <= max(room, 160)


def test_a_note_beside_another_commit_does_not_fit() -> None:
    """What was written for offset 10 says so wherever it is found; the reader decides what that means."""
    text = text_of(at_ms=1, send_limit=20, delivered=15, runs="2,4", committed=10, origin=Origin(1, 2))
    for committed, fits in ((10, True), (9, False), (0, False), (11, False)):
        note = decode(text, committed)
        assert note is not None
        assert (note.offset, note.fits, note.origin) == (10, fits, Origin(1, 2))


def test_facts_of_later_versions_are_read_past() -> None:
    """An unknown kind changes nothing of what is known."""
    text = text_of(at_ms=1, send_limit=20, delivered=15, runs="2,4", committed=10, origin=Origin(1, 2))
    later = (99 << 64) + 7
    digits = ""
    while later:
        later, digit = divmod(later, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    assert decode(f"{text},0,{digits},0,0", 10) == decode(text, 10)


def test_the_text_of_a_note_never_changes_its_form() -> None:
    """Golden: what stands in Kafka for years."""
    text = text_of(
        at_ms=1_700_000_000_000,
        send_limit=99,
        delivered=60,
        runs="1,2,3,5",
        committed=50,
        steps=((70, 1_700_000_000_000), (99, 1_700_000_060_000)),
        origin=Origin(digest_of("MkU3OEVBNTcwNTJENDM2Qk"), digest_of("pLKcbHc0Rt-8oKhEPGQN5Q")),
        began=Began(1_690_000_000_000, 12),
    )
    assert text == GOLDEN
    assert digest_of(None) == digest_of("") == 0
    assert digest_of("MkU3OEVBNTcwNTJENDM2Qk").bit_length() <= 48


def test_no_metadata_is_no_note() -> None:
    """A commit of somebody else, without metadata, has no note."""
    assert decode(None, 3) is None
    assert decode("", 3) is None


GOLDEN = (
    "b1;1700000000000;99;60;1,2,3,5,0,0,0,k,0,1o,0,1u6jmhi0w9fxgy"
    ",0,0,0,1y2p193ipamw3k,0,0,0,21yuev30fcj9yd,0,0,0,268ghbab4f2jv0,0,0"
)
HOUR = 3_600_000


@given(
    st.integers(0, 10**12),
    st.sets(st.integers(0, 300)),
    st.integers(-1, 300),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 4 * HOUR)), min_size=1, max_size=MOST_STEPS),
)
def test_steps_travel_in_the_note_and_change_nothing_else_of_it(
    base: int, gaps: set[int], top: int, moves: list[tuple[int, int]]
) -> None:
    """Since when each offset may have been handed over is read back, early by less than a second a step, never late."""
    unfinished = sorted(base + gap for gap in gaps)
    watermark = unfinished[0] if unfinished else base
    delivered = base + top
    last, since = watermark - 1, 1_700_000_000_000
    steps = []
    for offsets, wait in moves:
        last, since = last + offsets, since + wait
        steps.append((last, since))
    runs = runs_of(watermark, unfinished, delivered)

    def told(*steps_told: tuple[int, int]) -> str:
        at_ms = steps[0][1]
        return text_of(
            at_ms=at_ms, send_limit=last, delivered=delivered, runs=runs, steps=steps_told, committed=watermark
        )

    note, plain = decode(told(*steps), watermark), decode(told(), watermark)
    assert note is not None
    assert plain is not None
    assert plain.steps == ((last, steps[0][1]),)
    assert (note.unfinished, note.delivered, note.send_limit, note.at_ms, note.runs) == (
        *(plain.unfinished, plain.delivered, plain.send_limit, plain.at_ms),
        runs,
    )
    for offset, at in steps:
        found = since_of(note.steps, offset)
        assert found is not None
        assert at - 1_000 < found <= at


def older_bridge(text: str, committed: int) -> set[int]:
    """What a bridge of before the steps takes for finished: all of RUNS are runs to it."""
    delivered = int(text.split(";")[3])
    lengths = [int(length, 36) for length in text.split(";")[4].split(",") if length]
    at, finished = committed, set()
    for unfinished, done in zip(lengths[::2], lengths[1::2], strict=True):
        finished |= set(range(at + unfinished, min(at + unfinished + done, delivered + 1)))
        at += unfinished + done
    return finished


@given(st.sets(st.integers(0, 100)), st.integers(-1, 100), st.integers(0, 400))
def test_an_older_bridge_reads_a_note_with_steps_as_one_without(gaps: set[int], top: int, cut: int) -> None:
    """What it skips is what is finished: in the middle of an upgrade, or after a step back, nothing is lost."""
    unfinished = sorted(gaps)
    watermark = unfinished[0] if unfinished else 0
    runs = runs_of(watermark, unfinished, top)
    pairs = runs.split(",")
    kept = ",".join(pairs[: min(len(pairs), cut) // 2 * 2])
    steps = ((watermark + 3, 0), (watermark + 500, HOUR))
    text = text_of(at_ms=0, send_limit=watermark + 500, delivered=top, runs=kept, steps=steps, committed=watermark)
    assert older_bridge(text, watermark) == finished_of(text, watermark)
    assert not finished_of(text, watermark) & gaps


@given(st.integers(0, 3_000))
def test_long_runs_leave_less_room_for_steps(length: int) -> None:
    """Beside runs that fill the room, times grow coarser: they are too early then, never too late."""
    unfinished = list(range(0, 2 * length + 1, 2))
    delivered = unfinished[-1] + 1
    runs = runs_of(0, unfinished, delivered)
    steps = tuple((10**9 * (at + 1), HOUR * at) for at in range(MOST_STEPS))
    text = text_of(at_ms=0, send_limit=steps[-1][0], delivered=delivered, runs=runs, steps=steps, committed=0)
    assert len(text) <= MAX_BYTES
    note = decode(text, 0)
    assert note is not None
    assert note.runs == runs
    for last, since in steps:
        found = since_of(note.steps, last)
        assert found is not None
        assert found <= since


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(-HOUR, 12 * HOUR), st.integers(0, 30)), max_size=400))
def test_coverage_is_early_by_little_and_never_late(moves: list[tuple[int, int, int]]) -> None:
    """Whatever is read when, few steps are kept, and none says later than the commit that first covered an offset."""
    coverage = HandedSince()
    truth: dict[int, int] = {}
    offset, send_limit, now = 0, -1, 1_700_000_000_000
    for more, wait, finished in moves:
        now += wait
        truth = {each: min(since, now) for each, since in truth.items()}
        truth |= dict.fromkeys(range(max(send_limit + 1, offset), send_limit + more + 1), now)
        send_limit += more
        offset = min(offset + finished, send_limit + 1)
        steps = coverage.told(offset, send_limit, now)
        assert len(steps) <= MOST_STEPS
        for each in range(offset, send_limit + 1):
            found = since_of(steps, each)
            assert found is not None
            assert found <= truth[each]


def test_coverage_says_just_what_each_commit_covered() -> None:
    """The times of what is still unfinished, the committed offset among them; nothing where nothing was read."""
    coverage = HandedSince()
    assert coverage.told(7, 6, 1_000) == ()
    assert coverage.told(7, 9, 2_000) == ((9, 2_000),)
    assert coverage.told(7, 9, 3_000) == ((9, 2_000),)
    assert coverage.told(7, 12, 3_000) == ((9, 2_000), (12, 3_000))
    assert coverage.told(9, 12, 4_000) == ((9, 2_000), (12, 3_000))
    assert coverage.told(10, 12, 4_000) == ((12, 3_000),)
    assert coverage.told(10, 14, 2_500) == ((12, 2_500), (14, 2_500)), "the clock was set back"


def test_what_suprsend_has_forgotten_is_one_step() -> None:
    """A day is how long it knows a key: older times say no more than the oldest."""
    day = 24 * HOUR
    coverage = HandedSince(((0, 0), (1, 1), (2, 2)))
    assert coverage.told(0, 3, day) == ((0, 0), (1, 1), (2, 2), (3, day))
    assert coverage.told(0, 3, day + 1) == ((1, 0), (2, 2), (3, day))
    assert coverage.told(0, 4, day + 2) == ((2, 0), (3, day), (4, day + 2))


def test_of_too_many_steps_the_two_that_begin_closest_together_become_one() -> None:
    """All others stay exact, and what is joined is taken for as old as the older of the two."""
    times = [1_000 * number for number in range(96)]
    exact = tuple(enumerate(times))
    coverage = HandedSince(exact)
    assert coverage.told(0, 95, 95_000) == exact
    assert coverage.told(0, 96, 95_500) == (*exact[:-1], (96, 95_000))
    assert coverage.told(0, 97, 97_000) == ((1, 0), *exact[2:-1], (96, 95_000), (97, 97_000))


@pytest.mark.parametrize(
    ("handed", "left"),
    [
        (9, ((5, 1_000), (9, 2_000))),
        (8, ((5, 1_000), (8, 2_000))),
        (5, ((5, 1_000),)),
        (3, ((3, 1_000),)),
        (-1, ()),
    ],
)
def test_what_was_not_handed_over_after_all_is_taken_back(handed: int, left: tuple[tuple[int, int], ...]) -> None:
    """Its time goes with it; what lies below keeps its own."""
    coverage = HandedSince(((5, 1_000), (9, 2_000)))
    coverage.take_back(handed)
    assert coverage.told(0, handed, 3_000) == left


def test_half_as_many_steps_are_early_and_never_late() -> None:
    """Each takes in the one behind it; the last offset is covered by the last step."""
    assert halved(((1, 10), (2, 20), (3, 30))) == ((2, 10), (3, 30))
    assert halved(((1, 10), (2, 20), (3, 30), (4, 40))) == ((2, 10), (4, 30))


def test_runs_are_whole_as_long_as_there_is_room() -> None:
    """958 pairs of four bytes fill it; of one more the last are taken for unfinished."""
    for pairs, whole in ((958, True), (959, False)):
        unfinished = list(range(0, 2 * pairs, 2))
        runs = runs_of(0, unfinished, 2 * pairs - 1)
        text = text_of(at_ms=1, send_limit=-1, delivered=2 * pairs - 1, runs=runs, committed=0)
        assert (finished_of(text, 0) == set(range(1, 2 * pairs, 2))) is whole
        assert finished_of(text, 0) >= set(range(1, 1_900, 2))


def test_an_offset_that_no_run_reaches_is_unfinished() -> None:
    """The last that was delivered among them, where the runs say nothing of it."""
    for runs, unfinished in (("", ((5, 5),)), ("0,1", ())):
        note = decode(f"b1;1;9;5;{runs}", 5)
        assert note is not None
        assert note.unfinished == unfinished


def test_runs_that_end_early_are_closed_by_one_that_ends_with_the_last_delivered() -> None:
    """No reader, of whatever version, finds a finished offset behind it."""
    note = decode(text_of(at_ms=1, send_limit=30, delivered=20, runs="1,2", committed=10), 10)
    assert note is not None
    assert (note.runs, note.unfinished) == ("1,2,8,0", ((10, 10), (13, 20)))


def test_more_partitions_than_there_is_room_for_change_nothing_else() -> None:
    """A million are told as they are; of more the beginning is as it was."""
    for partitions, told in ((2**20 - 1, 2**20 - 1), (2**20, 2**20 - 1)):
        began = Began(1_690_000_000_000, partitions)
        note = decode(text_of(at_ms=1, send_limit=-1, delivered=-1, runs="", committed=0, began=began), 0)
        assert note is not None
        assert note.began == Began(1_690_000_000_000, told)


@pytest.mark.parametrize(
    "text",
    ["b1;1;9;5", "b1;1;9;5;0,1;", "b2;1;9;5;0,1", "b1;1;9;5;1", "b1;1;9;5;0,1,2", "b1;1;9;5;0,-1", "b1;1;x;5;0,1"],
)
def test_what_is_not_whole_is_no_note(text: str) -> None:
    """A field too few or too many, a run without its other half, or what is no length."""
    assert decode(text, 5) is None
    assert decode("b1;1;9;5;0,1", 5) is not None


@pytest.mark.parametrize("behind", ["0,5", "0,5,0", "0,5,0,1,0,1", "1,5,0,1", "0,5,1,1"])
def test_damaged_steps_say_nothing_and_the_runs_count(behind: str) -> None:
    """One time is that of all then, which is early, and never late."""
    note = decode(f"b1;1000;9;5;0,1,0,0,{behind}", 5)
    if note is not None:
        assert (note.delivered, note.unfinished, note.steps, note.offset) == (5, (), ((9, 1_000),), None)


def test_no_offset_has_two_steps() -> None:
    """What is said of the send limit itself is said once, by the last of them."""
    note = decode("b1;1000;9;-1;0,0,0,5,0,3c", 4)
    assert note is not None
    assert note.steps == ((9, 121_000),)


def test_steps_that_just_fit_are_told() -> None:
    """Where one byte is missing there are half as many, which are early."""
    steps = ((5, 1_000), (7, 61_000), (9, 121_000), (11, 181_000))

    def told(room: int) -> Steps:
        text = text_of(at_ms=1_000, send_limit=11, delivered=-1, runs="", committed=5, steps=steps, room=room)
        note = decode(text, 5)
        assert note is not None
        return note.steps

    room = len(text_of(at_ms=1_000, send_limit=11, delivered=-1, runs="", committed=5, steps=steps)) + 1
    assert told(room) == steps
    assert told(room - 2) == ((7, 1_000), (11, 121_000))


def test_runs_that_just_fit_a_small_room_are_whole() -> None:
    """Where one byte is missing they are closed early."""
    runs = runs_of(0, list(range(0, 40, 2)), 39)
    room = len(text_of(at_ms=1, send_limit=-1, delivered=39, runs=runs, committed=0))

    def finished_in(room: int) -> set[int]:
        return finished_of(text_of(at_ms=1, send_limit=-1, delivered=39, runs=runs, committed=0, room=room), 0)

    assert finished_in(room) == set(range(1, 40, 2))
    assert finished_in(room - 1) < set(range(1, 40, 2))


def test_coverage_of_a_watermark_that_stands_still_for_days_stays_fine_enough() -> None:
    """A record that is unfinished for a week makes newer ones at most half an hour older than they are."""
    coverage = HandedSince()
    minute = 60_000
    for at in range(7 * 24 * 60):
        steps = coverage.told(0, at, at * minute)
    now = at * minute
    for offset in range(at - 23 * 60, at, 7):
        since = since_of(steps, offset)
        assert since is not None
        assert 0 <= offset * minute - since <= 30 * minute
    assert steps[0][1] == 0
    assert steps[1][1] > now - OLD_MS
