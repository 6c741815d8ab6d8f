"""Built-ins that are combinations of others, in jq; and those that the code generator writes itself."""

from __future__ import annotations

from collections.abc import Callable

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NUMBER, OBJECT, Builtin
from bridge.jq.syntax.parser import parse_definitions

Counting = Callable[[list[int]], int]


def _one(_: list[int]) -> int:
    return 0


def _maybe(_: list[int]) -> int:
    return 1


def _many(_: list[int]) -> int:
    return 2


def _at_most(counts: list[int]) -> int:
    return max(1, counts[0])


_DEFINED: list[tuple[str, str, str, tuple[str, ...], frozenset[str]]] = [
    ("def first: .[0];", "The first element.", "[1, 2] | first", ("1",), ANY),
    ("def last: .[-1];", "The last element.", "[1, 2] | last", ("2",), ANY),
    ("def nth($place): .[$place];", "The element at a place.", "[1, 2] | nth(1)", ("2",), ANY),
    ("def map(f): [.[] | f];", "`f` of every element, as an array.", "[1, 2] | map(. * 2)", ("[2,4]",), ARRAY),
    (
        "def map_values(f): .[] |= f;",
        "Every value replaced by the first output of `f`, or removed.",
        '{"a": 1} | map_values(. + 1)',
        ('{"a":2}',),
        ANY,
    ),
    (
        "def with_entries(f): to_entries | map(f) | from_entries;",
        "An object, changed as a list of `{key, value}`.",
        '{"a": 1} | with_entries(.key |= "x_" + .)',
        ('{"x_a":1}',),
        OBJECT,
    ),
    (
        "def sort_by(f): _sort_by([.[] | [f]]);",
        "The elements in the order of `f`.",
        '[{"a": 2}, {"a": 1}] | sort_by(.a)',
        ('[{"a":1},{"a":2}]',),
        ARRAY,
    ),
    (
        "def group_by(f): _group_by([.[] | [f]]);",
        "The elements with equal `f` together.",
        '[{"a": 1}, {"a": 2}, {"a": 1}] | group_by(.a) | map(length)',
        ("[2,1]",),
        ARRAY,
    ),
    (
        "def unique_by(f): _unique_by([.[] | [f]]);",
        "The first element for every `f`, in the order of `f`.",
        '["bb", "a", "cc"] | unique_by(length)',
        ('["a","bb"]',),
        ARRAY,
    ),
    (
        "def min_by(f): _min_by([.[] | [f]]);",
        "The element with the smallest `f`.",
        '[{"a": 2}, {"a": 1}] | min_by(.a)',
        ('{"a":1}',),
        ANY,
    ),
    (
        "def max_by(f): _max_by([.[] | [f]]);",
        "The element with the largest `f`.",
        '[{"a": 2}, {"a": 1}] | max_by(.a)',
        ('{"a":2}',),
        ANY,
    ),
    ("def add(f): [f] | add;", "All outputs of `f` added up.", "add(1, 2)", ("3",), ANY),
    (
        "def del(f): delpaths([path(f)]);",
        "A copy without the parts that `f` names.",
        '{"a": 1, "b": 2} | del(.a)',
        ('{"b":2}',),
        ANY,
    ),
    (
        "def pick(f): . as $whole | reduce path(f) as $place (null; setpath($place; $whole | getpath($place)));",
        "Only the parts that `f` names.",
        '{"a": 1, "b": 2} | pick(.a)',
        ('{"a":1}',),
        ANY,
    ),
    (
        "def paths: path(..) | select(length > 0);",
        "The path of every part.",
        '{"a": [1]} | paths',
        ('["a"]', '["a",0]'),
        ARRAY,
    ),
    (
        "def paths(f): path(.. | select(f)) | select(length > 0);",
        "The paths of the parts for which `f` is true.",
        '[1, "a"] | paths(type == "number")',
        ("[0]",),
        ARRAY,
    ),
    (
        "def recurse(f; condition): recurse(f | select(condition));",
        "`recurse(f)` while the condition is true.",
        "[2 | recurse(. * .; . < 20)]",
        ("[2,4,16]",),
        ANY,
    ),
    ("def values: select(. != null);", "The input unless it is null.", "[1, null] | map(values)", ("[1]",), ANY),
    ("def nulls: select(. == null);", "The input if it is null.", "[1, null] | map(nulls)", ("[null]",), ANY),
    (
        'def numbers: select(type == "number");',
        "The input if it is a number.",
        '[1, "a"] | map(numbers)',
        ("[1]",),
        NUMBER,
    ),
    (
        'def strings: select(type == "string");',
        "The input if it is a text.",
        '[1, "a"] | map(strings)',
        ('["a"]',),
        ANY,
    ),
    (
        'def booleans: select(type == "boolean");',
        "The input if it is a boolean.",
        "[1, true] | map(booleans)",
        ("[true]",),
        BOOLEAN,
    ),
    ('def arrays: select(type == "array");', "The input if it is an array.", "[1, []] | map(arrays)", ("[[]]",), ARRAY),
    (
        'def objects: select(type == "object");',
        "The input if it is an object.",
        "[1, {}] | map(objects)",
        ("[{}]",),
        OBJECT,
    ),
    (
        'def iterables: select(type == "array" or type == "object");',
        "The input if it is an array or an object.",
        "[1, {}] | map(iterables)",
        ("[{}]",),
        ANY,
    ),
    (
        'def scalars: select(type != "array" and type != "object");',
        "The input if it is neither array nor object.",
        "[1, {}] | map(scalars)",
        ("[1]",),
        ANY,
    ),
    (
        "def finites: select(isfinite);",
        "The input if it is a number and no infinity.",
        "[1, infinite] | map(finites)",
        ("[1]",),
        NUMBER,
    ),
    (
        "def normals: select(isnormal);",
        "The input if it is a normal number.",
        "[1, 0] | map(normals)",
        ("[1]",),
        NUMBER,
    ),
    (
        "def any(f; condition): isempty(f | condition or empty) | not;",
        "Whether the condition is true for one output of `f`.",
        "[1, 2] | any(.[]; . > 1)",
        ("true",),
        BOOLEAN,
    ),
    (
        "def all(f; condition): isempty(f | condition and empty);",
        "Whether the condition is true for every output of `f`.",
        "[1, 2] | all(.[]; . > 1)",
        ("false",),
        BOOLEAN,
    ),
    (
        "def any(condition): any(.[]; condition);",
        "Whether the condition is true for one element.",
        "[1, 2] | any(. > 1)",
        ("true",),
        BOOLEAN,
    ),
    (
        "def all(condition): all(.[]; condition);",
        "Whether the condition is true for every element.",
        "[1, 2] | all(. > 0)",
        ("true",),
        BOOLEAN,
    ),
    (
        "def in(object): . as $key | object | has($key);",
        "Whether an object has this key.",
        '"a" | in({"a": 1})',
        ("true",),
        BOOLEAN,
    ),
    (
        "def inside(whole): . as $part | whole | contains($part);",
        "Whether another value contains this one.",
        '"a" | inside("abc")',
        ("true",),
        BOOLEAN,
    ),
    ("def IN(f): any(f == .; .);", "Whether `f` gives this value.", "2 | IN(1, 2)", ("true",), BOOLEAN),
    (
        "def IN(f; g): any(f == g; .);",
        "Whether `f` and `g` give one value in common.",
        "IN(1, 2; 2, 3)",
        ("true",),
        BOOLEAN,
    ),
    (
        "def INDEX(f; key): reduce f as $row ({}; .[$row | key | tostring] = $row);",
        "The outputs of `f` by their key.",
        'INDEX({"id": 1}; .id)',
        ('{"1":{"id":1}}',),
        OBJECT,
    ),
    (
        "def INDEX(key): INDEX(.[]; key);",
        "The elements by their key.",
        '[{"id": 1}] | INDEX(.id)',
        ('{"1":{"id":1}}',),
        OBJECT,
    ),
    (
        "def JOIN($index; key): [.[] | [., $index[key]]];",
        "Every element with what an index holds for its key.",
        '[{"id": "a"}] | JOIN({"a": 1}; .id)',
        ('[[{"id":"a"},1]]',),
        ARRAY,
    ),
    (
        "def JOIN($index; f; key): f | [., $index[key]];",
        "Every output of `f` with what an index holds for its key.",
        '[{"id": "a"}] | JOIN({"a": 1}; .[]; .id)',
        ('[{"id":"a"},1]',),
        ARRAY,
    ),
    (
        "def JOIN($index; f; key; joined): f | [., $index[key]] | joined;",
        "As `JOIN` with three arguments, each joined.",
        '[{"id": "a"}] | JOIN({"a": 1}; .[]; .id; .[1])',
        ("1",),
        ANY,
    ),
    (
        'def nth($n; f): if $n < 0 then error("nth doesn\'t support negative indices") else first(skip($n; f)) end;',
        "The output of `f` at a place.",
        "nth(1; 5, 6)",
        ("6",),
        ANY,
    ),
    (
        "def while(condition; update): def step: if condition then ., (update | step) else empty end; step;",
        "The input, its update, and so on, while the condition is true.",
        "[1 | while(. < 10; . * 3)]",
        ("[1,3,9]",),
        ANY,
    ),
    (
        "def until(condition; next): def step: if condition then . else next | step end; step;",
        "The update of the update and so on, until the condition is true.",
        "1 | until(. > 10; . * 3)",
        ("27",),
        ANY,
    ),
    (
        (
            "def truncate_stream(f): . as $depth | null | f | . as $event | if (.[0] | length) > $depth "
            "then setpath([0]; $event[0][$depth:]) else empty end;"
        ),
        "A stream without its first levels.",
        "[1 | truncate_stream([[0], 1], [[1, 0], 2])]",
        ("[[[0],2]]",),
        ARRAY,
    ),
    (
        (
            "def fromstream(f): {value: null, done: false} as $new | foreach f as $event ($new; "
            "(if .done then $new else . end) | if ($event | length) == 2 "
            'then setpath(["done"]; ($event[0] | length) == 0) | setpath(["value"] + $event[0]; $event[1]) '
            'else setpath(["done"]; ($event[0] | length) == 1) end; if .done then .value else empty end);'
        ),
        "The values of a stream.",
        "fromstream([1] | tostream)",
        ("[1]",),
        ANY,
    ),
]

_WRITTEN: list[tuple[str, str, str, tuple[str, ...], frozenset[str], Counting]] = [
    ("empty/0", "No output.", "[empty]", ("[]",), ANY, _maybe),
    ("error/0", "Fails with the input as the error.", 'try ("no" | error) catch .', ('"no"',), ANY, _one),
    ("error/1", "Fails with this error.", 'try error("no") catch .', ('"no"',), ANY, lambda counts: counts[0]),
    ("not/0", "true for null and false, else false.", "[null, 0] | map(not)", ("[true,false]",), BOOLEAN, _one),
    (
        "select/1",
        "The input if the condition is true, else nothing.",
        "[1, 5] | map(select(. > 2))",
        ("[5]",),
        ANY,
        _at_most,
    ),
    ("first/1", "The first output of `f`.", "first(5, 6)", ("5",), ANY, _maybe),
    ("last/1", "The last output of `f`.", "last(5, 6)", ("6",), ANY, _maybe),
    ("limit/2", "The first outputs of `f`.", "[limit(2; 5, 6, 7)]", ("[5,6]",), ANY, _many),
    ("skip/2", "The outputs of `f` without the first ones.", "[skip(1; 5, 6, 7)]", ("[6,7]",), ANY, _many),
    ("recurse/0", "The input and every part of it; also written `..`.", "[[1] | recurse]", ("[[1],1]",), ANY, _many),
    (
        "recurse/1",
        "The input, the outputs of `f`, those of `f` for these, and so on.",
        "[0 | recurse(if . < 2 then . + 1 else empty end)]",
        ("[0,1,2]",),
        ANY,
        _many,
    ),
    ("repeat/1", "The outputs of `f`, again and again.", "[limit(2; repeat(1))]", ("[1,1]",), ANY, _many),
    ("range/1", "The numbers from 0 to below the argument.", "[range(3)]", ("[0,1,2]",), NUMBER, _many),
    ("range/2", "The numbers from the first to below the second.", "[range(2; 4)]", ("[2,3]",), NUMBER, _many),
    (
        "range/3",
        "The numbers from the first to before the second, in steps.",
        "[range(0; 10; 5)]",
        ("[0,5]",),
        NUMBER,
        _many,
    ),
    ("path/1", "The paths of the parts that `f` names.", "path(.a[0])", ('["a",0]',), ARRAY, lambda counts: counts[0]),
    ("isempty/1", "Whether `f` gives nothing.", "isempty(empty)", ("true",), BOOLEAN, _one),
    (
        "walk/1",
        "`f` of every part, from the leaves up.",
        '[1, [2]] | walk(if type == "number" then . + 1 else . end)',
        ("[2,[3]]",),
        ANY,
        _many,
    ),
]


def _written() -> list[Builtin]:
    return [
        Builtin(key, doc, (program, outputs), types, count=count, written=True)
        for key, doc, program, outputs, types, count in _WRITTEN
    ]


def _defined() -> list[Builtin]:
    found = []
    for text, doc, program, outputs, types in _DEFINED:
        function = parse_definitions(text)[0]
        found.append(Builtin(function.key, doc, (program, outputs), types, definition=function))
    return found


ROWS: list[Builtin] = [*_written(), *_defined()]
