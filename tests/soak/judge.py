"""The invariants I1 to I10, held against what really came out: of the API, the dead-letter topic and the commits."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from tests.soak.commitlog import Commit, by_partition, commits_of
from tests.soak.load import Fact, Kind, Place
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

    facts: Mapping[Place, Fact]
    keys: Mapping[str, Mapping[str, Any]]
    """In the order of first acceptance."""
    letters: Mapping[Place, list[int]]
    """When the brokers took each dead letter of a record."""
    commits: Sequence[Commit]
    past: AbstractSet[str]
    """Keys that came of records which are gone with their topic."""

    def done_ms(self, fact: Fact) -> int | None:
        """When a record had its outcome; None where it has none, 0 for one that is filtered."""
        if fact.kind is Kind.FILTERED:
            return 0
        times = list(self.letters.get(fact.place, ()))
        entry = self.keys.get(fact.key) if fact.key else None
        if entry is not None:
            times.append(entry["first_ms"])
        return min(times, default=None)


def gather(stage: Stage) -> Evidence:
    """Read what came out, when all members have ended."""
    keys = {entry["key"]: entry for entry in stage.sandbox.keys()}  # noqa: SIM118 (a stream of its own)
    letters: dict[Place, list[int]] = defaultdict(list)
    for message in [*stage.letters, *stage.kafka.read(stage.dead_letters, seconds=90)]:
        letters[_source(message)].append(message.timestamp()[1])
    born = stage.load.born_ms
    commits = [each for each in commits_of(stage.kafka, stage.group) if each.at_ms >= born.get(each.topic, 0)]
    return Evidence(stage.load.facts(), keys, letters, commits, stage.load.past)


def judge(stage: Stage, evidence: Evidence) -> Judgement:
    """All invariants. What the row itself claims is added as it stands."""
    found = judge_outcomes(evidence, stage.allowed)
    _peaks(found, stage)
    _secrets(found, stage)
    found.violations += stage.claims
    return found


def judge_outcomes(evidence: Evidence, allowed: Allowed) -> Judgement:
    """I1 to I7. Pure."""
    found = Judgement(records=len(evidence.facts), commits=len(evidence.commits))
    for invariant in (_outcomes, _commits, _repeats, _order):
        invariant(found, evidence, allowed)
    return found


def _outcomes(found: Judgement, evidence: Evidence, allowed: Allowed) -> None:
    """I1, I5: each record ended as it had to, and nothing came out that was not put in."""
    lost, wrong, unknown = [], [], []
    for fact in evidence.facts.values():
        dead, accepted = fact.place in evidence.letters, bool(fact.key) and fact.key in evidence.keys
        if fact.kind is Kind.DELIVERED:
            excused = allowed.dead_any and dead
            if not accepted and not dead:
                lost.append(fact)
            elif dead and not excused:
                wrong.append(fact)
        elif fact.kind is Kind.FILTERED:
            if dead:
                wrong.append(fact)
        elif not dead:
            lost.append(fact)
    known = {fact.key for fact in evidence.facts.values() if fact.key} | evidence.past
    unknown = [key for key in evidence.keys if key not in known]
    found.lost, found.wrongly_dead = len(lost), len(wrong)
    found.letters_twice = sum(len(times) - 1 for times in evidence.letters.values())
    _add(found, "I1: lost", lost)
    _add(found, "I5: wrongly dead-lettered", wrong)
    _add(found, "I4: accepted under a key that no record has", unknown)


def _commits(found: Judgement, evidence: Evidence, allowed: Allowed) -> None:
    """I2, I3: no commit calls finished what was not yet, and none goes back."""
    facts: dict[tuple[str, int], list[Fact]] = defaultdict(list)
    for fact in sorted(evidence.facts.values(), key=lambda each: each.place):
        facts[fact.place[:2]].append(fact)
    ahead, back = [], []
    for name, commits in by_partition(evidence.commits).items():
        before = -1
        unfinished = [(fact, evidence.done_ms(fact)) for fact in facts[name]]
        for commit in commits:
            if commit.offset is None:
                before = -1
                continue
            if commit.offset < before:
                back.append((commit, before))
            before = max(before, commit.offset)
            top = commit.top()
            still = []
            for fact, done in unfinished:
                if fact.place[2] < top and commit.finished(fact.place[2]):
                    if done is None or done > commit.at_ms + _CLOCK_MS:
                        ahead.append((fact, done, commit))
                else:
                    still.append((fact, done))
            unfinished = still
    found.ahead, found.rewinds = len(ahead), len(back)
    _add(found, "I2: committed before it was finished", ahead)
    if not allowed.rewinds:
        _add(found, "I3: a commit went back", back)


def _repeats(found: Judgement, evidence: Evidence, allowed: Allowed) -> None:
    """I4, I7: repeats have the same bytes, and none is of what a commit had called finished."""
    places = {fact.key: fact.place for fact in evidence.facts.values() if fact.key}
    parted = by_partition(evidence.commits)
    different, resent = [], []
    for key, entry in evidence.keys.items():
        found.repeats_identical += entry["identical"]
        found.repeats_different += entry["different"]
        if entry["bytes_differ"]:
            different.append(entry)
        if entry["count"] > 1 and key in places:
            topic, partition, offset = places[key]
            commits = parted.get((topic, partition), [])
            if any(c.at_ms + _CLOCK_MS < entry["last_ms"] and c.finished(offset) for c in commits):
                resent.append((places[key], entry))
    found.resent = len(resent)
    _add(found, "I4: the same key with other bytes", different)
    if not allowed.resent:
        _add(found, "I7: sent again though a commit had called it finished", resent)
    repeats = found.repeats_identical + found.repeats_different
    if allowed.repeats is not None and repeats > allowed.repeats:
        found.violations.append(f"I7: {repeats} repeats, at most {allowed.repeats} are excused")


def _order(found: Judgement, evidence: Evidence, allowed: Allowed) -> None:
    """I6: the events of a key were first accepted in the order of their records."""
    facts = {fact.key: fact for fact in evidence.facts.values() if fact.key}
    newest: dict[tuple[str, int], int] = {}
    broken = []
    for key in evidence.keys:
        fact = facts.get(key)
        if fact is None:
            continue
        lane, offset = (fact.lane, fact.place[1]), fact.place[2]
        if offset < newest.get(lane, -1):
            broken.append(fact)
        newest[lane] = max(offset, newest.get(lane, -1))
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
        for message in stage.kafka.read(stage.dead_letters, seconds=90)
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
