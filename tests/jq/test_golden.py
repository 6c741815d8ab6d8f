"""What is easily got wrong in jq, each with the answer of libjq 1.8.2."""

from __future__ import annotations

import pytest

from bridge.jq import JqError, tojson_text
from bridge.jq.runtime.values import JSON
from tests.jq.given import outputs

RIGHT: list[tuple[str, JSON, list[str]]] = [
    ("[(1,2)+(10,20)]", None, ["[11,12,21,22]"]),
    ("[nan]|sort|map(isnan)", None, ["[true]"]),
    ("[1,nan,null]|sort", None, ["[null,null,1]"]),
    ("nan < nan", None, ["true"]),
    ("nan == nan", None, ["false"]),
    ("[reduce (1,2,3) as $x (0; if $x == 2 then empty else . + $x end)]", None, ["[3]"]),
    ("reduce (1,2) as $x (0; empty)", None, ["null"]),
    ("[foreach (1,2,3) as $x (0; if $x == 2 then empty else . + $x end)]", None, ["[1,3]"]),
    ('"a" * 0', None, ['""']),
    ('"a" * -1', None, ["null"]),
    ('"ab" * 2.7', None, ['"abab"']),
    ("5.9 % 3.1", None, ["2"]),
    ("[-5 % 3, 5 % -3, 1e300 % 7]", None, ["[-2,2,0]"]),
    (".before.status != .after.status", {"before": None, "after": {"status": "x"}}, ["true"]),
    ("[.[] | .a?]", [1, {"a": 2}], ["[2]"]),
    ("[1 | .a?.b]", None, ["[]"]),
    ("[(false, null, 1) // 42]", None, ["[1]"]),
    ("[(false, null) // (1, 2)]", None, ["[1,2]"]),
    ("[.[0,1][0,1]]", [[1, 2], [3]], ["[1,3,2,null]"]),
    ("[.[0,1:2,3]]", [1, 2, 3], ["[[1,2],[1,2,3],[2],[2,3]]"]),
    ('["a\\(1,2)b\\(3,4)"]', None, ['["a1b3","a2b3","a1b4","a2b4"]']),
    ("[{a:(1,2), b:(3,4)} | [.a,.b]]", None, ["[[1,3],[1,4],[2,3],[2,4]]"]),
    ("[range(0,1;3,4)]", None, ["[0,1,2,0,1,2,3,1,2,1,2,3]"]),
    ("[(true,false) and (true,false)]", None, ["[true,false,false]"]),
    ("[def f($x): x; f(1,2)]", None, ["[1,2,1,2]"]),
    ("[.a = (.a,.b)]", {"a": 1, "b": 2}, ['[{"a":1,"b":2},{"a":2,"b":2}]']),
    (".a |= (1,2)", None, ['{"a":1}']),
    (".a += (1,2)", {"a": 1}, ['{"a":2}', '{"a":3}']),
    ("(.[] | select(. == 2)) |= empty", [1, 2, 3, 2, 4], ["[1,3,4]"]),
    ("(.a | .b) |= empty", {}, ["{}"]),
    (".a = 1 // 2", {}, ['{"a":1}']),
    (".[1:] |= [9]", [1, 2, 3], ["[1,9]"]),
    (".[-1.5]", [1, 2, 3], ["3"]),
    ("[.[nan], .[1e18]]", [1], ["[null,null]"]),
    ("[true == 1, 0 == false, [true] == [1]]", None, ["[false,false,false]"]),
    ("{} < []", None, ["false"]),
    ("1 as $x | 2 as $y | [$x, $y, $__loc__.line]", None, ["[1,2,1]"]),
    ("[limit(1; 1, error)]", None, ["[1]"]),
    ("[limit(0; error)]", None, ["[]"]),
    ("[skip(1; 1, 2, 3), nth(1; 5, 6)]", None, ["[2,3,6]"]),
    ("[first(empty)]", None, ["[]"]),
    ('[1, null, "a", true] | join("-")', None, ['"1--a-true"']),
    ('[] | join(",")', None, ['""']),
    ('"a,b" / ","', None, ['["a","b"]']),
    ('"" / ","', None, ["[]"]),
    ("[1, [2]] - [[2]]", None, ["[1]"]),
    ("[.[] | tostring]", [1, "1", [1], None], ['["1","1","[1]","null"]']),
    ("[.[] | length]", [[1, 2], "añ", {"a": 1}, None, -5], ["[2,2,1,0,5]"]),
    ("[.[] | tonumber?]", ["1", " 1", "1.5", "x", "01", ".5", True], ["[1,1.5,1,0.5]"]),
    ("[.[] | has(0)]", [[1], []], ["[true,false]"]),
    ("to_entries", {"b": 1, "a": 2}, ['[{"key":"b","value":1},{"key":"a","value":2}]']),
    ("keys", {"b": 1, "a": 2}, ['["a","b"]']),
    ("with_entries(.value += 1)", {"a": 1}, ['{"a":2}']),
    ("[.[] as [$a] ?// $a | $a]", [[1], 2], ["[1,2]"]),
    ("[paths]", {"a": [1]}, ['[["a"],["a",0]]']),
    ("del(.[0,2])", [1, 2, 3], ["[2]"]),
    ("del(.[1:], .[0])", [1, 2, 3], ["[]"]),
    ("pick(.a, .b.c)", {"a": 1, "b": {"c": 2, "d": 3}}, ['{"a":1,"b":{"c":2}}']),
    ("path(first(.a, .b))", None, ['["a"]']),
    ("[label $out | 1, break $out, 2]", None, ["[1]"]),
    ("[.[] | (1 / .)?]", [1, 0], ["[1]"]),
    ("unique_by(.a)", [{"a": 1, "b": 1}, {"a": 1, "b": 2}], ['[{"a":1,"b":1}]']),
    ("group_by(.a) | map(length)", [{"a": 1}, {"a": 2}, {"a": 1}], ["[2,1]"]),
    ("[min_by(.a), max_by(.a)]", [{"a": 1, "n": 1}, {"a": 1, "n": 2}], ['[{"a":1,"n":1},{"a":1,"n":2}]']),
    ("9007199254740993 + 1", None, ["9007199254740994"]),
    ("18446744073709551615", None, ["18446744073709551615"]),
    ("18446744073709551615 + 1", None, ["18446744073709552000"]),
    ("[20.0, 1.50, 1e3, 0.1 + 0.2, 100 / 3]", None, ["[20,1.5,1000,0.30000000000000004,33.333333333333336]"]),
    ("[1e1000, -1e1000, nan]", None, ["[1.7976931348623157e+308,-1.7976931348623157e+308,null]"]),
    ("-1 | gmtime | mktime", None, ["-1"]),
    ("8 | [exp10, (3 | exp10)]", None, ["[100000000,1000]"]),
    ('["a\u0000"] | @tsv, @csv, @sh, (.[0] | @html)', None, ['"a\\\\0"', '"\\"a\\\\0\\""', '"\'a\\\\0\'"', '"a\\\\0"']),
    ("[scalb(1; 2.5), scalb(3; 2)]", None, ["[null,12]"]),
    ("[5 / 2 * 2, 6 / 3, 7 / 2]", None, ["[5,2,3.5]"]),
]  # fmt: skip

FAILS: list[tuple[str, JSON, str]] = [
    ("limit(-1; 1, 2)", None, "limit doesn't support negative count"),
    ('(error("x")) // 1', None, "x"),
    ('(1, error("x")) // 3', None, "x"),
    ("1 | .a.b?", None, 'Cannot index number with string ("a")'),
    (".a", [1], 'Cannot index array with string ("a")'),
    (".[0]", {"a": 1}, "Cannot index object with number (0)"),
    (".[]", 1, "Cannot iterate over number (1)"),
    (".[]", None, "Cannot iterate over null (null)"),
    ('1 + "a"', None, 'number (1) and string ("a") cannot be added'),
    ("{} - 1", None, "object ({}) and number (1) cannot be subtracted"),
    ("1 / 0", None, "number (1) and number (0) cannot be divided because the divisor is zero"),
    ("5 % 0.5", None, "number (5) and number (0.5) cannot be divided (remainder) because the divisor is zero"),
    ('-"a"', None, 'string ("a") cannot be negated'),
    (".[-5] = 1", [1], "Out of bounds negative array index"),
    (".[1e9] = 1", [1], "Array index too large"),
    ("path(1)", None, "Invalid path expression with result 1"),
    ("path(1 | .b)", None, 'Invalid path expression near attempt to access element "b" of 1'),
    ("error(null)", None, "null (not a string)"),
    ("error({a: 1})", None, '{"a":1} (not a string)'),
    ('true | .["abcdefghijklmnopqrstuvwxyzabcdefghij"]', None,
     'Cannot index boolean with string ("abcdefghijklmnopqrstuvwx...")'),
    ('{a: "abcdefghijklmnopqrstuvwxyz", b: 1} + [1]', None,
     'object ({"a":"abcdefghijklmnopqrs...}) and array ([1]) cannot be added'),
]  # fmt: skip


@pytest.mark.parametrize(("program", "value", "expected"), RIGHT, ids=[case[0] for case in RIGHT])
def test_it_answers_as_libjq_does(program: str, value: JSON, expected: list[str]) -> None:
    """A program gives what libjq gives, text for text."""
    assert [tojson_text(output) for output in outputs(program, value)] == expected


@pytest.mark.parametrize(("program", "value", "message"), FAILS, ids=[case[0] for case in FAILS])
def test_it_fails_as_libjq_does(program: str, value: JSON, message: str) -> None:
    """An error of indexing, iterating or arithmetic says what libjq says."""
    with pytest.raises(JqError) as caught:
        outputs(program, value)
    assert str(caught.value) == message


def test_a_caught_error_is_its_value() -> None:
    """`catch` is given the value of the error, whatever its type."""
    assert outputs("try error({a: 1}) catch .a") == [1]
    assert outputs("try error(null) catch .") == [None]
    assert outputs('try (1 + "a") catch .') == ['number (1) and string ("a") cannot be added']


def test_values_are_never_changed() -> None:
    """An update makes a copy; the input stays as it was."""
    value = {"a": [1, 2], "b": {"c": 1}}
    outputs(".a[0] = 9 | .b.c += 1 | del(.a[1]) | .a += [3] | map_values(.) | to_entries", value)
    assert value == {"a": [1, 2], "b": {"c": 1}}
