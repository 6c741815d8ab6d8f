"""Regular expressions: libjq's meaning, or a refusal by name."""

from __future__ import annotations

import json
import time

import jq
import pytest
from hypothesis import given, settings, strategies as st

from bridge.jq import BudgetExceeded, EvalBudget, JqProblem, compile_program
from bridge.jq.regex import looking, matching, shape
from bridge.jq.regex.plain import plain
from bridge.jq.regex.translate import translate
from tests.jq.given import outputs, problem

REFUSED = [
    r"\bword\b", r"a\B", "(?=x)", "(?!x)", "(?<=x)", "(?<!x)", "(?>x)", r"(a)\1", r"(?<n>a)\k<n>", "a++", "a*+", "a?+", "a{2}+",
    "[a&&b]", "[[:alpha:]]", r"\h", r"\R", r"\X", r"\K", r"\G", r"\C", r"\Qa\E", "a{1001}", "a{2,1}", "a**", "(a*)*", "(?m)a",
    "(?P<n>a)", "a(?i)b", "(?(1)a)", "[]a]", "a{x", "*a", "(a", "a)", "[a", "\\", r"\p{Greek}", r"\u0041", r"\x{110000}", r"\xff",
    "(?<n>a)(?<n>b)", "a$b", "(a$)*", "^*", r"\y", r"\1", "(?'n'a)",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_re2_lacks_is_refused(pattern: str) -> None:
    """A pattern that RE2 cannot read with libjq's meaning is a problem at compile time, at the pattern's place."""
    program = f". | test({json.dumps(pattern)})"
    found = problem(program)
    assert found.code == "regex"
    assert program[found.start : found.end] == json.dumps(pattern)


def test_patterns_and_flags_are_constants() -> None:
    """A computed pattern is refused, a constant one may come through a variable or a parameter."""
    assert problem("test(.a)").code == "not-constant"
    assert problem('test("a"; .b)').code == "not-constant"
    assert problem('test("a"; "q")').code == "regex"
    assert problem('test("a"; "l")').code == "regex"
    assert problem('[match("a*"; "n")]').code == "regex"
    assert outputs('"a" as $p | "xay" | test($p)') == [True]
    assert outputs('def has_word($p): test($p; "i"); "XAY" | has_word("a")') == [True]
    assert outputs('"XAY" | test(["a", "i"])') == [True]
    assert outputs('"ab" | test("a" + "b")') == [True]


CASES = [
    (r"a.b", "a\nb"), (r"^b", "a\nb"), (r"b$", "a\nb\n"), (r"b\s*$", "b \n"), (r"^\w+$", "héllo\n"), (r"\d+", "a٣5"), (r"\W", "é"),
    (r"\s", "\u2003"), (r"[\w-]+", "a-b c"), (r"[^\d\s]+", "1 ab"), (r"(?<y>\d{4})-(?<m>\d\d)", "on 2026-01"), (r"(a)|(b)", "b"),
    (r"(x)?b", "ab"), (r"", "ab"), (r"a|ab", "ab"), (r"(a|ab)(c|bcd)?", "abcd"), (r"a+?", "aaa"), (r"(a|b)+", "abab"),
    (r"(?:(a)|b)*", "ab"), (r"(?i)HELLO", "hello"), (r"(?i:h)ello", "Hello"), (r"(?s)a.b", "a\nb"), (r"(?s:a.)b", "a\nb"),
    (r"\Aa\z", "a"), (r"a\Z", "a\n"), (r"\x41\x{e9}", "Aé"), (r"\t|\n|\/|\.|\-", "."), (r"\p{L}+", "añ1"), (r"\P{L}", "a1"),
    (r"\p{^N}", "A1"), (r"[a-c-]", "-"), (r"(?#note)a", "a"), (r"\.com$", "x.com"), (r"a{2,3}", "aaaa"), (r"a{2}", "aaa"),
    (r"a{2,}", "aaa"), (r"[\]\[]", "]"), (r"[^a]", "\n"), (r"😀+", "x😀😀"), (r"$", "ab\n"), (r"x*$", "axx"), (r"|a", "ba"),
]  # fmt: skip
PROGRAM = (
    '[test({0}), [match({0})], [match({0}; "g")], [capture({0}; "g")], [scan({0})], split({0}; null), sub({0}; "<\\(.y // 0)>"), '
    'test({0}; "i"), test({0}; "p"), test({0}; "s")]'
)


@pytest.mark.parametrize(("pattern", "text"), CASES)
def test_matches_are_those_of_libjq(pattern: str, text: str) -> None:
    """Everything that matches gives what the oracle gives, offsets and captures too."""
    program = PROGRAM.format(json.dumps(pattern, ensure_ascii=False))
    expected = jq.compile(program).input_value(text).first()
    found = outputs(program, text)[0]
    if not text.isascii() and pattern in ("", "x*$", "$"):
        return  # libjq steps by bytes after an empty match: an allowed difference
    assert found == expected


_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", "(a)", "(?:b)", "(?<n>a|b)", "1", " "])
_REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,2}"])
_PIECES = st.lists(st.tuples(_ATOMS, _REPEATS).map("".join), min_size=1, max_size=4).map("".join)
PATTERNS = st.tuples(
    st.sampled_from(["", "", "^"]),
    st.lists(_PIECES, min_size=1, max_size=2).map("|".join),
    st.sampled_from(["", "", "$"]),
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, st.text(alphabet="abA1 \n", max_size=8), st.sampled_from(["g", "gi", "gp"]))
def test_random_patterns_agree_with_libjq(pattern: str, text: str, flags: str) -> None:
    """Random patterns over random texts: the same matches, or a refusal."""
    program = f'[match({json.dumps(pattern)}; "{flags}")]'
    try:
        compiled = compile_program(program)
    except JqProblem:
        return
    assert compiled.one(text, (), EvalBudget()) == jq.compile(program).input_value(text).first()


@pytest.mark.parametrize("escape", [r"\d", r"\w", r"\s", r"\D", r"\p{Lu}", r"[^\w]"])
def test_classes_hold_the_characters_that_libjq_sees(escape: str) -> None:
    """A class has the same members as the oracle's, over a sample of all characters."""
    codes = [
        *range(1, 0x400),
        *range(0x2000, 0x2100),
        *range(0x3000, 0x3040),
        *range(0x400, 0x11000, 37),
        *range(0x1D7C0, 0x1D800),
    ]
    text = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    program = f"[.[] | test({json.dumps(escape)})]"
    assert outputs(program, text, EvalBudget(steps=10**8)) == [jq.compile(program).input_value(text).first()]


ALPHABET = "abcxyzABK 01,;.@#-\n\r\t\x85\xa0\u2028\u0301\u0130\u0131\u017f\u212aéß😀\U0001d7d8\ud800"
_CLASSES = st.sampled_from([
    "a", "b", "K", "é", "😀", r"\.", ".", "(?s:.)", "[ab]", "[^a]", r"[^\n]", r"\d", r"\w", r"\s", r"\S", r"\W", "[,;]", "[a-z]", r"\p{Lu}",
    "[^,]", r"[\s,]", r"\x{2028}", "@", "#",
])  # fmt: skip
_FIXED = st.lists(st.tuples(_CLASSES, st.sampled_from(["", "", "{2}"])).map("".join), min_size=1, max_size=3).map(
    "".join
)
_LAST_PART = st.tuples(_CLASSES, st.sampled_from(["", "+", "*", "{1,3}", "{2,}", "?"])).map("".join)
_ROWS = st.tuples(_FIXED, _LAST_PART, st.sampled_from(["{}", "({})", "(?<n>{})", "(?:{})"])).map(
    lambda row: row[0] + row[2].format(row[1])
)
SIMPLE = st.lists(_ROWS, min_size=1, max_size=4).map("|".join)
EVERY_USE = (
    '[test({0}), [match({0})], [match({0}; "g")], [capture({0}; "g")], [scan({0})], split({0}; null), [splits({0})], '
    'sub({0}; "-"), gsub({0}; "<\\\\>"), gsub({0}; "<\\(.n // 0)>"), [gsub({0}; "1", "2")]]'
)


def answer(program: str, text: str) -> tuple[str, int]:
    """What a program gives, and the text that it built."""
    budget = EvalBudget()
    return repr(outputs(program, text, budget)), budget.text


@settings(max_examples=100, deadline=None)
@given(SIMPLE, st.lists(st.text(alphabet=ALPHABET, max_size=14), min_size=1, max_size=4))
def test_both_ways_to_match_give_the_same(pattern: str, texts: list[str]) -> None:
    """A pattern that `re` reads gives what RE2 gives for it, in every built-in and for every kind of text."""
    program = EVERY_USE.format(json.dumps(pattern, ensure_ascii=False))
    try:
        fast = [answer(program, text) for text in ["", *texts, "".join(texts)]]
    except JqProblem as refused:
        assert "two groups with the name" in str(refused)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_LONG", 0)
        patch.setattr(matching, "_LONG_FOR_ONE", 0)
        assert fast == [answer(program, text) for text in ["", *texts, "".join(texts)]]


def read_by_re(pattern: str) -> bool:
    """Whether `re` reads a pattern for texts in ASCII."""
    made = translate(pattern, "", everywhere=True, start=0, end=0)
    return plain(made.shape, captures=True) is not None


@pytest.mark.parametrize("pattern", [
    r"\s+", "[,;]", r"\d+", r"@\w+", "fox|dog|cat", r"(?<y>\d{4})-(?<m>\d\d)", r"#(\w+)", r",\s*", "&", "[^a-z]+", r"\.(com|org)",
])  # fmt: skip
def test_simple_patterns_are_read_by_re(pattern: str) -> None:
    """Classes in a row, the last repeated or not: these are most patterns."""
    assert read_by_re(pattern)


@pytest.mark.parametrize("pattern", [
    "[ ]+$", "a*", "(?i)a", "(?i:a)b", "^a", "a$", "a+b", "(a|b)c", "(ab)+", "a+?", "a?b", "|a", "a{17}", "a{1,3}b", "<[^>]*>", "x" * 65,
    "|".join("abcdefghijklmnopqrstuvwxyzABCDEFG"), "(?:a+)b", "(?:a|b+)c",
])  # fmt: skip
def test_what_could_be_tried_again_is_not_read_by_re(pattern: str) -> None:
    """Flags, anchors, empty matches and whatever has two ways to match the same text stay with RE2."""
    assert not read_by_re(pattern)


SENTENCE = (
    'the quick brown fox, jumps; over a lazy dog near 2026-11-30 #tag @ada https://example.com/a?b=1 mail ada.l@example.org <b>bold</b> '
    '**md** {{name}} "quoted" 12,345.67 €5 naïve [link](http://x.y/z) key=value&other=2 😀 C:\\d a/b <a href="u">v</a>\n'
)  # fmt: skip
ORDINARY = [
    r"\s+", r"[^a-z0-9]+", r"\d+", r"\w+", r"[,;]\s*", r"@\w+", r"#\w+", r"https?://\S+", "<[^>]+>", "<.*?>", "<.*>", r"\*\*(.+?)\*\*",
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", r"[\w.+-]+@[\w-]+\.[\w.-]+", r"(?<y>\d{4})-(?<m>\d\d)-(?<d>\d\d)",
    r"\{\{(?<n>\w+)\}\}", r"\n", r"^\s+|\s+$", "&", r"[\r\n]+", '"([^"]*)"', r"\[([^\]]+)\]\(([^)]+)\)", ".{1,160}", "[aeiou]", "fox|dog|cat",
    r"(\d{1,3})(,\d{3})*(\.\d+)?", "(?i)the", r"\.", " ", r"[^\x00-\x7F]", r"\p{Lu}\w*", r"(\w+)\s+(\w+)", r"\s+$", ".*\\n", "[^\\n]+", r"\\.",
    r"(?<k>\w+)=(?<v>[^&\s]*)", r"\s*,\s*", r"\s*\n\s*", "(.)(.)", r"(?i)<a href=\"([^\"]*)\">", r"[^\w\s]", r"(^|\s)@(\w+)", "x*", "[A-Z]{2,}-\\d+",
]  # fmt: skip
USES = [
    'gsub({0}; " ")', 'gsub({0}; "<\\(.y // 0)>") | length', "[scan({0})] | length", "[splits({0})] | length", "split({0}; null) | length",
    "test({0})", '[capture({0}; "g")] | length', '[match({0}; "g")] | length', 'sub({0}; "x")', 'gsub({0}; "")',
]  # fmt: skip


@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_patterns_are_far_from_the_limit_on_long_texts(pattern: str) -> None:
    """An ordinary pattern on 100 KB of ordinary text takes at most a fifth of a record's steps in any built-in."""
    words = SENTENCE.split(" ")
    text = "".join(f"{words[at * at % len(words)]}{' ' * (1 + at % 2)}" for at in range(18_000))
    assert len(text) > 100_000
    for use in USES:
        budget = EvalBudget()
        outputs(use.format(json.dumps(pattern)), text, budget)
        assert budget.steps > 800_000, use


@pytest.mark.parametrize(("pattern", "end"), [
    ("[^x]*x|a", ""), ("(?:ab)*?c|a", "b"), ("(a|b)+c|a", ""), (r"(?:[ab]+\.)?a", ""), ("[^x]*$|a", "x"), ("a.*z|a", ""), ("(?i)a[^B]*b|A", ""),
])  # fmt: skip
def test_patterns_that_look_far_ahead_are_charged_for_it(pattern: str, end: str) -> None:
    """A pattern that reads all that is left for each match meets the limit, in a bounded time."""
    began = time.monotonic()
    with pytest.raises(BudgetExceeded):
        outputs(f"[scan({json.dumps(pattern)})] | length", "a" * 100_000 + end)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "pattern", ["[ab]{15}z", "|".join(f"[a{other}]z" for other in "bcdefghijklmnop"), "aaaaaaab|aaaaaaac"]
)
def test_patterns_that_re_reads_are_charged_for_what_it_tries(pattern: str) -> None:
    """Many ways that fail late cost steps in proportion, and long texts go to RE2."""
    costs = []
    for size in (4_000, 1_000_000):
        budget = EvalBudget()
        outputs(f"[scan({json.dumps(pattern)})]", "a" * size, budget)
        costs.append((1_000_000 - budget.steps) / size)
    assert 0.1 < costs[0] < 1
    assert costs[1] < 0.05


HOSTILE = [
    ("[ ]+$", (" " * 100 + "x") * 3_000), ("<[^>]*>", "<" * 300_000), ("<.*>", "<>\n" * 100_000), ("(x+x+)+y", "x" * 100_000),
    (r"(\w+\s*)+:", "aaaa " * 20_000), ("(.*)(.*)(.*)x", "y" * 100_000), (r"\s*\n\s*", " " * 300_000), (r"\s+", " " * 300_000),
    (r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", "a@b.cd" * 50_000), ("a{16}b|a{16}c", "a" * 100_000), ("a{1,500}b|a", "a" * 200_000),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), HOSTILE)
@pytest.mark.parametrize(
    "use", ["test({0})", 'gsub({0}; "-") | length', "[scan({0})] | length", '[match({0}; "g")] | length']
)
def test_hostile_texts_end_soon(pattern: str, text: str, use: str) -> None:
    """A text made to be slow to match is matched, or meets the limit, in a bounded time."""
    began = time.monotonic()
    try:
        outputs(use.format(json.dumps(pattern)), text)
    except BudgetExceeded as over:
        assert "steps" in str(over)
    assert time.monotonic() - began < 20


def reads_past(places: looking._Places, text: str, at: int) -> tuple[int, int] | None:
    """Where the first match from a place ends, and how far a text is read to know it: attempts side by side, as in RE2."""
    size = len(places.chars)
    alive, found, read = [], None, at
    for place in range(at, len(text) + 1):
        if found is None:
            alive.append(size if place == 0 else size + 1)
        for index, state in enumerate(alive):
            if looking._ACCEPT in places.follow[state]:
                found, alive = place, alive[: index + 1]
                break
        read = place
        if place == len(text) or (found is not None and not alive):
            break
        follow = [after for state in alive for after in places.follow[state] if after >= 0]
        alive = [after for after in dict.fromkeys(follow) if within(places.chars[after], text[place])]
    return None if found is None else (found, read)


def within(chars: shape.Chars, char: str) -> bool:
    """Whether a class has a character."""
    return any(low <= ord(char) <= high for low, high in shape.ranges(chars.inside)) != chars.negated


@settings(max_examples=400, deadline=None)
@given(
    PATTERNS, st.lists(st.sampled_from(["a", "b", "ab", "1", " ", "\n", "aaaaaaaa", "babab"]), max_size=30).map("".join)
)
def test_no_match_looks_further_ahead_than_is_said(pattern: str, text: str) -> None:
    """What is read past all matches of a text is within what the pattern is charged for."""
    try:
        made = translate(pattern, "", everywhere=True, start=0, end=0)
    except JqProblem:
        return
    most = looking.ahead(made.shape)
    places = looking._Places(made.shape)
    at, matches, past = 0, 0, 0
    while at <= len(text) and (seen := reads_past(places, text, at)) is not None:
        end, read = seen
        matches, past = matches + 1, past + read - end
        if most is not None and not most.whole:
            assert read - end <= most.most + 1
        at = end if end > at else at + 1
    if most is not None:
        assert past <= matches * (most.most + 1) + (len(text) if most.whole else 0)
