"""A replay from beginning to end: letters in, calls out, marks and new letters back. Knows no client.

After each call, in this order: new letters of what failed again, marks, and the offset up to which nothing is open.
Killed in between it sends some events once more, with the same keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple, Protocol

from bridge.flow import Event, Fault, Headers, Verdict
from bridge.replay.idempotency_keys import refused
from bridge.replay.letter import Letter, Result, again, mark_headers
from bridge.replay.plan import Limits, Plan, Rules, planned

__all__ = ["Answer", "Box", "Missing", "Replay", "Report"]

CAUSE_OF_STAGE: Final = {"decode": "decode", "unmatched": "unmatched", "map": "mapping", "size": "too_large"}
CAUSE: Final = {Verdict.INVALID: "invalid", Verdict.TOO_LARGE: "too_large"}
CHUNK: Final = 100


class Answer(NamedTuple):
    """What became of one event of a call."""

    verdict: Verdict
    code: str
    message: str


class Missing(Exception):  # noqa: N818 (the word for it)
    """The original of a letter that is a reference is not in Kafka any more."""


class Box(Protocol):
    """The dead-letter topic, as a replay writes to it."""

    def original(self, letter: Letter) -> Letter:
        """The letter with its original's bytes, where it is only a reference. Raises `Missing`."""
        ...

    def write(self, letter: Letter, headers: Headers, *, mark: bool) -> None:
        """Queue a record for the letter's partition: a mark, or a new letter about the same original."""
        ...

    def settle(self, letters: Sequence[Letter]) -> None:
        """Wait until everything queued is acknowledged, then note that these letters are done."""
        ...


@dataclass(slots=True)
class Report:
    """What a replay did, or would do."""

    results: Counter[Result] = field(default_factory=Counter)
    """Letters, by what became of them."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events sent and accepted (in a dry run: to be sent), by rule and name."""
    again: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    """New letters (in a dry run: those that there would be), by rule and code."""
    kept: Counter[str] = field(default_factory=Counter)
    """Letters that stay as they are, by why."""
    stopped: str | None = None
    """Why it ended before its end: the API does not take events."""


@dataclass(frozen=True, slots=True)
class Replay:
    """`send` takes events of one call, waits for its answer and returns one each; `batches` cuts events into calls."""

    rules: Rules
    limits: Limits
    box: Box
    send: Callable[[Sequence[Event]], Sequence[Answer]]
    batches: Callable[[Sequence[Event]], Iterable[int]]
    """How many of the events go into the first call, the second, …"""
    now_ms: Callable[[], int]
    version: str

    def plans(self, letters: Iterable[Letter], report: Report) -> Iterator[Plan]:
        """What would become of each letter; counts those that are kept."""
        for letter in letters:
            plan = self._plan(letter)
            if plan.kept is not None:
                report.kept[plan.kept] += 1
            yield plan

    def rehearse(self, letters: Iterable[Letter], shown: Callable[[Plan], None]) -> Report:
        """Count what `run` would do, and do nothing."""
        report = Report()
        for plan in self.plans(letters, report):
            shown(plan)
            if plan.kept is None:
                report.events.update((event.rule, event.name) for _, event in plan.events)
                report.again.update((fault.rule, fault.code) for fault in plan.faults)
                report.results[_result(plan, failed=False)] += 1
        return report

    def run(self, letters: Iterable[Letter], done: Callable[[Report], None]) -> Report:
        """Replay the letters in order; `done` is called after every chunk."""
        report = Report()
        source = self.plans(letters, report)
        while report.stopped is None and (chunk := list(islice(source, CHUNK))):
            self._chunk([plan for plan in chunk if plan.kept is None], report)
            done(report)
        return report

    def _plan(self, letter: Letter) -> Plan:
        try:
            whole = self.box.original(letter)
        except Missing as gone:
            return Plan(letter, kept=str(gone))
        return planned(whole, self.rules, self.limits, self.now_ms())

    def _chunk(self, plans: Sequence[Plan], report: Report) -> None:
        events = [(number, item, event) for number, plan in enumerate(plans) for item, event in plan.events]
        open_events = Counter(number for number, _, _ in events)
        failed: set[int] = set()
        begin = 0
        for size in self.batches([event for _, _, event in events]):
            call = events[begin : begin + size]
            begin += size
            for (number, item, event), answer in zip(call, self.send([each[2] for each in call]), strict=True):
                if answer.verdict is Verdict.ACCEPTED:
                    report.events[event.rule, event.name] += 1
                elif answer.verdict in CAUSE:
                    self._refused(plans[number].letter, item, event, answer, report)
                    failed.add(number)
                else:
                    report.stopped = f"{answer.code}: {answer.message}"
                    continue
                open_events[number] -= 1
            if report.stopped is not None:
                break
        self._settle(plans, failed, {number for number, left in open_events.items() if left}, report)

    def _settle(self, plans: Sequence[Plan], failed: set[int], unsent: set[int], report: Report) -> None:
        settled = []
        for number, plan in enumerate(plans):
            if number in unsent:
                continue
            for fault in plan.faults:
                self._fault(plan.letter, fault, report)
            result = _result(plan, failed=number in failed)
            report.results[result] += 1
            mark = mark_headers(plan.letter, result, at_ms=self.now_ms(), version=self.version)
            self.box.write(plan.letter, mark, mark=True)
            settled.append(plan.letter)
        self.box.settle(settled)

    def _fault(self, letter: Letter, fault: Fault, report: Report) -> None:
        report.again[fault.rule, fault.code] += 1
        headers = again(
            letter,
            stage=fault.stage.value,
            cause=CAUSE_OF_STAGE[fault.stage.value],
            code=fault.code,
            message=fault.message,
            rule=fault.rule,
            event=None,
            files=fault.files,
            **_which(letter, fault),
            **self._stamp(letter),
        )
        self.box.write(letter, headers, mark=False)

    def _refused(self, letter: Letter, item: int, event: Event, answer: Answer, report: Report) -> None:
        report.again[event.rule, answer.code] += 1
        now_ms = self.now_ms()
        headers = again(
            letter,
            stage="deliver",
            cause=CAUSE[answer.verdict],
            code=answer.code,
            message=answer.message,
            rule=event.rule,
            item=item,
            event=event.name,
            files=(),
            key=event.key,
            base_key=letter.base_key or letter.key or event.key,
            attempts=letter.attempts + 1,
            first_ms=letter.first_ms or now_ms,
            last_ms=now_ms,
            **self._stamp(letter),
        )
        self.box.write(letter, headers, mark=False)

    def _stamp(self, letter: Letter) -> dict[str, object]:
        return {"version": self.version, "rules_hash": self.rules.hash, "replays": letter.replays + 1}


def _which(letter: Letter, fault: Fault) -> dict[str, object]:
    """What a letter about the failure of a replay says of the event: what is known of it already stays."""
    known = refused(letter)
    return {
        "item": fault.item if letter.item is None else letter.item,
        "item_key": fault.item_key if letter.item is None else letter.item_key,
        "key": None if known else letter.key,
        "base_key": letter.base_key or letter.key if known else letter.base_key,
    }


def _result(plan: Plan, *, failed: bool) -> Result:
    if failed or plan.faults:
        return Result.FAILED
    return Result.ACCEPTED if plan.events else plan.quiet
