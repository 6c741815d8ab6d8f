"""Every built-in: its example, and that libjq has no other that is neither here nor refused."""

from __future__ import annotations

import json

import jq
import pytest

from bridge.jq import JqError, tojson_text
from bridge.jq.builtins import BUILTINS, Builtin
from bridge.jq.refused import REFUSED
from bridge.jq.runtime.formats import FORMATS
from bridge.jq.runtime.values import JSON, type_name
from tests.jq.given import outputs, problem

PUBLIC = [builtin for builtin in BUILTINS.values() if not builtin.private]


@pytest.mark.parametrize("builtin", PUBLIC, ids=[builtin.key for builtin in PUBLIC])
def test_the_example_is_true(builtin: Builtin) -> None:
    """The documentation's example gives what it says, and outputs of the types that are declared."""
    program, expected = builtin.example
    found = outputs(program)
    assert tuple(tojson_text(output) for output in found) == expected
    assert builtin.doc.endswith((".", ";"))
    assert builtin.name in program or builtin.name == "recurse"


@pytest.mark.parametrize("builtin", [b for b in PUBLIC if not b.ours], ids=[b.key for b in PUBLIC if not b.ours])
def test_the_example_is_true_of_libjq(builtin: Builtin) -> None:
    """The oracle says the same of every example."""
    program, expected = builtin.example
    found = jq.compile(f"[{program}] | tojson").input_value(None).first()
    assert json.loads(found) == [json.loads(text) for text in expected]


def test_libjq_has_nothing_else() -> None:
    """Every function of libjq 1.8.2 is a built-in here or refused by name; ours are not libjq's."""
    theirs = set(jq.compile("builtins").input_value(None).first())
    ours = {builtin.key for builtin in PUBLIC if not builtin.ours}
    missing = {key for key in theirs - ours if key.partition("/")[0] not in REFUSED}
    assert missing == set()
    assert ours - theirs == {"format_time/2"} & ours
    assert not {builtin.key for builtin in PUBLIC if builtin.ours} & theirs


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused_says_why(name: str) -> None:
    """A refused name is a problem at compile time with its reason."""
    program = name if name.startswith("$") or name not in ("import", "include") else f'{name} "a"; .'
    found = problem(program)
    assert found.code == "refused"


KINDS: list[JSON] = [None, True, 5, "ab", [1, "a"], {"a": 1}]


@pytest.mark.parametrize("key", [b.key for b in PUBLIC if b.run is not None])
def test_declared_types_hold(key: str) -> None:
    """A built-in gives only values of its declared types, whatever it is given."""
    builtin = BUILTINS[key]
    args = "; ".join(["$__loc__.line"] * builtin.arity)
    call = f"limit(5; {builtin.name}{f'({args})' if args else ''})"
    for value in KINDS:
        try:
            found = outputs(call, value)
        except JqError:
            continue
        assert {type_name(output) for output in found} <= builtin.types


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("value", ["a'b \"<&>é😀", "YWI=", 1.5, None, [1, 'a"b', None, True], "%41%C3"])
def test_formats_are_those_of_libjq(name: str, value: JSON) -> None:
    """`@name` gives the same text as the oracle, or fails as it does."""
    program = f'try [@{name}, @{name} "-\\(.)-"] catch null'
    assert outputs(program, value) == [jq.compile(program).input_value(value).first()]


def test_fixed_rounds_as_people_do() -> None:
    """`fixed` gives exactly n decimals, half away from zero, of the number as it is written."""
    cases = [
        (1.005, 2, "1.01"),
        (2.5, 0, "3"),
        (-2.5, 0, "-3"),
        (10, 2, "10.00"),
        (-0.001, 2, "0.00"),
        (1e21, 1, "1000000000000000000000.0"),
    ]
    for number, digits, text in cases:
        assert outputs(f"fixed({digits})", number) == [text]
    for program in ("fixed(-1)", "fixed(1.5)", "fixed(101)", 'fixed("2")'):
        with pytest.raises(JqError):
            outputs(program, 1.5)
    with pytest.raises(JqError):
        outputs("fixed(2)", "1.5")
