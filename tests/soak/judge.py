"""The invariants I1 to I10, held against what really came out: of the API, the dead-letter topic and the commits."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from tests.soak.accepted import Accepted
from tests.soak.commitlog import Commit, by_partition, commits_of
from tests.soak.facts import Column, Fact, Kind, Name, Place
from tests.soak.outcomes import Outcomes, outcomes_of
from tests.soak.stage import Allowed, Stage

_CLOCK_MS: Final = 20
"""All clocks here are one; what is left is rounding, and the time between an answer and its note."""
_SHOWN: Final = 3
_DESCRIPTORS: Final = 400
_THREADS: Final = 60


@dataclass
class Judgement:
    """Figures of one row, and everything that must not have been."""

    records: int = 0
    lost: int = 0
    wrongly_dead: int = 0
    repeats_identical: int = 0
    repeats_different: int = 0
    resent: int = 0
    """Repeats of what a commit had called finished before."""
    letters: int = 0
    letters_twice: int = 0
    rewinds: int = 0
    ahead: int = 0
    """Records that a commit called finished before they were."""
    disorder: int = 0
    commits: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came out. Times in milliseconds of this machine's clock."""

    columns: Mapping[Name, Column]
    accepted: Accepted
    letters: Mapping[Place, list[int]]
    """When the brokers took each dead letter of a record."""
    commits: Sequence[Commit]
    past: AbstractSet[str]
    """Keys that came of records which are gone with their topic, or which retention took."""


def gather(stage: Stage) -> Evidence:
    """Read what came out, when all members have ended."""
    letters: dict[Place, list[int]] = defaultdict(list)
    for message in stage.read_letters():
        letters[_source(message)].append(message.timestamp()[1])
    born = stage.load.born_ms
    commits = [each for each in commits_of(stage.kafka, stage.group) if each.at_ms >= born.get(each.topic, 0)]
    return Evidence(stage.load.columns(), Accepted(stage.sandbox.keys()), letters, commits, stage.load.past)


def judge(stage: Stage, evidence: Evidence) -> Judgement:
    """All invariants. What the row itself claims is added as it stands."""
    found = judge_outcomes(evidence, stage.allowed)
    _peaks(found, stage)
    _secrets(found, stage)
    found.violations += stage.claims
    return found


def judge_outcomes(evidence: Evidence, allowed: Allowed) -> Judgement:
    """I1 to I7. Pure."""
    records = sum(map(len, evidence.columns.values()))
    found = Judgement(records=records, commits=len(evidence.commits))
    outcomes = [outcomes_of(column, evidence.accepted, evidence.letters) for column in evidence.columns.values()]
    _fates(found, outcomes, allowed)
    _strangers(found, outcomes, evidence)
    _commits(found, outcomes, evidence.commits, allowed)
    _repeats(found, evidence.accepted, allowed)
    _order(found, outcomes, allowed)
    found.letters_twice = sum(len(times) - 1 for times in evidence.letters.values())
    found.letters = sum(map(len, evidence.letters.values()))
    return found


def _fates(found: Judgement, outcomes: Sequence[Outcomes], allowed: Allowed) -> None:
    """I1, I5: each record ended as it had to."""
    lost: list[Fact] = []
    wrong: list[Fact] = []
    for each in outcomes:
        for at, kind in enumerate(each.column.kinds):
            accepted, dead = each.rows[at] >= 0, at in each.dead
            if kind == Kind.DELIVERED:
                if not accepted and not dead:
                    lost.append(each.column.fact(at))
                elif dead and not allowed.dead_any:
                    wrong.append(each.column.fact(at))
            elif kind == Kind.FILTERED:
                if dead:
                    wrong.append(each.column.fact(at))
            elif not dead:
                lost.append(each.column.fact(at))
    found.lost, found.wrongly_dead = len(lost), len(wrong)
    _add(found, "I1: lost", lost)
    _add(found, "I5: wrongly dead-lettered", wrong)


def _strangers(found: Judgement, outcomes: Sequence[Outcomes], evidence: Evidence) -> None:
    """I4: nothing came out under a key that no record has."""
    marks = bytearray(len(evidence.accepted))
    for each in outcomes:
        for row in each.rows:
            if row >= 0:
                marks[row] = 1
    unknown = [key for key in evidence.accepted.unmarked(marks) if key not in evidence.past]
    _add(found, "I4: accepted under a key that no record has", unknown)


def _commits(found: Judgement, outcomes: Sequence[Outcomes], commits: Sequence[Commit], allowed: Allowed) -> None:
    """I2, I3 and I7: what commits call finished is so, is not sent again, and no commit goes back.

    Each record is looked at once, with the first commit that calls it finished: no later one can say more.
    """
    by_name = {each.column.name: each for each in outcomes}
    ahead: list[Any] = []
    resent: list[Any] = []
    back: list[Any] = []
    for name, those in by_partition(commits).items():
        before = -1
        each = by_name.get(name)
        for commit in those:
            if commit.offset is None:
                before = -1
                continue
            if commit.offset < before:
                back.append((commit, before))
            before = max(before, commit.offset)
            if each is not None:
                for first, last in commit.finished_ranges():
                    for low, high in each.newly(first, last):
                        ahead += [(fact, commit) for fact in each.not_done(low, high, commit.at_ms + _CLOCK_MS)]
                        resent += [(fact, commit) for fact in each.sent_after(low, high, commit.at_ms + _CLOCK_MS)]
    found.ahead, found.rewinds, found.resent = len(ahead), len(back), len(resent)
    _add(found, "I2: committed before it was finished", ahead)
    if not allowed.rewinds:
        _add(found, "I3: a commit went back", back)
    if not allowed.resent:
        _add(found, "I7: sent again though a commit had called it finished", resent)


def _repeats(found: Judgement, accepted: Accepted, allowed: Allowed) -> None:
    """I4, I7: repeats have the same bytes, and are no more than what the row excuses."""
    different = []
    for each in accepted.repeated.values():
        found.repeats_identical += each.identical
        found.repeats_different += each.different
        if each.bytes_differ:
            different.append(each)
    _add(found, "I4: the same key with other bytes", different)
    repeats = found.repeats_identical + found.repeats_different
    if allowed.repeats is not None and repeats > allowed.repeats:
        found.violations.append(f"I7: {repeats} repeats, at most {allowed.repeats} are excused")


def _order(found: Judgement, outcomes: Sequence[Outcomes], allowed: Allowed) -> None:
    """I6: the events of a key were first accepted in the order of their records."""
    broken = [fact for each in outcomes for fact in each.overtaken()]
    found.disorder = len(broken)
    if not allowed.disorder:
        _add(found, "I6: accepted after a later record of its key", broken)


def _peaks(found: Judgement, stage: Stage) -> None:
    """I9: memory, file descriptors and threads stay bounded."""
    peaks, most = stage.watch.peaks, stage.allowed.memory_bytes
    bounds = (("memory", peaks.memory_bytes, most), ("descriptors", peaks.descriptors, _DESCRIPTORS))
    for what, value, bound in (*bounds, ("threads", peaks.threads, _THREADS)):
        if value > bound:
            found.violations.append(f"I9: {value:,} of {what}, at most {bound:,}")


def _secrets(found: Judgement, stage: Stage) -> None:
    """I10: no secret in logs, metrics or dead letters."""
    secret = stage.sandbox.workspace.secret
    texts = Counter({member.log_file.name: member.text().count(secret) for member in stage.members})
    texts["metrics"] = sum(page.count(secret) for page in stage.pages)
    texts["dead letters"] = sum(
        secret.encode() in (message.value() or b"") + str(message.headers()).encode()
        for message in stage.read_letters()
    )
    found.violations += [f"I10: the secret is in {where}" for where, times in texts.items() if times]


def _source(message: Any) -> Place:
    headers = dict(message.headers() or [])
    topic = headers["bridge.source.topic"].decode()
    return topic, int(headers["bridge.source.partition"]), int(headers["bridge.source.offset"])


def _add(found: Judgement, what: str, those: Iterable[Any]) -> None:
    listed = list(those)
    if listed:
        found.violations.append(f"{what}: {len(listed)}, such as {listed[:_SHOWN]}")


def as_json(found: Judgement) -> dict[str, Any]:
    """For the report."""
    return dataclasses.asdict(found)
