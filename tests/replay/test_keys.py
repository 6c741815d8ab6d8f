"""Keys of replays: no item of a record is ever sent with a key that another item of it has or had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from hypothesis import example, given, settings, strategies as st

from bridge.delivery.dead_letter_headers import Rejected, dead_letter_headers, rejected_of
from bridge.flow import Event, Fault, Headers, Mapper, PlainRecord, Stage, Verdict
from bridge.jsontext import dumps, loads
from bridge.replay.letter import Letter, read
from bridge.replay.plan import Limits, Rules
from bridge.replay.replay import Answer, Replay
from bridge.rules.map.mapping import compile_mapping
from tests.by_record import partition
from tests.rules.given import CONTEXT, NOON, load

STAGES: Final = ("event", "distinct_id", "idempotency_key", "tenant_id", "properties", "size")
OWN_KEYS: Final = ("", '"o-1-\\($index)"', '"o-1-" + $item', 'if $item == "ann" then empty else "o-1-\\($index)" end')
"""Expressions of rules' own keys: one an item, one a person, one that leaves it to the default for some."""
RULE: Final = """\
rules:
  - name: r
    topics: [t]
    for_each: .who[]
    event: '${{ if {event} then error("no") else "told" end }}'
    events: [told]
    distinct_id: '${{ if {distinct_id} then null else $item end }}'
    tenant_id: '${{ if {tenant_id} then error("no") else "acme" end }}'
    {own}
    properties:
      i: '${{ $index }}'
      index: '${{ if {properties} then error("no") else $index end }}'
      filler: '${{ if {size} then "x" * 200000 else "" end }}'
"""

Broken = tuple[tuple[int, str], ...]
"""Items, and the stage at which each fails."""


@cache
def mapper_of(broken: Broken, own: str) -> Mapper:
    """Rules that fail for these items at these stages."""
    failing = {
        stage: " or ".join(f"$index == {item}" for item, at in broken if at == stage) or "false" for stage in STAGES
    }
    key = f'if {failing["idempotency_key"]} then error("no") else {own} end'
    loaded = load(RULE.format(own=f"idempotency_key: '${{ {key} }}'" if own else "", **failing))
    assert not [finding for finding in loaded.findings if finding.severity == "error"], loaded.findings
    return compile_mapping(loaded.rules, CONTEXT).mapper("t")


class Topic:
    """A record's dead letters, and SuprSend, which refuses the items that it is told to refuse."""

    def __init__(self, who: Sequence[str]) -> None:
        self.record = PlainRecord("t", 0, 7, dumps({"who": who, "id": "o-1"}), key=b"k", timestamp=NOON)
        self.open: list[Letter] = []
        self.used: dict[str, set[int]] = defaultdict(set)
        """By key, the items that were sent with it."""
        self.accepted: dict[int, list[str]] = defaultdict(list)
        self.refused: frozenset[int] = frozenset()
        self._offset = 0

    def send(self, events: Sequence[Event]) -> list[Answer]:
        """As SuprSend: some are refused."""
        answers = []
        for event in events:
            item = loads(event.body)["properties"]["i"]
            self.used[event.key].add(item)
            if item in self.refused:
                answers.append(Answer(Verdict.INVALID, "400", "no"))
            else:
                self.accepted[item].append(event.key)
                answers.append(Answer(Verdict.ACCEPTED, "", ""))
        return answers

    def deliver(self, mapper: Mapper) -> None:
        """What the bridge does with the record."""
        part = partition(("t", 0), mapper)
        for entry in mapper(self.record):
            if isinstance(entry, Fault):
                self.letter(rejected_of(part, self.record, entry))
            elif self.send([entry])[0].verdict is Verdict.INVALID:
                self.letter(
                    Rejected(part, self.record, "r", Stage.DELIVER, "invalid", "400", "no", event=entry, first_ms=NOON)
                )

    def letter(self, rejected: Rejected) -> None:
        """Write one."""
        self.put(list(dead_letter_headers(rejected, version="1", rules_hash="h")))

    def put(self, headers: Headers) -> None:
        """Write one, and read it back."""
        self._offset += 1
        found = read(PlainRecord("dead", 0, self._offset, self.record.value(), key=b"k", headers=headers))
        assert isinstance(found, Letter)
        self.open.append(found)

    def original(self, letter: Letter) -> Letter:
        return letter

    def write(self, letter: Letter, headers: Headers, *, mark: bool) -> None:
        if mark:
            self.open.remove(letter)
        else:
            self.put(headers)

    def settle(self, letters: Sequence[Letter]) -> None:
        pass

    def replay(self, mapper: Mapper, chosen: Callable[[int], bool]) -> None:
        """`suprsend-bridge dlq replay` of some of the letters, by their place among the open ones."""
        letters = [letter for place, letter in enumerate(self.open) if chosen(place)]
        rules = Rules(lambda record: mapper(record), frozenset({"r"}), "today")
        run = Replay(
            rules, Limits(23 * 3_600_000), self, self.send, lambda events: [1] * len(events), lambda: NOON, "1"
        )
        run.run(letters, lambda _: None)


def brokens(items: int) -> st.SearchStrategy[Broken]:
    return st.dictionaries(st.integers(0, items - 1), st.sampled_from(STAGES)).map(lambda d: tuple(sorted(d.items())))


rounds = st.tuples(brokens(4), st.sets(st.integers(0, 3)), st.sets(st.integers(0, 8)))
"""The stages that fail in a round, the items that SuprSend refuses, the letters that are replayed."""


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.sampled_from(["ann", "ann", "bob"]), min_size=1, max_size=4),
    st.sampled_from(OWN_KEYS),
    rounds,
    st.lists(rounds, max_size=3),
)
@example(["ann", "ann"], "", (((0, "distinct_id"),), set(), set()), [])
@example(["ann", "ann"], "", (((0, "distinct_id"),), {1}, set()), [])
@example(["ann"] * 3, "", (((0, "distinct_id"), (1, "properties")), set(), set()), [])
@example(["ann"] * 2, "", (((0, "event"), (1, "event")), set(), set()), [(((0, "event"),), set(), {1})])
def test_no_item_is_ever_sent_with_a_siblings_key(
    who: list[str],
    own: str,
    first: tuple[Broken, set[int], set[int]],
    more: list[tuple[Broken, set[int], set[int]]],
) -> None:
    """Items fail at any stage, rules are mended in any order, letters are replayed in any order: each arrives once."""
    topic = Topic(who)
    topic.refused = frozenset(first[1])
    topic.deliver(mapper_of(first[0], own))
    for broken, refused, chosen in more:
        topic.refused = frozenset(refused)
        topic.replay(mapper_of(broken, own), chosen.__contains__)
    topic.refused = frozenset()
    topic.replay(mapper_of((), own), lambda _: True)
    assert {key: items for key, items in topic.used.items() if len(items) > 1} == {}
    arrived = {item: len(keys) for item, keys in topic.accepted.items()}
    still = {letter.item for letter in topic.open}
    assert arrived == {item: 1 for item in range(len(who)) if item not in still}
    assert all(letter.code == "duplicate_key" for letter in topic.open)
