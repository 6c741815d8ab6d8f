"""`suprsend-bridge eval`: what it prints and how it ends, as a real process."""

from __future__ import annotations

import subprocess
import sys

Ended = tuple[int, str, str]


def ran(*args: str, given: str = "") -> Ended:
    """Exit code, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli.eval", *args],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_values_are_read_and_results_printed_one_per_line() -> None:
    """JSON values with any white space between them; results as `jq -c` prints them."""
    code, out, err = ran(".a, {b: .a}", given=' {"a": 1.0}{"a":\n"ü"}\n')
    assert (code, out, err) == (0, '1\n{"b":1}\n"ü"\n{"b":"ü"}\n', "")


def test_a_run_time_error_does_not_stop_the_others() -> None:
    """An error goes to standard error, the next input is read, the exit code is 5."""
    code, out, err = ran(".a", given='{"a":1} 5 {"a":2}')
    assert (code, out) == (5, "1\n2\n")
    assert err == 'bridge: error: Cannot index number with string ("a")\n'


def test_a_program_that_does_not_compile_is_shown_with_its_place() -> None:
    """Line, column, caret and hint; exit code 3, also for what is refused."""
    code, out, err = ran(".a\n | .b && .c", given="1")
    assert (code, out) == (3, "")
    assert err == "bridge: error: 2:7: `&&` is not an operator of jq\n   | .b && .c\n        ^^\n  write `and`\n"
    assert ran("$ENV", given="1")[0] == 3


def test_input_that_is_no_json_ends_with_2() -> None:
    """What came before it is still printed."""
    for given in ("1 {", '1 "\\ud800"', "1 nope"):
        code, out, err = ran(".", given=given)
        assert (code, out) == (2, "1\n")
        assert err.startswith("bridge: error: standard input is not JSON")


def test_an_expression_may_begin_with_a_minus() -> None:
    """`-1` and `-(.a)` are no options; the place of a mistake in them is right."""
    assert ran("-(.a)", given='{"a": 2}')[:2] == (0, "-2\n")
    assert ran("-n", "-1")[:2] == (0, "-1\n")
    assert "error: 1:4: `&&`" in ran("-1 && 2", given="1")[2]


def test_a_variable_without_a_value_says_how_to_give_it_one() -> None:
    """The hint is the option."""
    assert "--arg key text" in ran("$key", given="1")[2]


def test_variables_and_options() -> None:
    """`--arg` and `--argjson` bind variables, `-n` reads nothing, `-r` prints texts bare."""
    code, out, _ = ran("-n", "-r", '"\\($x)-\\($y.a)"', "--arg", "x", "1", "--argjson", "y", '{"a": 2}')
    assert (code, out) == (0, "1-2\n")
    assert ran("-n", "$x", "--argjson", "x", "{")[0] == 2
    assert ran("-n", "1", "--arg", "x")[0] == 2
