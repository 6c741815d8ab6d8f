"""`${ }` in text."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bridge.jq import closing_brace
from bridge.rules.read.expressions import Piece, TextError, forgotten, split


def shown(text: str, *, block: bool = False) -> list[tuple[bool, str]]:
    return [(piece.code, piece.text) for piece in split(text, closing_brace, block=block)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("plain", [(False, "plain")]),
        ("${ .a }", [(True, " .a ")]),
        ("${.a}-${.b}", [(True, ".a"), (False, "-"), (True, ".b")]),
        ("x ${ .a } y", [(False, "x "), (True, " .a "), (False, " y")]),
        ('${ "}" }', [(True, ' "}" ')]),
        ('${ "\\"}" }', [(True, ' "\\"}" ')]),
        ("${ {a: {b: 1}} }", [(True, " {a: {b: 1}} ")]),
        ('${ "\\({a: "}"})" }', [(True, ' "\\({a: "}"})" ')]),
        ("${ .a # } no\n }", [(True, " .a # } no\n ")]),
        ("$${ .a }", [(False, "${ .a }")]),
        ("$$${ .a }", [(False, "$${ .a }")]),
        ("$5 {x} }", [(False, "$5 {x} }")]),
        ("a $${b} ${ .c }", [(False, "a ${b} "), (True, " .c ")]),
    ],
)
def test_split(text: str, pieces: list[tuple[bool, str]]) -> None:
    """Decision 2: an expression ends at the first `}` outside strings, comments and inner braces; `$${` is literal."""
    assert shown(text) == pieces


def test_a_block_drops_white_space_around_a_lone_expression() -> None:
    """Decision 2: in a block, white space around the only `${ }` is dropped; elsewhere it makes the value text."""
    assert shown("\n${ .a }\n", block=True) == [(True, " .a ")]
    assert shown(" ${ .a }", block=False) == [(False, " "), (True, " .a ")]
    assert shown("${ .a }${ .b }\n", block=True) == [(True, " .a "), (True, " .b "), (False, "\n")]
    assert shown("x ${ .a }\n", block=True) == [(False, "x "), (True, " .a "), (False, "\n")]


@pytest.mark.parametrize("text", ["${", "a ${ .b", '${ "}', "${ {a: 1 }", "${}", "x ${  } y"])
def test_an_expression_without_end_or_content_is_a_problem(text: str) -> None:
    """A `${` that is never closed, or holds nothing, is named with its place; a text in it that is not closed, too."""
    with pytest.raises(TextError) as caught:
        split(text, closing_brace)
    assert text[caught.value.start :].startswith('"' if '"' in text else "${")


@given(
    st.lists(st.one_of(st.text(alphabet="ab $}{\"'\n.", max_size=5), st.sampled_from(["${ .a }", '${ "}" }', "$${"])))
)
def test_pieces_cover_the_text(parts: list[str]) -> None:
    """Every piece lies where it says, in order, and no expression is empty; or the text is refused."""
    text = "".join(parts)
    try:
        pieces = split(text, closing_brace)
    except TextError as problem:
        assert 0 <= problem.start <= problem.end <= len(text)
        return
    position = 0
    for piece in pieces:
        assert piece.start == position + (2 if piece.code else 0)
        position = piece.end + (1 if piece.code else 0)
        written = text[piece.start : piece.end]
        assert piece.text == (written if piece.code else written.replace("$${", "${"))
        assert not piece.code or piece.text.strip()
    assert position == len(text)


@given(st.text(alphabet="abc .-é", min_size=1), st.text(alphabet="abc .-é"))
def test_literals_and_expressions_come_back(before: str, after: str) -> None:
    """Text around an expression comes back exactly, whatever it is."""
    assert "".join(text for _code, text in shown(f"{before}${{ .x }}{after}")) == f"{before} .x {after}"


@pytest.mark.parametrize("text", [".customer.id", " .a", "$item", "$item.user_id", ".[0]", '."a b"', "Hi {{ name }}"])
def test_forgotten(text: str) -> None:
    """Text that begins like a path or a variable, or holds `{{`, was probably meant to be an expression."""
    assert forgotten(split(text, closing_brace)) is not None


@pytest.mark.parametrize("text", ["web", "a.b", "...", "$5", ". And", ".5", "{x}", "it costs $price", "${ .a }"])
def test_not_forgotten(text: str) -> None:
    """Ordinary text is left alone."""
    assert forgotten(split(text, closing_brace)) is None


def test_pieces_are_values() -> None:
    """A piece compares by what it holds."""
    assert split("a", closing_brace) == [Piece(code=False, text="a", start=0, end=1)]
