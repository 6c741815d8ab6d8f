"""Where a partition is read from: the table of `bridge.offsets.begin`, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.flow import Start
from bridge.offsets.begin import Committed, Group, Known, OnGap, Resolved, StartFrom, begins, group_of, resolve
from bridge.offsets.commits import Began, Origin, decode, runs_of, text_of

NAME = ("orders", 3)
NEW = Group(has_commits=False, is_ours=False)
OURS = Group(has_commits=True, is_ours=True)
FOREIGN = Group(has_commits=True, is_ours=False)


def note(committed: int, send_limit: int = 24, delivered: int = -1, runs: str = "") -> str:
    return text_of(at_ms=1_000, send_limit=send_limit, delivered=delivered, runs=runs, committed=committed)


def start(
    committed: tuple[int, str | None] | None,
    group: Group = OURS,
    *,
    low: int = 10,
    high: int = 100,
    start_from: StartFrom = "latest",
    since: int | None = None,
    mark: int | None = None,
    on_gap: OnGap = "hold",
    before: int | None = None,
    fresh: bool = True,
    end: int | None = None,
    topic: int = 0,
) -> Resolved:
    commit = Committed(*committed, epoch=3) if committed else None
    known = Known(NAME, commit, low, high, since, mark, before, fresh, epoch_end=end, origin=Origin(0, topic))
    return resolve(known, group, start_from, on_gap)


@pytest.mark.parametrize(
    ("start_from", "since", "offset"),
    [("latest", None, 100), ("earliest", None, 10), (1_700_000_000_000, 55, 55), (1_700_000_000_000, None, 100)],
)
def test_a_new_group_starts_where_the_settings_say(start_from: StartFrom, since: int | None, offset: int) -> None:
    """With no commit on any partition `start_from` decides, and is committed at once."""
    found = start(None, NEW, start_from=start_from, since=since)
    assert (found.start.offset, found.start.hold, found.fresh) == (offset, None, True)


def test_a_partition_that_was_added_starts_at_its_beginning() -> None:
    """A partition without a commit beside others with one is new: none of its records is skipped."""
    assert start(None, OURS, start_from="latest").start.offset == 10
    assert start(None, FOREIGN, start_from="latest").start.offset == 10


def test_a_commit_of_ours_is_gone_on_from_with_its_note() -> None:
    """What the note says is finished, and may have been handed over, is known again."""
    runs = runs_of(20, [20, 21, 24], 25)
    found = start((20, note(20, send_limit=30, delivered=25, runs=runs)))
    assert found.start.offset == 20
    assert found.start.unfinished == ((20, 21), (24, 24))
    assert (found.start.delivered, found.start.send_limit, found.start.send_limit_at) == (25, 30, 1_000)
    assert (found.runs, found.fresh, found.start.hold) == (runs, False, None)


@pytest.mark.parametrize("metadata", [None, "", "somebody's", "b1;x;y;z;"])
def test_a_commit_without_our_note_below_the_mark_is_a_rewind(metadata: str | None) -> None:
    """A reset of a group that has delivered further holds, and says how much would go out again."""
    found = start((20, metadata), FOREIGN, mark=60)
    assert (found.start.offset, found.start.hold, found.fresh) == (20, "rewind", True)
    assert found.start.detail == (
        "orders[3]: the committed offset 20 was set by somebody else; 41 records from offset 20 on, already delivered, "
        "would go out again"
    )


@pytest.mark.parametrize(("committed", "hold"), [(60, "rewind"), (61, None)])
def test_a_reset_by_one_record_holds(committed: int, hold: str | None) -> None:
    """At the mark one delivered record would go out again; behind it none."""
    found = start((committed, ""), FOREIGN, mark=60)
    assert (found.start.offset, found.start.hold) == (committed, hold)
    assert ("; 1 records from offset 60 on, already delivered" in found.start.detail) == (hold is not None)


def test_a_commit_without_our_note_in_our_group_is_a_rewind_where_no_mark_is_known() -> None:
    """A reset of one partition is noticed without the shadow group, since the others carry notes."""
    found = start((20, ""), OURS)
    assert (found.start.hold, found.lost) == ("rewind", 0)


def test_a_commit_of_another_tool_is_gone_on_from_in_a_group_that_is_new_to_us() -> None:
    """Taking over a group of something else is consent to its offsets."""
    found = start((20, ""), FOREIGN)
    assert (found.start.offset, found.start.hold, found.fresh) == (20, None, True)


def test_a_reset_that_skips_ahead_is_obeyed() -> None:
    """An operator may skip records; only going back needs consent."""
    found = start((70, ""), OURS, mark=60)
    assert (found.start.offset, found.start.hold) == (70, None)


@pytest.mark.parametrize(
    ("group", "start_from", "since", "mark", "unread"),
    [
        (NEW, "latest", None, None, 90),
        (NEW, 1_700_000_000_000, 55, None, 45),
        (NEW, "earliest", None, None, 0),
        (OURS, "latest", None, None, 0),
        (NEW, "latest", None, 60, 0),
    ],
)
def test_what_a_partition_begins_behind_is_counted(
    group: Group, start_from: StartFrom, since: int | None, mark: int | None, unread: int
) -> None:
    """Of what lies before its start nothing is known to be read where there is neither a commit nor a mark."""
    assert start(None, group, start_from=start_from, since=since, mark=mark).unread == unread


def test_commits_that_expired_go_on_behind_the_mark() -> None:
    """A group whose offsets are gone goes on where it had delivered to; `latest` skips nothing."""
    found = start(None, NEW, start_from="latest", mark=60)
    assert found == Resolved(Start(61), "", fresh=True)


def test_commits_that_expired_do_not_send_history_again() -> None:
    """A group whose offsets are gone holds where `earliest` would send again what was delivered."""
    found = start(None, NEW, start_from="earliest", mark=60)
    assert (found.start.offset, found.start.hold) == (10, "rewind")
    last = start(None, NEW, start_from="earliest", low=60, mark=60)
    assert (last.start.offset, last.start.hold) == (60, "rewind"), "one record would go out again"


@pytest.mark.parametrize(("high", "shorter"), [(60, True), (61, False)])
def test_a_log_that_ends_before_what_was_delivered_is_said_to(high: int, shorter: bool) -> None:
    """Whether the topic was cut or made anew beside its lost commits, the detail tells it."""
    found = start(None, NEW, start_from="earliest", high=high, mark=60)
    assert ("the log ends before what was delivered" in found.start.detail) == shorter


def test_retention_that_overtook_the_group_is_counted_exactly_and_held() -> None:
    """Records deleted before they were read are lost: their number is exact and the partition holds."""
    found = start((4, note(4)))
    assert (found.start.offset, found.start.hold, found.lost) == (10, "retention_gap", 6)
    assert found.start.detail == "orders[3]: Kafka deleted 6 records before they were read (offsets 4 to 9)"
    assert (found.start.send_limit, found.start.send_limit_at, found.start.leader_epoch) == (24, 1_000, 3)


def test_at_the_beginning_of_the_log_nothing_is_lost_and_nothing_to_be_committed() -> None:
    """A commit at the first offset that there is counts as it stands."""
    found = start((10, note(10)))
    assert (found.start.offset, found.start.hold, found.lost, found.fresh) == (10, None, 0, False)
    assert found.start.detail == ""


@pytest.mark.parametrize(("send_limit", "told"), [(9, -1), (10, 10)])
def test_what_may_have_been_sent_behind_a_gap_stays_known(send_limit: int, told: int) -> None:
    """The first record behind the gap may have been handed over just as those after it."""
    assert start((4, note(4, send_limit=send_limit))).start.send_limit == told


def test_what_is_finished_and_unfinished_right_behind_a_gap_stays_so() -> None:
    """A record that is the first of the log is skipped where it has an outcome, and read where it has none."""
    finished = start((4, note(4, delivered=10, runs=runs_of(4, [4], 10))))
    assert (finished.start.delivered, finished.start.unfinished, finished.lost) == (10, (), 1)
    unfinished = start((4, note(4, delivered=12, runs=runs_of(4, [4, 10], 12))))
    assert (unfinished.start.delivered, unfinished.start.unfinished, unfinished.lost) == (12, ((10, 10),), 1)
    assert unfinished.start.leader_epoch == 3


def test_finished_records_of_a_gap_count_up_to_the_last_that_was_delivered() -> None:
    """Behind that nothing had an outcome: all of it is lost."""
    found = start((4, note(4, delivered=6, runs=runs_of(4, [4], 6))))
    assert (found.start.offset, found.lost) == (10, 4)


def test_retention_that_overtook_the_group_is_gone_over_by_choice() -> None:
    """With `on_retention_gap: continue` the loss is counted and reading goes on."""
    found = start((4, note(4)), on_gap="continue")
    assert (found.start.hold, found.lost, found.fresh) == (None, 6, True)


def test_what_was_finished_before_retention_deleted_it_is_not_lost() -> None:
    """Only records without an outcome count as lost, and what is finished above the gap stays known."""
    runs = runs_of(4, [4, 7, 12, 13], 20)
    found = start((4, note(4, send_limit=20, delivered=20, runs=runs)))
    assert found.lost == 2
    assert found.start.unfinished == ((12, 13),)
    told = decode(note(10, send_limit=20, delivered=20, runs=found.runs), 10)
    assert told is not None
    assert told.unfinished == ((12, 13),)


@pytest.mark.parametrize(
    ("runs", "unfinished"), [("1,5,8,0", ((10, 12),)), ("1,7,8,0", ((12, 12),)), ("1,9,8,0", ()), ("1,9,8,1", ())]
)
def test_runs_that_go_on_behind_what_was_delivered_say_nothing_of_that(
    runs: str, unfinished: tuple[tuple[int, int], ...]
) -> None:
    """A note that was damaged, or not written by us, is coded anew as far as it speaks of what was delivered."""
    found = start((4, f"b1;1000;24;12;{runs}"))
    told = decode(note(10, delivered=12, runs=found.runs), 10)
    assert told is not None
    assert (found.start.offset, told.unfinished) == (10, unfinished)


def test_a_gap_of_finished_records_only_is_no_loss() -> None:
    """Where everything that was deleted had its outcome there is nothing to hold for."""
    runs = runs_of(4, [4], 20)
    found = start((4, note(4, delivered=20, runs=runs)), low=12)
    assert found.lost == 1
    assert start((4, note(4, delivered=20, runs="0,h")), low=12).start.hold is None


@pytest.mark.parametrize("on_gap", ["hold", "continue"])
def test_retention_that_overtook_a_group_without_commits_is_counted_from_its_mark(on_gap: OnGap) -> None:
    """Where the log begins behind what was delivered, what lies between them is lost, and counted."""
    found = start(None, OURS, low=70, mark=60, on_gap=on_gap)
    assert (found.start.offset, found.lost) == (70, 9)
    assert found.start.hold == ("retention_gap" if on_gap == "hold" else None)
    assert "deleted 9 records before they were read (offsets 61 to 69)" in found.start.detail


@pytest.mark.parametrize("asked", [4, 20])
def test_a_rewind_below_the_log_counts_what_was_not_delivered_and_is_gone(asked: int) -> None:
    """It holds, since somebody set it back; the number of lost records is exact up to the last mark."""
    found = start((asked, ""), OURS, low=70, mark=60)
    assert (found.start.offset, found.start.hold, found.lost) == (70, "rewind", 9)
    assert "deleted what was before 70 (9 records that were not delivered among it)" in found.start.detail


def test_a_reset_that_skips_ahead_into_a_gap_counts_from_there() -> None:
    """What an operator skipped is not lost."""
    found = start((66, ""), OURS, low=70, mark=60)
    assert (found.start.offset, found.start.hold, found.lost) == (70, "retention_gap", 4)


def test_a_log_that_begins_right_behind_the_mark_has_lost_nothing() -> None:
    """Everything that was deleted had been delivered: reading goes on where it was."""
    assert start(None, OURS, low=61, mark=60) == Resolved(Start(61), "", fresh=True)
    found = start(None, OURS, low=62, mark=60)
    assert (found.start.offset, found.start.hold, found.lost) == (62, "retention_gap", 1)


def test_a_reset_partly_below_the_log_says_so() -> None:
    """What is deleted cannot go out again: the text counts what can, and nothing is lost that was delivered."""
    found = start((4, ""), OURS, low=10, mark=60)
    assert (found.start.offset, found.start.hold, found.lost) == (10, "rewind", 0)
    assert "Kafka has deleted what was before 10; 51 records from offset 10 on" in found.start.detail


def test_a_topic_made_anew_is_read_from_its_beginning_whatever_mark_the_old_one_left() -> None:
    """A mark that was written between a topic's end and its notice does not hold the new topic's partition."""
    found = start(None, OURS, low=0, high=3, mark=60, before=61)
    assert found == Resolved(Start(0), "", fresh=True, remade=True)
    longer = start(None, OURS, low=0, high=300, mark=60, before=61)
    assert (longer.start.offset, longer.start.hold, longer.remade) == (0, None, True)


def test_commits_that_expired_under_a_process_that_was_cut_off_do_not_send_history_again() -> None:
    """A process that could not commit for days cannot tell a topic made anew that has grown from its commits' end."""
    found = start(None, OURS, low=0, high=300, before=61, fresh=False)
    assert (found.start.offset, found.start.hold) == (0, "rewind")
    assert "61 records from offset 0 on" in found.start.detail
    assert start(None, OURS, low=0, high=61, before=61, fresh=False).start.hold == "rewind"
    shorter = start(None, OURS, low=0, high=3, mark=60, before=61, fresh=False)
    assert (shorter.start.offset, shorter.start.hold) == (0, None)


def test_a_commit_beyond_the_end_holds() -> None:
    """A topic that was recreated or truncated under the group is not sent again unasked."""
    found = start((140, note(140)))
    assert (found.start.offset, found.start.hold, found.doubtful) == (10, "rewind", True)
    assert "recreated or truncated" in found.start.detail


def test_what_a_note_says_of_records_that_were_cut_off_does_not_count_for_those_that_take_their_offsets() -> None:
    """A log that ends before what the note speaks of was cut off: the end is doubted, then believed."""
    runs = runs_of(20, [20, 21, 24], 29)
    steps = ((22, 1_000), (29, 5_000), (40, 9_000))
    metadata = text_of(at_ms=1_000, send_limit=40, delivered=29, runs=runs, steps=steps, committed=20)
    found = start((20, metadata), high=26)
    assert (found.start.offset, found.start.delivered, found.start.unfinished) == (20, 25, ((20, 21), (24, 24)))
    assert (found.start.send_limit, found.start.steps) == (25, ((22, 1_000), (25, 5_000)))
    assert (found.runs, found.fresh, found.doubtful, found.start.hold) == (
        runs_of(20, [20, 21, 24], 25),
        True,
        True,
        None,
    )
    ends = start((20, metadata), high=25)
    assert (ends.start.delivered, ends.start.unfinished) == (24, ((20, 21), (24, 24)))
    assert start((20, metadata), high=30).start.steps == ((22, 1_000), (29, 5_000))
    nothing = start((20, metadata), high=20)
    assert (nothing.start.delivered, nothing.start.unfinished, nothing.start.send_limit, nothing.runs) == (
        -1,
        (),
        19,
        "",
    )


@pytest.mark.parametrize(("send_limit", "doubtful"), [(99, False), (100, True)])
def test_a_note_that_speaks_of_the_end_itself_speaks_of_a_record_that_is_not_there(
    send_limit: int, doubtful: bool
) -> None:
    """The end is the offset of the next record: one that was handed over cannot have it."""
    found = start((20, note(20, send_limit=send_limit)))
    assert (found.start.send_limit, found.doubtful) == (99, doubtful)


def test_a_note_that_was_written_for_another_commit_is_not_ours() -> None:
    """Whoever carried it there, with offsets that mean other records: what it calls finished does not count."""
    carried = note(15, send_limit=40, delivered=30, runs="0,g")
    found = start((20, carried), FOREIGN)
    assert (found.start.offset, found.start.delivered, found.start.send_limit, found.runs) == (20, -1, -1, "")
    assert start((20, carried), OURS).start.hold == "rewind"
    assert group_of({0: Committed(20, carried)}) == FOREIGN


HERE, THERE = Origin(cluster=1, topic=1), Origin(cluster=2, topic=2)


def located(origin: Origin, *, committed: int = 20) -> str:
    """A note that calls everything above its commit finished."""
    return text_of(at_ms=1_000, send_limit=40, delivered=30, runs="0,b", committed=committed, origin=origin)


def found_at(metadata: str, *, here: Origin = HERE, moved_from: int = 0, offset: int = 20, high: int = 100) -> Resolved:
    known = Known(NAME, Committed(offset, metadata), 10, high, origin=here, cluster_id="here", moved_from=moved_from)
    return resolve(known, OURS, "latest", "hold")


@pytest.mark.parametrize("committed", [20, 23])
def test_a_commit_of_another_cluster_holds(committed: int) -> None:
    """Wherever its offset was there: nothing that it calls finished counts, and nothing goes out before a person says so."""
    found = found_at(located(THERE, committed=committed))
    assert (found.start.offset, found.start.hold, found.start.delivered, found.start.send_limit) == (
        20,
        "rewind",
        -1,
        -1,
    )
    assert (found.runs, found.fresh, found.remade) == ("", True, True)
    assert "another cluster" in found.start.detail
    assert "this one's id is here" in found.start.detail
    assert "80 records" in found.start.age
    assert found.start.detail.startswith("orders[3]: the offset 20 was committed in another cluster")
    assert found.foreign is not None


@pytest.mark.parametrize(("offset", "begins_at"), [(5, 10), (100, 100), (101, 10)])
def test_a_commit_of_another_cluster_holds_inside_the_log(offset: int, begins_at: int) -> None:
    """At its end nothing would be read; beyond it the offset says nothing about this log."""
    found = found_at(located(THERE), offset=offset)
    assert (found.start.offset, found.start.hold) == (begins_at, "rewind")


def test_the_token_of_a_commit_of_another_cluster_stays_the_same_while_the_topic_grows() -> None:
    """What the token is made of says nothing that changes by itself."""
    assert found_at(located(THERE)).start.detail == found_at(located(THERE), high=200).start.detail


def test_who_moved_the_group_says_so_beforehand() -> None:
    """`kafka.moved_from` names the cluster: it goes on at the offset, and what was finished there does not count here."""
    found = found_at(located(THERE, committed=23), moved_from=2)
    assert (found.start.offset, found.start.hold, found.start.delivered, found.runs) == (20, None, -1, "")
    assert found.remade, "marks that came with the group do not count"
    assert found_at(located(THERE), moved_from=2, offset=100).start.hold is None
    assert found_at(located(THERE), moved_from=3).start.hold == "rewind"
    assert found_at(located(THERE), moved_from=2, offset=120).start.hold == "rewind"


def test_a_note_of_another_topic_of_the_name_is_not_ours() -> None:
    """The tripwire decides as for any commit that somebody else made."""
    found = found_at(located(Origin(cluster=1, topic=9)))
    assert (found.start.hold, found.start.delivered) == ("rewind", -1)
    assert "set by somebody else" in found.start.detail
    assert found.foreign is not None


@pytest.mark.parametrize("origin", [HERE, Origin(), Origin(cluster=1), Origin(topic=1)])
@pytest.mark.parametrize("here", [HERE, Origin(), Origin(cluster=1), Origin(topic=1)])
def test_what_is_unknown_claims_nothing(origin: Origin, here: Origin) -> None:
    """A note without facts, or a cluster and a topic whose ids nobody tells: it counts as ever."""
    found = found_at(located(origin), here=here)
    assert (found.start.hold, found.start.delivered, found.foreign) == (None, 30, None)


def test_what_nobody_tells_claims_nothing() -> None:
    """No leader epoch, no cluster that the group was moved from, and no word that the commits were there just now."""
    plain = resolve(Known(NAME, Committed(20, note(20)), 10, 100), OURS, "latest", "hold")
    assert plain.start == Start(20, send_limit=24, send_limit_at=1_000, steps=((24, 1_000),), leader_epoch=-1)
    elsewhere = Known(NAME, Committed(20, located(HERE)), 10, 100, origin=THERE)
    assert resolve(elsewhere, OURS, "latest", "hold").start.hold == "rewind"
    gone = Known(NAME, None, 0, 300, before=61)
    assert resolve(gone, OURS, "latest", "hold").start.hold == "rewind"


def test_a_commit_at_the_end_is_no_trouble() -> None:
    """A group that has read everything goes on."""
    assert start((100, note(100))).start.hold is None


def test_a_group_is_ours_when_any_partition_carries_our_note() -> None:
    """One commit with our note makes the group on that topic ours."""
    assert group_of({}) == NEW
    assert group_of({0: Committed(5, ""), 1: Committed(7, None)}) == FOREIGN
    assert group_of({0: Committed(5, ""), 1: Committed(7, note(7))}) == OURS


@given(
    committed=st.none() | st.tuples(st.integers(0, 200), st.none() | st.text(max_size=20) | st.just(note(10))),
    group=st.sampled_from([NEW, OURS, FOREIGN]),
    low=st.integers(0, 50),
    length=st.integers(0, 100),
    mark=st.none() | st.integers(0, 200),
    before=st.none() | st.integers(0, 200),
    fresh=st.booleans(),
    on_gap=st.sampled_from(["hold", "continue"]),
)
def test_a_start_is_always_inside_the_log(
    committed: tuple[int, str | None] | None,
    group: Group,
    low: int,
    length: int,
    mark: int | None,
    before: int | None,
    fresh: bool,
    on_gap: OnGap,
) -> None:
    """Whatever Kafka holds, reading begins at an offset that exists, or behind the last."""
    high = low + length
    found = start(committed, group, low=low, high=high, mark=mark, on_gap=on_gap, before=before, fresh=fresh)
    assert low <= found.start.offset <= low + length
    assert found.lost >= 0


def spoken(offset: int, *, topic: int = 7, send_limit: int = 59) -> tuple[int, str]:
    """A commit whose note speaks of records up to `send_limit`, some of them finished."""
    runs = runs_of(offset, [offset, 41], 55)
    origin = Origin(0, topic)
    return offset, text_of(at_ms=1_000, send_limit=send_limit, delivered=55, runs=runs, committed=offset, origin=origin)


def test_a_log_that_was_not_cut_is_gone_on_with() -> None:
    """Where the commit's leader epoch ends behind all that the commit speaks of, that is believed as it is."""
    found = start(spoken(40), end=60)
    assert (found.start.offset, found.start.delivered, found.start.send_limit, found.fresh) == (40, 55, 59, False)
    assert found.start.leader_epoch == 3


@pytest.mark.parametrize("high", [57, 100])
def test_an_end_that_a_new_leader_tells_too_low_is_corrected_by_its_epochs(high: int) -> None:
    """The end of the commit's leader epoch is the leader's own word: nothing was cut, whatever end is told beside it."""
    found = start(spoken(40), end=60, high=high)
    assert (found.start.offset, found.start.send_limit, found.doubtful) == (40, 59, False)


def test_a_cut_above_the_commit_makes_nothing_finished_nor_attempted_there() -> None:
    """Above the cut no run and no send limit counts, though the log has grown past both: every new record is sent."""
    found = start(spoken(40), end=50)
    assert (found.start.offset, found.start.hold, found.fresh) == (40, None, True)
    assert found.start.delivered < 50
    assert found.start.send_limit == 49
    assert found.start.unfinished[0] == (40, 41)


def test_the_mark_of_a_log_that_was_cut_does_not_count_either() -> None:
    """The mark above the cut is written anew from below, or a commit that is lost later would begin behind it."""
    assert start(spoken(40), end=50, mark=55).remade
    assert not start(spoken(40), end=60, mark=55).remade


def test_a_cut_below_the_commit_holds_at_the_cut_and_offers_what_is_new() -> None:
    """The hold is at the end that the broker tells, names it, and says that what comes from there on is new."""
    found = start(spoken(40), end=30, topic=7)
    assert (found.start.offset, found.start.hold, found.fresh) == (30, "rewind", True)
    assert found.start.send_limit == -1
    assert found.start.detail.startswith("orders[3]: the committed offset is 40, and the broker's log of then")
    assert "ends at 30" in found.start.detail
    assert "new" in found.start.detail
    assert found.start.age == "; 70 offsets from there to the end, as of now"
    assert start(spoken(40), end=30, high=30, topic=7).start.age == "; 0 offsets from there to the end, as of now"


def test_a_cut_at_the_commit_leaves_what_was_committed() -> None:
    """Everything below is as it was read: it is gone on with, and what the note says of the records above is forgotten."""
    found = start(spoken(40), end=40, topic=7)
    assert (found.start.offset, found.start.hold, found.start.delivered, found.start.send_limit) == (40, None, -1, 39)


def test_a_log_that_was_cut_off_at_its_first_offset_is_no_other_log() -> None:
    """Its leader epoch is known, and ends at 0: all that came since is new."""
    found = start(spoken(40), end=0, topic=7)
    assert (found.start.offset, found.start.hold, found.lost) == (10, "rewind", 10)
    assert "ends at 0" in found.start.detail


@pytest.mark.parametrize("mark", [None, 55])
def test_what_came_behind_a_cut_and_was_deleted_unread_is_counted(mark: int | None) -> None:
    """All of it was new and is lost, whatever was delivered of the log before; what is left is new, too."""
    found = start(spoken(40), end=30, low=47, topic=7, mark=mark)
    assert (found.start.offset, found.start.hold, found.lost, found.fresh) == (47, "rewind", 17, True)
    assert "deleted 17 before they were read (offsets 30 to 46)" in found.start.detail
    assert "offset 47 on are new" in found.start.detail
    assert start(spoken(40), end=30, topic=7, mark=mark).lost == 0


def test_a_cut_below_the_commit_of_a_topic_that_may_be_another_holds_at_the_beginning() -> None:
    """A topic made anew has its leader epochs anew, too: only where it is surely the same is what lies below known."""
    for topic in (0, 8):
        found = start(spoken(40, topic=7 if topic == 0 else 0), end=30, topic=topic)
        assert (found.start.offset, found.start.hold) == (10, "rewind")
        assert "ends at 30" in found.start.detail


@pytest.mark.parametrize("mark", [None, 35])
@pytest.mark.parametrize(("end", "lost"), [(30, 17), (-1, 47)])
def test_what_is_new_whichever_log_it_is_and_was_deleted_unread_is_counted(
    end: int, lost: int, mark: int | None
) -> None:
    """Cut off or made anew: what lies behind the end of the commit's epoch was read by nobody, and is lost once deleted."""
    found = start(spoken(40), end=end, low=47, mark=mark)
    assert (found.start.offset, found.start.hold, found.lost) == (47, "rewind", lost)
    assert f"deleted {lost} before they were read (offsets {47 - lost} to 46)" in found.start.detail


def test_a_leader_epoch_that_the_log_never_had_is_another_log() -> None:
    """Epochs only grow: where the broker knows none so high the topic was made anew, however far it has grown."""
    found = start(spoken(40), end=-1, topic=7)
    assert (found.start.offset, found.start.hold, found.lost) == (10, "rewind", 10)
    assert "never had the leader epoch 3" in found.start.detail


def test_an_offset_behind_the_last_record_is_no_sign_of_a_cut() -> None:
    """Markers behind the last record may be of a newer epoch: they are read again, and nobody is asked anything."""
    commit = text_of(at_ms=1_000, send_limit=37, delivered=-1, runs="", committed=40, origin=Origin(0, 7))
    found = start((40, commit), end=38, topic=7)
    assert (found.start.offset, found.start.hold, found.start.send_limit) == (38, None, 37)
    assert not found.remade


def test_a_commit_without_an_epoch_is_read_as_ever() -> None:
    """What earlier versions committed has no epoch, and brokers may not answer: the end alone decides then."""
    assert start(spoken(40), end=None).start.offset == 40
    assert start((110, note(110)), end=None).start.hold == "rewind"


AT = Began(1_000_000, 5)


def test_a_partition_that_was_there_when_the_group_began_starts_at_that_time() -> None:
    """Beside siblings that say since when the group reads, nothing from before that is sent, and nothing since is missed."""
    group = Group(has_commits=True, is_ours=True, began=AT)
    assert start(None, group, since=70).start.offset == 70
    assert start(None, group, since=None).start.offset == 100
    first = Group(has_commits=True, is_ours=True, began=Began(1, 5))
    assert start(None, first, since=70).start.offset == 70


def test_the_end_that_was_seen_first_is_the_latest_place_to_begin() -> None:
    """Records that came after it are the group's, whatever their timestamps say."""
    group = Group(has_commits=True, is_ours=True, began=AT)
    assert start(None, group, high=80, since=95).start.offset == 80


def test_a_partition_that_was_added_after_the_group_began_starts_at_its_beginning() -> None:
    """Its number is beyond those that there were: none of its records is skipped."""
    group = Group(has_commits=True, is_ours=True, began=Began(1_000_000, 3))
    assert start(None, group, since=70).start.offset == 10


def test_a_group_that_began_with_everything_begins_with_everything_everywhere() -> None:
    """`earliest` holds for partitions that come later, too, whatever is set by then."""
    group = Group(has_commits=True, is_ours=True, began=begins("earliest", 5, 4))
    assert start(None, group, start_from="latest", since=70).start.offset == 10


@pytest.mark.parametrize(("start_from", "at_ms"), [("latest", 77), ("earliest", 0), (50, 50)])
def test_when_a_group_begins_is_decided_by_its_first_start(start_from: StartFrom, at_ms: int) -> None:
    """`latest` means now, `earliest` the beginning of time, a time itself."""
    assert begins(start_from, 77, 4) == (at_ms, 4)


def test_the_oldest_beginning_of_several_counts() -> None:
    """Two first members that could not know of each other may have decided twice."""
    commits = {
        number: Committed(5, text_of(at_ms=1, send_limit=-1, delivered=-1, runs="", committed=5, began=began))
        for number, began in enumerate([None, Began(9, 2), Began(4, 2)])
    }
    assert group_of(commits) == Group(has_commits=True, is_ours=True, began=Began(4, 2))
