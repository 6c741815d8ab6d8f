"""The generated code against the reference interpreter: any rules, any records, in runs of any length."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from bridge.flow import Event, Fault, Headers, Mapped, MappedRun, Mapper, MappingContext, PlainRecord, RunMapper
from bridge.jq import JqProblem
from bridge.jsontext import dumps
from bridge.rules.map import slow_path
from bridge.rules.map.codegen import _Writer
from bridge.rules.map.mapping import compile_mapping
from bridge.rules.map.remade import MOST_KEPT, Remade
from bridge.rules.read.load import load_texts
from bridge.suprsend.event import event_body
from tests.rules.given import CONTEXT, ENV, NOON, rules
from tests.rules.reference.interpreter import reference

BODIES = [
    'when: .type == "a" and .n > 0\nproperties: {x: \'${ .n / 100 }\', y0: \'${ .s // "-" }\', z: "${ .s } ${ .n }!"}',
    "when: .n\nevent: e${ .s }\nevents: [ea, eb, e1]\ndistinct_id: ${ .id }",
    "when: .a[]?\ndistinct_id: ${ .id // .n }",
    "distinct_id: ${ .id }-${ .n }\ntenant_id: ${ .s // empty }\nidempotency_key: ${ .id // empty }",
    "tenant_id: t-${ .s }\nidempotency_key: k\u00e9y-${ .n }\nmax_age: 5s",
    "properties: ${ . }",
    "properties: '${ {a: .n, b: .o, c: [.a[]? | {id, n}], d: (.n / 3), a: .s, e: nan} }'",
    "properties: '${ {a: .n, b: .o, s, c: [.a[]? | {id: .id?}], d: (.n / 3)} }'",
    "properties: '${ {(.s): .n} }'",
    "properties: '${ {a: .a[]?} }'",
    "properties: ${ . }\ndrop_nulls: true\nattachments: ${ .a }",
    "properties: {p: '${ .o }', q: {r: ['${ .a[0]? }', '${ .s }', 2.0], s: '${ [.a[]? | {id, n}] }'}}\ndrop_nulls: true",
    "properties: {p: '${ .o }', q: {r: ['${ .a[0]? }', '${ .s }', 2.0, 1e-7], s: '${ [.a[]? | {id, n}] }'}, t: true}",
    "properties: {p: '${ .a[]? }', q: '${ nan }', r: '${ [infinite] }'}",
    "properties: {p: '${ .n * 1e300 * 1e300 }', q: '${ [.n / 3, .n * 0.1] }'}",
    "properties: {p: '${ nan }', q: '${ .s | tonumber }', r: '${ .o.id }'}",
    "for_each: .a[]?\ndistinct_id: ${ $item.id? // $item }\nproperties: {i: '${ $index }', all: '${ .a | length }'}",
    "for_each: .a\nmax_fan_out: 2\ndistinct_id: ${ .id }",
    "when: .type != null\nfor_each: .a[]?, .o[]?\nmax_fan_out: 3\ndistinct_id: ${ .id }\nidempotency_key: ${ $item | tojson }",
    "for_each: .a[]?\nevent: e${ $item.s? }\nevents: [ea, e1]\ndistinct_id: ${ $item.id }\nmax_age: 1m\non_error: skip",
    "for_each: .a[]?\ndistinct_id: ${ .id }\nidempotency_key: ${ $item.s? // empty }\nproperties: {n: '${ $item.n / 2 }'}",
    "for_each: .a[]?, .o[]?\ndistinct_id: ${ $item.id? // 1 }\ntenant_id: ${ $item.s? // 1 }\nproperties: {n: '${ .n | tojson }'}",
    "attachments:\n  - {url: '${ .s // empty }', filename: 'f-${ .n }', ignore_if_error: '${ .b }'}\n  - url: https://x.example/a",
    "properties: {k: '${ $key }', h: '${ $headers }', o: '${ [$offset, $partition, $topic, $timestamp] }'}",
    'when: $headers.a == "1" or $tombstone\ndistinct_id: ${ $key }',
    "properties: {l: '${ [.a[]? | {id, n, x: {y: .n, u: [.s, .n]}}] }', m: '${ [.a[]?] | map({id, n: ((.n // 1) / 3)}) }'}",
    "properties: '${ {l: [.a[]? | select(.id) | {n, o: {p: (.n // 1), q: .}}], o: {b: .b, n: (.n * 0.5)}} }'",
    'when: .type == "a" and (.n > 0 or .b) and .o\nproperties: {o: "${ .o }", n: "${ .n }"}',
    "when: .type == \"b\"\nfinal: true\ndistinct_id: ${ .o.id }\nproperties: {p: '${ .o.b.n? }'}",
    "distinct_id: ${ .o.id }\ntenant_id: ${ .o.s }\nidempotency_key: ${ .o.n }\nproperties: {i: '${ .o.b }'}",
    "distinct_id: ${ .o.o.id }\non_error: halt\nproperties: {i: '${ .o.o }', j: '${ .a[0].n? }'}",
    "distinct_id: ' u2 '\ntenant_id: acme\nproperties: {p: [1, {q: null}], e: {}, f: []}",
    "when: .n == 1\nfinal: true\nproperties: {p: '${ [range(.n * 100000)] | length }'}",
    "for_each: .a[]?\nproperties: {p: '${ [range(300000)] | length }', q: '${ (\"x\" * 3000 | length) + $index }'}",
]
HEADS = [
    "",
    "defaults:\n  properties: {d: 1, p: '${ .n }', q: 5}\n",
    "defaults:\n  properties: '${ {d: .n, p: .s} }'\n",
    "topics: {t: {unmatched: dead_letter}}\n",
    "topics: {t: {decode: debezium}}\n",
    "topics: {t: {decode: debezium, snapshot: true, key: json}}\n",
    "topics: {t: {decode: cloudevents, unmatched: dead_letter}}\n",
    "topics: {t: {decode: string}}\n",
    "topics: {t: {decode: bytes, key: json}}\n",
    "defs: |\n  def half: . / 2;\n  def told: if . == null then $topic else . end;\ndefaults:\n  properties: {h: '${ .n | half }', t: '${ .s | told }'}\n",
]
CONTEXTS = [CONTEXT, MappingContext(ENV, "n", max_event_bytes=400, only_recipients=("u*", "1*", "a"), max_age_ms=10)]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([0.5, 2.0, -0.0, 1e-7, 1e17, 2**63, 2**64 - 1, -(2**63)]),
    st.sampled_from(["", " ", "a", "b", "1", "u 1", "https://x.example/f.pdf", "é", "v1.0 e-mail null +1"]),
)
NAMES = st.sampled_from(["id", "n", "s", "a", "b", "o", "type", "url", "$x", "ss_y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=8,
)
RECORDS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["a", "b", None]), "id": SCALARS, "n": SCALARS, "s": SCALARS},
        optional={"a": VALUES, "b": st.booleans(), "o": VALUES, "op": st.sampled_from("rcu")},
    ),
)
ORDINARY = {
    "type": "a",
    "id": "u1",
    "n": 2000,
    "s": "https://x.example/f.pdf",
    "a": [{"id": "u1", "n": 1.0, "url": "https://x.example/a"}, {"id": "u2", "url": "https://x.example/b"}],
    "b": True,
    "o": {"x": [1, 2.0]},
}
RAW = st.one_of(
    RECORDS.map(dumps),
    RECORDS.map(dumps),
    RECORDS.map(dumps),
    st.just(dumps(ORDINARY)),
    st.none(),
    st.binary(max_size=6),
)
HEADERS: Sequence[Headers] = (
    [],
    [("a", b"1")],
    [("content-type", b"application/json"), ("ce_specversion", b"1.0"), ("ce_id", b"u1")],
    [("content-type", b"application/cloudevents-batch+json")],
)
PLENTY = 1 << 30

Pair = tuple[RunMapper, Mapper, Mapper]


@cache
def pair(files: tuple[tuple[int, tuple[int, ...]], ...], context: int, kept: int = 4 << 20) -> Pair:
    """Rules of some files, each a head and bodies by their numbers: the mapper of runs, of records, and the reference."""
    texts = []
    for number, (head, bodies) in enumerate(files):
        text = rules(*(f"name: f{number}-r{n}\n{BODIES[at]}" for n, at in enumerate(bodies)), head=HEADS[head])
        texts.append((f"f{number}.yaml", text.encode()))
    ruleset = load_texts(texts).rules
    assert len(ruleset.rules) == sum(len(bodies) for _, bodies in files)
    mapping = compile_mapping(ruleset, replace(CONTEXTS[context], kept_bytes=kept))
    return mapping.for_topic("t"), mapping.mapper("t"), reference(ruleset, CONTEXTS[context], "t")


@st.composite
def rule_sets(draw: st.DrawFn, kept: int = 4 << 20) -> Pair:
    """A rule that is alone, most often; several; or two files that read the topic, each in its way."""
    bodies = st.integers(0, len(BODIES) - 1)
    heads = st.integers(0, len(HEADS) - 1)
    kind = draw(st.integers(0, 5))
    files = [(draw(heads), tuple(draw(st.lists(bodies, min_size=1, max_size=1 if kind < 3 else 4))))]
    if kind == 5:
        files.append((draw(heads), tuple(draw(st.lists(bodies, min_size=1, max_size=2)))))
    return pair(tuple(files), draw(st.integers(0, 1)), kept)


@st.composite
def runs(draw: st.DrawFn) -> list[PlainRecord]:
    """Records of one partition, in order, with gaps."""
    offset, made = draw(st.sampled_from([7, 2**62])), []
    for raw in draw(st.lists(RAW, min_size=1, max_size=12)):
        offset += draw(st.integers(1, 3))
        key = draw(st.sampled_from([None, b"u1", b"\xff", b'{"schema": 1, "payload": "u2"}', b"7"]))
        timestamp = draw(st.sampled_from([-1, 5, NOON, NOON + 1]))
        headers = HEADERS[draw(st.integers(0, len(HEADERS) - 1))]
        made.append(PlainRecord("t", 3, offset, raw, key=key, timestamp=timestamp, headers=headers))
    return made


def told(run: MappedRun) -> list[tuple[list[Event], list[Fault]]]:
    """What a run says of each of its records; whatever its columns say twice must agree."""
    events = list(run.events())
    assert list(run.bodies) == [event.body for event in events]
    assert run.size == sum(len(body) + 1 for body in run.bodies)
    assert +Counter(dict(run.counts)) == Counter((event.rule, event.name) for event in events)
    expires = [event.expires for event in events]
    assert (run.expires is None) == (not any(expires)) and list(run.expires or expires) == expires
    of: list[tuple[list[Event], list[Fault]]] = [([], []) for _ in range(run.records)]
    for place, fault in run.faults:
        of[place][1].append(fault)
    places = run.places
    if places is None:
        gone = {*run.unwanted, *(place for place, _ in run.faults)}
        places = [place for place in range(run.records) if place not in gone]
    for place, event in zip(places, events, strict=True):
        of[place][0].append(event)
    assert [place for place, (some, faults) in enumerate(of) if not some and not faults] == list(run.unwanted)
    for column in (places, [place for place, _ in run.faults]):
        assert all(one <= other for one, other in pairwise(column))
    return of


def in_runs(
    map_run: RunMapper, made: Sequence[PlainRecord], most: int, room: int, kept: int = PLENTY
) -> list[tuple[list[Event], list[Fault]]]:
    """Map everything, run after run; each ends with the record that reaches a limit, and not before."""
    found: list[tuple[list[Event], list[Fault]]] = []
    while len(found) < len(made):
        rest = made[len(found) :]
        run = map_run(rest, [record.offset() for record in rest], most, room)
        of = told(run)
        assert run.records == len(rest) or len(run.bodies) >= most or run.size > room or run.size >= kept
        *before, last = of
        assert len(run.bodies) - len(last[0]) < most
        assert run.size - sum(len(event.body) + 1 for event in last[0]) <= room or not last[0]
        assert before or of
        found += of
    return found


def split(made: Mapped) -> tuple[list[Event], list[Fault]]:
    return [one for one in made if isinstance(one, Event)], [one for one in made if isinstance(one, Fault)]


@settings(max_examples=400, deadline=None)
@given(rule_sets(), runs(), st.integers(1, 8), st.sampled_from([0, 300, 700, 2_000, PLENTY]))
def test_runs_become_what_the_reference_says(made_of: Pair, made: list[PlainRecord], most: int, room: int) -> None:
    """Any rules and records, in runs of any limits: the events, faults and keys of the reference, in its order."""
    map_run, map_one, plain = made_of
    wanted = [list(plain(record)) for record in made]
    assert in_runs(map_run, made, most, room) == [split(each) for each in wanted]
    assert [list(map_one(record)) for record in made] == wanted


FEW = 300
"""Bytes of bodies that are kept of a record: one, or two."""


@settings(max_examples=400, deadline=None)
@given(rule_sets(kept=FEW), runs(), st.data())
def test_of_large_fan_outs_little_is_kept_and_all_is_the_same(
    made_of: Pair, made: list[PlainRecord], data: st.DataObject
) -> None:
    """Where bodies are not kept, any of them, in any order, whatever was asked before, is what one pass makes."""
    map_run, _, plain = made_of
    wanted = [list(plain(record)) for record in made]
    assert in_runs(map_run, made, 3, 700, FEW) == [split(each) for each in wanted]
    runs_of: list[MappedRun] = []
    while (done := sum(run.records for run in runs_of)) < len(made):
        rest = made[done:]
        runs_of.append(map_run(rest, [record.offset() for record in rest], 3, 700))
    bodies = [[event.body for event in split(each)[0]] for each in wanted]
    sources = {id(run.bodies._source): run.bodies._source for run in runs_of if isinstance(run.bodies, Remade)}
    for _ in range(data.draw(st.integers(0, 6))):
        run = data.draw(st.sampled_from(runs_of))
        picked = data.draw(st.lists(st.integers(0, len(run.bodies) - 1), unique=True).map(sorted)) if run.bodies else []
        first = sum(each.records for each in runs_of[: runs_of.index(run)])
        right = [body for each in bodies[first : first + run.records] for body in each]
        if isinstance(run.bodies, Remade):
            part = run.bodies.pick(picked)
            assert part.sizes() == [len(body) for body in part] and list(part) == [right[at] for at in picked]
            assert [event.body for event in part[1:].events()] == [right[at] for at in picked[1:]]
        assert [run.bodies[at] for at in picked] == [right[at] for at in picked]
        longest = max((len(body) for each in bodies for body in each), default=0)
        kept = [sum(map(len, source.kept)) for source in sources.values()]
        assert sum(size > 0 for size in kept) <= MOST_KEPT and max(kept, default=0) < FEW + longest


STAGES = {
    "event": 'event: ${ if $item.x == 1 then "none" else "told" end }\nevents: [told]',
    "distinct_id": 'distinct_id: ${ if $item.x == 1 then " " else $item.id end }',
    "allowed": 'distinct_id: ${ if $item.x == 1 then "zz" else $item.id end }',
    "idempotency_key": "idempotency_key: ${ if $item.x == 1 then 1.5 elif $item.k then $item.k else empty end }",
    "tenant_id": 'tenant_id: ${ if $item.x == 1 then "" else "acme" end }',
    "properties": 'properties: {p: "${ if $item.x == 1 then null else 1 end }"}',
    "size": "properties: {p: '${ if $item.x == 1 then \"x\" * 1000 else 1 end }'}",
}
ITEMS = st.fixed_dictionaries(
    {"id": st.sampled_from(["u1", "u2"]), "x": st.integers(0, 1), "k": st.sampled_from([None, "k", "l"])}
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(STAGES)), st.lists(ITEMS, max_size=6), st.booleans(), st.integers(1, 4))
def test_items_fail_alone_at_any_stage(stage: str, items: list[dict[str, Any]], several: bool, most: int) -> None:
    """Of n items for the same people any k fail at any stage: the others keep the keys, and so do the failed ones."""
    map_run, map_one, plain = failing(stage, several=several)
    made = [PlainRecord("t", 3, 7 + at, dumps({"to": items[at:], "k": "k"}), timestamp=NOON) for at in range(3)]
    wanted = [list(plain(record)) for record in made]
    assert [list(map_one(record)) for record in made] == wanted
    assert in_runs(map_run, made, most, PLENTY) == [split(each) for each in wanted]


@cache
def failing(stage: str, *, several: bool) -> Pair:
    """A fan-out whose items fail at a stage, alone or with another rule before it that has keys of its own."""
    fan_out = "for_each: .to[]\n" + STAGES[stage]
    if "distinct_id" not in STAGES[stage]:
        fan_out += "\ndistinct_id: ${ $item.id }"
    others = ["idempotency_key: ${ .k }", "when: .to | length > 2"] if several else []
    ruleset = load_texts([("a.yaml", rules(*others, fan_out).encode())]).rules
    assert len(ruleset.rules) == 1 + len(others)
    context = MappingContext(ENV, "n", max_event_bytes=600, only_recipients=("u*",))
    mapping = compile_mapping(ruleset, context)
    return mapping.for_topic("t"), mapping.mapper("t"), reference(ruleset, context, "t")


ALONE = [pair(((head, (body,)),), context) for context in (0, 1) for head in (0, 9) for body in range(len(BODIES))]


@settings(max_examples=40, deadline=None)
@example(ORDINARY, b"k", NOON)
@example(None, None, NOON)
@given(RECORDS, st.sampled_from([None, b"u1"]), st.sampled_from([-1, NOON]))
def test_each_rule_alone(value: Any, key: bytes | None, timestamp: int) -> None:
    """Each rule that a topic has for itself makes what the reference makes, of tombstones and broken JSON too."""
    for raw in (dumps(value), b"{", b"", None):
        one = PlainRecord("t", 1, 2**62, raw, key=key, timestamp=timestamp, headers=[("a", b"1")])
        for _, map_one, plain in ALONE:
            assert list(map_one(one)) == list(plain(one))


def test_the_rules_above_are_written_out() -> None:
    """Every rule compared here is generated with its expressions in place, so that the comparison compares something."""
    for head in HEADS:
        for rule in load_texts([("a.yaml", rules(*BODIES, head=head).encode())]).rules.rules:
            _Writer(rule, "t", CONTEXT, bool, inline=True).function()


RARE = (1, 2, 4, 5, 6, 9, 10, 13, 14, 15, 17, 18, 19, 20, 21, 27, 28, 29, 30)
"""Rules for which the ordinary record is none."""


@pytest.mark.parametrize("number", [number for number in range(len(BODIES)) if number not in RARE])
def test_ordinary_records_take_no_slow_path(number: int) -> None:
    """What a rule is made for is mapped in its own code: nothing is called but what prints numbers in text and what
    checks computed names and attachments."""
    map_run, map_one, _ = pair(((0, (number,)),), 0)
    one = PlainRecord("t", 1, 2, dumps(ORDINARY), key=b"u1", timestamp=NOON, headers=[("a", b"1")])
    called: set[str] = set()

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename == slow_path.__file__:
            called.add(frame.f_code.co_name)

    sys.setprofile(watch)
    try:
        run = map_run([one], [2], 1, PLENTY)
    finally:
        sys.setprofile(None)
    assert called <= {"part_text", "checked_attachment", "checked_attachments", "as_text", "_from_object", "layer_of"}
    assert list(run.events()) == list(map_one(one))


class Counted(PlainRecord):
    """A record that counts how often its value is asked for."""

    asked = 0

    def value(self) -> bytes | None:
        self.asked += 1
        return super().value()


@pytest.mark.parametrize("raw", [dumps(ORDINARY), b"poison", b'{"id": null}', None])
@pytest.mark.parametrize("files", [((0, (0,)),), ((0, (0, 3, 16)),), ((3, (0, 1)), (4, (2,)), (0, (1,)))])
def test_a_record_is_asked_for_its_value_once(files: tuple[Any, ...], raw: bytes | None) -> None:
    """Good or bad, for one rule, several, or files that read the topic differently: a record's value is taken once."""
    map_run, _, _ = pair(files, 0)
    one = Counted("t", 0, 7, raw, timestamp=NOON)
    map_run([one], [7], 100, PLENTY)
    assert one.asked == 1


@pytest.mark.parametrize("files", [((0, (19,)),), ((0, (19, 0)),)])
def test_a_bug_is_the_fault_of_one_record(files: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What no record can cause ends that one record, none of its events is sent, and the run goes on."""

    def broken(_field: Any, value: Any) -> str:
        if value == 7.0:
            raise RuntimeError("secret")
        return str(value)

    monkeypatch.setattr(slow_path, "text_of", broken)
    pair.cache_clear()
    map_run, _, _ = pair(files, 0)
    good = dumps({"a": [{"s": "a", "id": 1}, {"s": "a", "id": 2}]})
    bad = dumps({"a": [{"s": "a", "id": 1}, {"s": "b", "id": 3}, {"s": "a", "id": 7.0}]})
    made = [PlainRecord("t", 0, at, raw, timestamp=NOON) for at, raw in enumerate([good, bad, good])]
    of = told(map_run(made, [0, 1, 2], 100, PLENTY))
    assert [(len(events), [fault.code for fault in faults]) for events, faults in of] == [
        (2, []), (0, ["internal_error"]), (2, []),
    ]  # fmt: skip
    assert "secret" not in of[1][1][0].message
    pair.cache_clear()


def test_no_result_depends_on_the_records_before() -> None:
    """Records that cost most of the budget give the same, however many came before; one that costs more is a fault."""
    map_run, plain = one_rule("properties: {p: '${ [limit(.n; repeat(1))] | length }'}")
    sizes = [300_000, 60_000] * 6 + [3_000_000, 300_000, 300_000]
    made = [PlainRecord("t", 0, at, dumps({"n": n}), timestamp=NOON) for at, n in enumerate(sizes)]
    of = in_runs(map_run, made, 100, PLENTY)
    assert of == [split(plain(record)) for record in made]
    assert [len(events) for events, _ in of] == [1] * 12 + [0, 1, 1]


@pytest.mark.parametrize("steps", [90_000, 99_000, 99_900, 99_990, 100_000, 110_000])
def test_one_budget_serves_a_rule_and_record(steps: int) -> None:
    """`when`, `for_each` and all items share a budget: the item with which it runs out is the reference's."""
    map_run, plain = one_rule(
        "when: ([range(.n)] | length) > 0\nfor_each: range(9)\ndistinct_id: ${ $item }\n"
        "properties: {p: '${ [range(.n)] | length }', q: '${ [.[]] }', r: '${ [limit(3; .[])] | .[0] }'}"
    )
    made = [PlainRecord("t", 0, 1, dumps({"n": steps + n}), timestamp=NOON) for n in range(3)]
    assert in_runs(map_run, made, 100, PLENTY) == [split(plain(record)) for record in made]


@pytest.mark.parametrize("count", [3_000, 9_998, 9_999, 10_000, 10_001, 12_000])
def test_outputs_are_counted(count: int) -> None:
    """10,000 outputs a rule and record: those of `for_each`, and those beyond the first where one is wanted."""
    for body in (
        "for_each: range(.n)\nmax_fan_out: 10000\ndistinct_id: ${ $item }\nproperties: {a: '${ .n }', b: '${ .n }'}",
        "properties: {a: '${ range(.n) }'}",
        "when: range(.n)",
    ):
        map_run, plain = one_rule(body)
        one = PlainRecord("t", 0, 1, dumps({"n": count}), timestamp=NOON)
        assert in_runs(map_run, [one], 100, PLENTY) == [split(plain(one))]


def one_rule(body: str) -> tuple[RunMapper, Mapper]:
    ruleset = load_texts([("a.yaml", rules(body).encode())]).rules
    assert len(ruleset.rules) == 1
    return compile_mapping(ruleset, CONTEXT).for_topic("t"), reference(ruleset, CONTEXT, "t")


NESTED = "if .a then " * 89 + ".n" + " else .s end" * 89
HUGE = {
    "nested deeply": (True, f"properties: {{p: '${{ {NESTED} }}', q: '${{ .n }}'}}\ntenant_id: '${{ .s // empty }}'"),
    "a deep fan-out": (True, f"for_each: .a\nproperties: {{p: '${{ {NESTED} }}'}}\ndistinct_id: ${{ $item }}"),
    "many properties": (False, "properties:\n" + "".join(f"  p{n}: '${{ .n }}-${{ .s }}'\n" for n in range(9_000))),
    "many items": (False, "for_each: .a\nproperties:\n" + "".join(f"  p{n}: ${{ .n }}\n" for n in range(15_000))),
    "many attachments": (
        False,
        "attachments:\n" + "".join(f"  - url: https://x.example/${{ .n }}/{n}\n" for n in range(12_000)),
    ),
}


@pytest.mark.parametrize(("fits", "body"), HUGE.values(), ids=HUGE)
def test_a_rule_too_large_for_one_function_is_called_in_pieces(body: str, *, fits: bool) -> None:
    """What does not go into one Python function is a rule all the same, and means the same."""
    ruleset = load_texts([("a.yaml", rules(body).encode())]).rules
    assert len(ruleset.rules) == 1
    with nullcontext() if fits else pytest.raises(JqProblem):
        _Writer(ruleset.rules[0], "t", CONTEXT, bool, inline=True).function()
    map_run, plain = compile_mapping(ruleset, CONTEXT).for_topic("t"), reference(ruleset, CONTEXT, "t")
    for value in ({"n": 1, "s": "x", "a": "u1"}, {"n": None, "s": None, "a": False}, 5, None):
        one = PlainRecord("t", 0, 1, dumps(value), timestamp=NOON)
        assert in_runs(map_run, [one], 100, PLENTY) == [split(plain(one))]


def test_a_thousand_rules_on_a_topic() -> None:
    """A topic that a thousand rules read is mapped as the reference maps it."""
    bodies = [f"when: .type == \"t{n % 500}\"\nproperties: {{p: '${{ .n }}'}}" for n in range(1_000)]
    ruleset = load_texts([("a.yaml", rules(*bodies).encode())]).rules
    assert len(ruleset.rules) == 1_000
    map_run, plain = compile_mapping(ruleset, CONTEXT).for_topic("t"), reference(ruleset, CONTEXT, "t")
    one = PlainRecord("t", 0, 1, dumps({"type": "t7", "n": 2}), timestamp=NOON)
    assert in_runs(map_run, [one], 100, PLENTY) == [split(plain(one))]
    assert len(plain(one)) == 2


@pytest.mark.parametrize("tenant", [None, "acme"])
def test_the_layout_is_that_of_event_body(tenant: str | None) -> None:
    """The generated body is what `event_body`, the one home of the layout, makes of the same parts."""
    map_run, _ = one_rule("properties: {p: '${ .p }'}\n" + ("" if tenant is None else f"tenant_id: {tenant}"))
    (event,) = map_run([PlainRecord("t", 3, 7, b'{"p":1}', timestamp=NOON)], [7], 1, PLENTY).events()
    assert event.body == event_body(
        insert_id=event.key, time_ms=NOON, name="told", env=ENV, distinct_id="u1", properties={"p": 1},
        key=event.key, tenant=tenant,
    )  # fmt: skip


@pytest.mark.parametrize("fan_out", ["", "for_each: .to[]\n"])
def test_the_largest_event_is_sent(fan_out: str) -> None:
    """An event of just `max_event_bytes` is made; one byte more is the fault `event_too_large`."""
    text = rules(fan_out + "properties: {p: '${ .p }'}")
    ruleset = load_texts([("a.yaml", text.encode())]).rules
    one = PlainRecord("t", 0, 1, dumps({"p": "x" * 100, "to": [1]}), timestamp=NOON)
    (event,) = compile_mapping(ruleset, CONTEXT).mapper("t")(one)
    assert isinstance(event, Event)
    for most, made in ((len(event.body), (1, [])), (len(event.body) - 1, (0, ["event_too_large"]))):
        context = replace(CONTEXT, max_event_bytes=most)
        run = compile_mapping(ruleset, context).for_topic("t")([one], [1], 100, PLENTY)
        assert (len(run.bodies), [fault.code for _, fault in run.faults]) == made
