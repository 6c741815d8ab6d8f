"""The committer and the starts: pure, with every order of events that hypothesis can think of."""

from __future__ import annotations

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.flow import CommitSendLimit, Progress, SendLimitCommitted, Start
from bridge.kafka.client.committing import REQUEST_BYTES, requests_of
from bridge.offsets.commits import Began, Commit, Committer, Origin, Pace, decode, runs_of

NAME = ("orders", 0)


def started(start: Start | None = None, *, fresh: bool = True, runs: str = "", pace: Pace | None = None) -> Committer:
    """A committer with one partition of epoch 1."""
    committer = Committer(pace)
    committer.assigned(NAME, 1, start or Start(0), runs=runs, fresh=fresh)
    return committer


def progress(watermark: int, delivered: int = -1, runs: str = "", epoch: int = 1) -> Progress:
    return Progress(*NAME, epoch, watermark, delivered, runs)


def acknowledge(committer: Committer, commits: list[Commit]) -> list[SendLimitCommitted]:
    found = [committer.acknowledged(each) for each in commits]
    return [each for each in found if each is not None]


def test_a_new_start_is_committed_at_once() -> None:
    """The offset that `start_from` gave is committed before anything is read."""
    committer = started(Start(7))
    (commit,) = committer.due(0.0, 1_000)
    assert commit.offset == 7
    assert decode(commit.metadata, 7) is not None


def test_a_start_from_a_commit_commits_nothing_until_something_changes() -> None:
    """A partition that goes on where it was has nothing to commit."""
    committer = started(Start(7, send_limit=9, send_limit_at=5), fresh=False)
    assert committer.wait(0.0) is None
    assert not committer.due(0.0, 1_000)


def test_what_was_read_is_covered_at_once_and_handed_over_when_acknowledged() -> None:
    """A record may be handed to the API only after a commit that says so is in Kafka."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 41)
    (commit,) = committer.due(0.0, 1_000)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (commit.offset, note.send_limit, note.at_ms) == (0, 41, 1_000)
    committer.read(NAME, 50)
    assert not committer.due(1.0, 1_001), "one of the partition is under way"
    assert acknowledge(committer, [commit]) == [SendLimitCommitted(*NAME, 1, 41)]
    (again,) = committer.due(1.0, 1_002)
    assert acknowledge(committer, [again]) == [SendLimitCommitted(*NAME, 1, 50)]


def test_an_answer_speaks_of_the_commit_that_was_made_and_of_no_other() -> None:
    """An answer that names another offset, other metadata, no offset or a partition not committed changes nothing."""
    committer = started(Start(5), fresh=False)
    committer.assigned(("orders", 1), 2, Start(3), runs="", fresh=False)
    committer.read(NAME, 9)
    (commit,) = committer.due(0.0, 1_000)
    for name, offset, metadata in (
        (NAME, 5, "b1;1;4;-1;"),
        (NAME, 5, None),
        (NAME, -1001, commit.metadata),
        (NAME, -1001, None),
        (NAME, 6, commit.metadata),
        (("orders", 1), -1001, None),
        (("orders", 1), 3, commit.metadata),
        (("others", 0), 5, commit.metadata),
    ):
        assert committer.asked(name, offset, metadata) is None
    assert committer.asked(NAME, 5, commit.metadata) == commit
    assert committer.committed() == {NAME: 5, ("orders", 1): 3}


def test_the_answer_to_a_commit_of_an_earlier_assignment_changes_nothing_of_the_present_one() -> None:
    """What was under way when the partition went is known to be written, and hands nothing over."""
    committer = started(Start(5), fresh=False)
    committer.read(NAME, 9)
    (late,) = committer.due(0.0, 1_000)
    committer.assigned(NAME, 2, Start(5), runs="", fresh=False)
    committer.read(NAME, 7)
    (present,) = committer.due(0.1, 2_000)
    assert committer.asked(NAME, late.offset, late.metadata) == late
    assert committer.acknowledged(late) is None
    assert committer.asked(NAME, late.offset, late.metadata) is None
    assert committer.outstanding()
    assert committer.acknowledged(present) == SendLimitCommitted(*NAME, 2, 7)


def test_one_partition_never_waits_for_the_answer_of_another() -> None:
    """Of two in one request one gets no answer: the other is committed again and again, and the first after its time."""
    committer = started(Start(0), fresh=False)
    other = ("orders", 1)
    committer.assigned(other, 2, Start(0), runs="", fresh=False)
    committer.read(NAME, 0)
    committer.read(other, 0)
    mute, first = committer.due(0.0, 0)
    assert acknowledge(committer, [first]) == [SendLimitCommitted(*other, 2, 0)]
    for turn in range(1, 9):
        committer.read(NAME, turn)
        committer.read(other, turn)
        (commit,) = committer.due(turn * 10.0, 0)
        assert acknowledge(committer, [commit]) == [SendLimitCommitted(*other, 2, turn)]
    wait = committer.wait(89.0)
    assert wait is not None
    assert wait == 1.0
    assert not committer.due(90.0, 0), "taken for refused: it rests first"
    (again,) = committer.due(91.0, 0)
    assert (again.name, again.send_limit) == (NAME, 8)
    assert committer.asked(NAME, mute.offset, mute.metadata) is None


def test_a_refused_partition_rests_alone() -> None:
    """What is refused is not tried again at once; the others are not slowed down by it."""
    committer = started(Start(0), fresh=False)
    other = ("orders", 1)
    committer.assigned(other, 2, Start(0), runs="", fresh=False)
    committer.read(NAME, 0)
    committer.read(other, 0)
    for commit in committer.due(0.0, 0):
        if commit.name == NAME:
            committer.refused(commit, 0.0)
        else:
            committer.acknowledged(commit)
    committer.read(other, 1)
    assert [commit.name for commit in committer.due(0.02, 0)] == [other]
    assert [commit.name for commit in committer.due(0.2, 0)] == [NAME]


def test_commits_bear_the_epoch_of_the_newest_record_read() -> None:
    """Reading again below it, or a broker that does not tell, makes it no older."""
    committer = started(Start(5, leader_epoch=3), fresh=False)
    committer.read(NAME, 6)
    (commit,) = committer.due(0.0, 0)
    assert commit.leader_epoch == 3
    acknowledge(committer, [commit])
    committer.read(NAME, 9, 4)
    committer.read(NAME, 7, 3)
    committer.progress(progress(8))
    (commit,) = committer.due(1.0, 0)
    assert (commit.offset, commit.leader_epoch) == (8, 4)
    committer.assigned(NAME, 2, Start(0), runs="", fresh=True)
    (anew,) = committer.due(2.0, 0)
    assert anew.leader_epoch == -1, "a topic that was made anew begins at epoch 0"


def test_a_commit_bears_no_epoch_older_than_what_it_speaks_of() -> None:
    """Begun with a commit without an epoch, there is none until something newer is read than that speaks of."""
    committer = started(Start(5, delivered=9, send_limit=12), fresh=False)
    committer.read(NAME, 6, 1)
    committer.progress(progress(6, delivered=9))
    (commit,) = committer.due(0.0, 0)
    assert commit.leader_epoch == -1, "offset 12 may be of epoch 2: the log would seem to be cut off before it"
    acknowledge(committer, [commit])
    committer.read(NAME, 12, 2)
    committer.progress(progress(7, delivered=9))
    (commit,) = committer.due(1.0, 0)
    assert (commit.offset, commit.leader_epoch) == (7, 2)


def test_behind_what_nobody_can_read_a_commit_bears_no_epoch_until_a_record_comes() -> None:
    """What was gone past may be of a newer epoch than what was read: a start would go back to it otherwise."""
    committer = started(Start(5, leader_epoch=3), fresh=False)
    committer.read(NAME, 6, 3)
    committer.past(NAME, 20)
    committer.progress(progress(20))
    (commit,) = committer.due(0.0, 0)
    assert (commit.offset, commit.leader_epoch) == (20, -1)
    acknowledge(committer, [commit])
    committer.read(NAME, 20, 4)
    (commit,) = committer.due(1.0, 0)
    assert (commit.offset, commit.leader_epoch) == (20, 4)


def test_going_past_what_was_read_before_keeps_the_epoch() -> None:
    """Given back and damaged since, it lies below the newest record read, of which the epoch is known."""
    committer = started(Start(5, leader_epoch=3), fresh=False)
    committer.read(NAME, 30, 4)
    committer.past(NAME, 20)
    (commit,) = committer.due(0.0, 0)
    assert commit.leader_epoch == 4


def test_notes_say_where_they_were_made_and_since_when_the_group_reads() -> None:
    """Every commit bears the digests as far as they are known by then, and `began`."""
    committer = Committer()
    began = Began(1_000, 3)
    committer.assigned(NAME, 1, Start(0), runs="", fresh=True, began=began)
    (commit,) = committer.due(0.0, 0)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (note.offset, note.origin, note.began) == (0, Origin(), began)
    acknowledge(committer, [commit])
    committer.located("orders", Origin(7, 8))
    committer.read(NAME, 4)
    note = decode(committer.due(1.0, 0)[0].metadata, 0)
    assert note is not None
    assert (note.origin, note.began) == (Origin(7, 8), began)


def test_notes_that_are_refused_are_made_shorter_down_to_none() -> None:
    """Half the room each time, at once; the facts are kept longest; marks stay below the watermark without a note."""
    committer = started(Start(0), fresh=False)
    unfinished = list(range(0, 4_000, 2))
    committer.read(NAME, 4_000)
    committer.progress(progress(0, 3_999, runs_of(0, unfinished, 3_999)))
    sizes = []
    (commit,) = committer.due(0.0, 1_700_000_000_000)
    while commit.metadata:
        sizes.append(len(commit.metadata))
        note = decode(commit.metadata, 0)
        assert note is not None
        assert note.offset == 0
        assert {first for first, _ in note.unfinished} <= set(unfinished)
        assert committer.too_long(commit)
        (commit,) = committer.due(sum(sizes), 1_700_000_000_000)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 125
    assert committer.room == 0
    committer.acknowledged(commit)
    assert committer.marks() == {NAME: -1}


def test_of_a_request_that_is_refused_as_too_long_the_room_is_halved_once() -> None:
    """Two partitions in one refused request make one step of it; what is in Kafka with a note is then made without one."""
    committer = started(Start(0), fresh=False)
    other, quiet = ("orders", 1), ("orders", 2)
    committer.assigned(other, 2, Start(0), runs="", fresh=False)
    committer.assigned(quiet, 3, Start(9, delivered=12, unfinished=((9, 11),)), runs="3,1", fresh=False)
    assert committer.marks()[quiet] == 12
    committer.read(NAME, 0)
    committer.read(other, 0)
    now = 0.0
    while committer.room:
        before = committer.room
        commits = committer.due(now, 0)
        assert [committer.too_long(commit) for commit in commits] == [True, False]
        assert committer.room in (before // 2, 0)
        now += 1.0
    bare = committer.due(now, 0)
    assert [(commit.name, commit.metadata) for commit in bare] == [(NAME, ""), (other, ""), (quiet, "")]
    assert committer.marks()[quiet] == 8


def test_progress_waits_for_its_interval_and_many_records_do_not() -> None:
    """Finished records are committed every 100 ms, or at once when they are 5,000."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 9_999)
    acknowledge(committer, committer.due(0.0, 0))
    committer.progress(progress(10))
    assert not committer.due(0.05, 50)
    first = committer.due(0.1, 100)
    assert [commit.offset for commit in first] == [10]
    acknowledge(committer, first)
    committer.progress(progress(5_009))
    assert not committer.due(0.15, 150)
    committer.progress(progress(5_010))
    assert not committer.due(0.109, 109), "two requests keep the least distance"
    assert [commit.offset for commit in committer.due(0.11, 110)] == [5_010]
    committer.all_refused(0.11)
    assert [commit.offset for commit in committer.due(0.22, 220)] == [5_010]


def test_a_record_that_comes_alone_is_two_writes_however_many_partitions_there_are() -> None:
    """One that says that it may be handed over, and one that it is finished; the other partitions' commits add none."""
    committer, parts, records = Committer(), 100, 1_000
    names = [("orders", number) for number in range(parts)]
    for name in names:
        committer.assigned(name, 1, Start(0), runs="", fresh=False)
    written = finished = 0
    for turn in range(records + 100):
        now = turn * 0.01
        if turn < records:
            committer.read(names[turn % parts], turn // parts)
        if 3 <= turn < records + 3:
            topic, number = names[(turn - 3) % parts]
            committer.progress(Progress(topic, number, 1, (turn - 3) // parts + 1, -1, ""))
            finished += 1
        commits = committer.due(now, turn * 10)
        written += len(commits)
        acknowledge(committer, commits)
    assert (written, finished) == (2 * records, records)
    assert set(committer.committed().values()) == {records // parts}


def test_of_many_records_a_partition_is_written_ten_times_a_second_whatever_the_others_do() -> None:
    """Beside one whose records come every 10 ms and press, what one finishes every 10 ms is written every 100 ms."""
    committer, calm, busy = Committer(), ("orders", 0), ("orders", 1)
    for name in (calm, busy):
        committer.assigned(name, 1, Start(0), runs="", fresh=False)
    committer.read(calm, 2_000)
    acknowledge(committer, committer.due(0.0, 0))
    written: list[int] = []
    for turn in range(1, 1_001):
        committer.read(busy, turn)
        committer.progress(Progress(*calm, 1, turn, -1, ""))
        commits = committer.due(turn / 64, turn)
        written += [turn for commit in commits if commit.name == calm]
        acknowledge(committer, commits)
    assert written == list(range(7, 1_001, 7)), "every 7 turns of 1/64 s are the first that are 0.1 s or more"


def test_what_presses_takes_along_what_is_due_and_a_turn_that_is_no_more_is_passed_over() -> None:
    """A turn counts for the commit that it follows: it says nothing of a partition that was written since, or is gone."""
    committer, other = started(Start(0), fresh=False), ("orders", 1)
    committer.assigned(other, 1, Start(0), runs="", fresh=False)
    for name in (NAME, other):
        committer.read(name, 99)
    acknowledge(committer, committer.due(0.0, 0))
    committer.progress(progress(1))
    committer.progress(Progress(*other, 1, 1, -1, ""))
    committer.read(other, 100)
    acknowledge(committer, committer.due(0.05, 50))
    committer.progress(Progress(*other, 1, 2, -1, ""))
    committer.forget([NAME])
    assert committer.wait(0.1) == pytest.approx(0.05)
    assert not committer.due(0.1, 100)
    assert [commit.offset for commit in committer.due(0.16, 160)] == [2]
    assert committer.wait(0.16) == pytest.approx(90.0)


@pytest.mark.parametrize("topic", ["t", "t" * 249])
@pytest.mark.parametrize("metadata", ["", "m" * 150, "m" * 4_000])
def test_commits_of_thousands_of_partitions_are_several_requests(topic: str, metadata: str) -> None:
    """Brokers write a request as one batch of at most a mebibyte: each is in one of them, in order, and none is small."""
    commits = [Commit(topic, number, 1, 0, metadata, 0, 0, 0, 0) for number in range(10_000)]
    requests = list(requests_of(commits))
    assert [commit for request in requests for commit in request] == commits
    sizes = [sum(320 + len(commit.topic) + len(commit.metadata) for commit in request) for request in requests]
    assert max(sizes) <= REQUEST_BYTES
    assert min(sizes[:-1]) > REQUEST_BYTES - 320 - len(topic) - len(metadata)
    assert list(requests_of([])) == []
    fourths = [Commit("t", number, 1, 0, "m" * (REQUEST_BYTES // 4 - 321), 0, 0, 0, 0) for number in range(8)]
    assert [len(request) for request in requests_of(fourths)] == [4, 4]
    (alone,) = requests_of([Commit(topic, 0, 1, 0, "m" * REQUEST_BYTES, 0, 0, 0, 0)])
    assert len(alone) == 1


def test_a_start_whose_first_record_may_have_been_sent_keeps_its_time() -> None:
    """Offset 0 is one as any other."""
    committer = started(Start(0, send_limit=0, send_limit_at=1_000), fresh=False)
    committer.read(NAME, 3)
    note = decode(committer.due(0.0, 61_000)[0].metadata, 0)
    assert note is not None
    assert note.steps == ((0, 1_000), (3, 61_000))


def test_what_is_committed_to_its_end_is_not_behind_and_hands_over_nothing_more() -> None:
    """The answer to a commit of what was finished says nothing new of what may be sent."""
    committer = started(Start(0), fresh=False)
    assert not committer.behind()
    committer.read(NAME, 9)
    assert committer.behind()
    assert committer.urgent()
    assert acknowledge(committer, committer.due(0.0, 0)) == [SendLimitCommitted(*NAME, 1, 9)]
    assert not committer.urgent()
    committer.progress(progress(10))
    assert acknowledge(committer, committer.due(0.1, 100)) == []
    assert not committer.behind()
    assert committer.committed() == {NAME: 10}
    assert committer.final(NAME, 0.2, 200, None) is None, "Kafka has it already"
    assert committer.marks() == {NAME: 9}
    assert committer.wait(0.2) is None


@pytest.mark.parametrize(("past", "epoch"), [(7, 3), (8, -1)])
def test_going_past_nothing_but_the_next_offset_is_not_past_anything(past: int, epoch: int) -> None:
    """Right behind the newest record there is nothing between; one offset further there is."""
    committer = started(Start(5, leader_epoch=3), fresh=False)
    committer.read(NAME, 6, 3)
    committer.past(NAME, past)
    committer.progress(progress(past))
    (commit,) = committer.due(0.0, 0)
    assert (commit.offset, commit.leader_epoch) == (past, epoch)


def test_what_comes_again_below_what_was_gone_past_brings_no_epoch_back() -> None:
    """The last of what nobody could read is newer than any record below it."""
    committer = started(Start(5, leader_epoch=3), fresh=False)
    committer.read(NAME, 6, 3)
    committer.past(NAME, 20)
    committer.read(NAME, 18, 3)
    (commit,) = committer.due(0.0, 0)
    assert commit.leader_epoch == -1


def test_metadata_that_fills_its_room_is_shortened_before_it_is_left_out() -> None:
    """Only where there is more of it than room is nothing left to shorten."""
    (commit,) = started(Start(0)).due(0.0, 1_000)
    for size, left in ((len(commit.metadata), len(commit.metadata) // 2), (len(commit.metadata) - 1, 0)):
        committer = Committer(room=size)
        committer.assigned(NAME, 1, Start(0), runs="", fresh=True)
        (again,) = committer.due(0.0, 1_000)
        assert again.metadata == commit.metadata
        assert committer.too_long(again)
        assert committer.room == left


def test_a_refused_commit_is_due_when_its_rest_is_over() -> None:
    """A tenth of a second after the refusal, not later."""
    committer = started(Start(0))
    (commit,) = committer.due(0.0, 0)
    committer.refused(commit, 0.0)
    assert committer.due(0.1, 0)


def test_a_cover_takes_back_what_was_not_handed_over_and_gives_it_again() -> None:
    """While a hold covers no more than its record the metadata says so; with the hold's end everything read counts."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 9)
    acknowledge(committer, committer.due(0.0, 1_000))
    committer.cover(CommitSendLimit(*NAME, 1, number=1, last=4))
    committer.read(NAME, 12)
    (commit,) = committer.due(1.0, 2_000)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (note.send_limit, note.steps) == (4, ((4, 1_000),))
    assert acknowledge(committer, [commit]) == [SendLimitCommitted(*NAME, 1, 4, 1)]
    committer.cover(CommitSendLimit(*NAME, 1, number=2, last=None))
    (commit,) = committer.due(2.0, 3_000)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (note.send_limit, note.steps) == (12, ((4, 1_000), (12, 3_000)))


def test_what_is_refused_again_and_again_is_tried_every_second() -> None:
    """The rests double up to that; an acknowledgement makes the next one short again."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 9)
    now, rests = 0.0, []
    for _ in range(7):
        (commit,) = committer.due(now, 0)
        committer.refused(commit, now)
        wait = committer.wait(now)
        assert wait is not None
        assert not committer.due(now + wait - 0.001, 0)
        rests.append(round(wait, 3))
        now += wait
    assert rests == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    acknowledge(committer, committer.due(now, 0))
    committer.read(NAME, 10)
    (commit,) = committer.due(now + 1.0, 0)
    committer.refused(commit, now + 1.0)
    assert committer.wait(now + 1.0) == pytest.approx(0.1)


def test_what_a_rebalance_refuses_is_tried_every_tenth_of_a_second() -> None:
    """It is over in a moment, and nothing is handed over until a commit is taken."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 9)
    tried: list[int] = []
    for turn in range(62):
        for commit in committer.due(turn / 64, 0):
            committer.refused(commit, turn / 64, soon=len(tried) != 4)
            tried.append(turn)
    assert tried == [0, 7, 14, 21, 28, 35, 48, 61], "64 turns a second; the fifth was refused for another reason"


def test_progress_of_another_epoch_backwards_or_beyond_is_refused() -> None:
    """A watermark of an older assignment, behind the last or beyond what was read is never committed."""
    committer = started(Start(5), fresh=False)
    committer.read(NAME, 9)
    committer.progress(progress(8))
    committer.progress(progress(6))
    committer.progress(progress(11))
    committer.progress(progress(10, epoch=2))
    assert [commit.offset for commit in committer.due(9.0, 0)] == [8]
    assert committer.refused_progress == 2


def test_a_refused_commit_is_made_again_later() -> None:
    """After a refusal the same is committed again, not at once, and what it covered is not handed over before."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 9)
    (commit,) = committer.due(0.0, 0)
    committer.refused(commit, 0.0)
    assert not committer.due(0.01, 0)
    (again,) = committer.due(0.2, 0)
    assert again.send_limit == commit.send_limit


def test_a_partition_that_starts_held_commits_nothing_until_released() -> None:
    """A rewound partition keeps its commit without a note, so that a restart holds it again."""
    committer = started(Start(5, hold="rewind"))
    committer.read(NAME, 9)
    assert committer.final(NAME, 0.0, 0, None) is None
    assert not committer.due(9.0, 0)
    committer.release(NAME, 1)
    assert [commit.offset for commit in committer.due(9.0, 0)] == [5]


def test_a_clean_end_takes_the_bound_back_to_what_was_handed_over() -> None:
    """What was read and released is not taken for attempted by the next owner."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 99)
    acknowledge(committer, committer.due(0.0, 1_000))
    committer.progress(progress(40))
    commit = committer.final(NAME, 0.0, 2_000, 39)
    assert commit is not None
    note = decode(commit.metadata, 40)
    assert note is not None
    assert (commit.offset, note.send_limit) == (40, 39)


def test_the_time_of_the_first_attempt_is_kept_while_the_record_is_unfinished() -> None:
    """A record that stays unfinished for hours is not taken for newly attempted by later commits."""
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 0)
    acknowledge(committer, committer.due(0.0, 1_000))
    committer.read(NAME, 5)
    (commit,) = committer.due(10.0, 90_000)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (note.send_limit, note.at_ms) == (5, 1_000)
    acknowledge(committer, [commit])
    committer.progress(progress(3))
    (later,) = committer.due(20.0, 99_000)
    found = decode(later.metadata, 3)
    assert found is not None
    assert found.at_ms == 90_000


def test_a_restart_does_not_make_what_was_read_later_older() -> None:
    """Beside an old unfinished record, newer ones keep the later time at which they were first covered."""
    hour = 3_600_000
    committer = started(Start(0), fresh=False)
    committer.read(NAME, 0)
    acknowledge(committer, committer.due(0.0, hour))
    committer.read(NAME, 5)
    acknowledge(committer, committer.due(10.0, 21 * hour))
    committer.read(NAME, 9)
    (commit,) = committer.due(20.0, 22 * hour)
    note = decode(commit.metadata, 0)
    assert note is not None
    assert (note.at_ms, note.send_limit, note.steps) == (hour, 9, ((0, hour), (5, 21 * hour), (9, 22 * hour)))
    start = Start(0, note.delivered, note.unfinished, note.send_limit, note.at_ms, note.steps)
    heir = started(start, fresh=False)
    heir.read(NAME, 12)
    (later,) = heir.due(30.0, 23 * hour)
    told = decode(later.metadata, 0)
    assert told is not None
    assert told.steps == (*note.steps, (12, 23 * hour))


class Commits(RuleBasedStateMachine):
    """One partition after another assignment, with reads, progress, answers and losses in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.committer = Committer()
        self.now = 0.0
        self.epoch = 0
        self.watermark = self.newest = 0
        self.delivered, self.runs = -1, ""
        self.kafka = (0, "")
        self.outstanding: list[Commit] = []
        self.handed = -1
        self.begin(arrived=False)

    @rule(arrived=st.booleans())
    def begin(self, arrived: bool) -> None:
        """A new assignment starts from what is in Kafka: what the last one still had under way arrived, or never does."""
        present = [commit for commit in self.outstanding if commit.epoch == self.epoch]
        if arrived and present:
            self.kafka = (present[0].offset, present[0].metadata)
        self.epoch += 1
        offset, metadata = self.kafka
        note = decode(metadata, offset)
        self.watermark = offset
        self.newest = offset - 1
        self.delivered, self.runs = (note.delivered, note.runs) if note else (-1, "")
        send_limit = note.send_limit if note else -1
        at_ms = note.at_ms if note else 0
        self.handed = send_limit
        start = Start(
            offset, self.delivered, note.unfinished if note else (), send_limit, at_ms, note.steps if note else ()
        )
        self.committer.assigned(NAME, self.epoch, start, runs=self.runs, fresh=note is None)

    @rule(count=st.integers(1, 50))
    def read(self, count: int) -> None:
        self.newest += count
        self.committer.read(NAME, self.newest)

    @rule(part=st.floats(0, 1), top=st.floats(0, 1))
    def finish(self, part: float, top: float) -> None:
        """The watermark moves, and perhaps something above it is finished too."""
        self.watermark += int((self.newest + 1 - self.watermark) * part)
        above = range(self.watermark + 1, self.newest + 1)
        self.delivered, self.runs = -1, ""
        if len(above) > 1:
            last = above[int((len(above) - 1) * top)]
            self.delivered = last
            self.runs = runs_of(self.watermark, [self.watermark], last)
        self.committer.progress(progress(self.watermark, self.delivered, self.runs, self.epoch))

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.2]))
    def due(self, seconds: float) -> None:
        self.now += seconds
        commits = self.committer.due(self.now, int(self.now * 1000))
        if commits:
            self.check(commits[0])
            self.outstanding += commits

    def check(self, commit: Commit) -> None:
        note = decode(commit.metadata, commit.offset)
        assert note is not None, "metadata is never left out"
        assert commit.offset == self.watermark
        assert note.delivered == self.delivered
        assert note.runs == self.runs
        assert [last for last, _ in note.steps] == sorted({last for last, _ in note.steps})
        assert note.steps[-1][0] == note.send_limit
        assert note.send_limit == max(self.newest, self.handed)
        if self.kafka[1] and not self.outstanding:
            assert commit.offset >= self.kafka[0], "never backwards"

    @precondition(lambda self: self.outstanding)
    @rule(arrives=st.booleans())
    def answer(self, arrives: bool) -> None:
        commit = self.outstanding.pop(0)
        if not arrives:
            self.committer.refused(commit, self.now)
            return
        if commit.epoch == self.epoch:
            self.kafka = (commit.offset, commit.metadata)
        bounded = self.committer.acknowledged(commit)
        if bounded is not None:
            note = decode(self.kafka[1], self.kafka[0])
            assert note is not None
            assert bounded.epoch == self.epoch
            assert bounded.send_limit <= note.send_limit, "handed over only what Kafka has been told"

    @invariant()
    def one_outstanding(self) -> None:
        assert sum(commit.epoch == self.epoch for commit in self.outstanding) <= 1


Commits.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
test_commits_in_any_order_of_events = Commits.TestCase
