"""Built-ins on numbers: those whose results are the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable

from bridge.jq.builtins.table import ANY, ARRAY, BOOLEAN, NUMBER, Builtin
from bridge.jq.problems import JqError
from bridge.jq.runtime.arith import described, negate
from bridge.jq.runtime.values import JSON, compare, fitted, whole

_NUMBERS = (int, float)
_EXACT_BITS = 64
_TINY = 2.0**-1022


def _number(value: JSON) -> float:
    if type(value) not in _NUMBERS:
        raise JqError(f"{described(value)} number required")
    number: float = value
    return number


def _rounding(operate: Callable[[float], float]) -> Callable[[JSON], JSON]:
    """A function that leaves integers as they are."""

    def run(value: JSON) -> JSON:
        number = _number(value)
        if type(number) is int or not math.isfinite(number):
            return number
        return fitted(int(operate(number))) if abs(number) < 2.0**63 else whole(number)

    return run


def _away(number: float) -> float:
    """To the nearest integer, halves away from zero."""
    low = math.floor(abs(number))
    return math.copysign(low + (abs(number) - low >= 0.5), number)


def _of(operate: Callable[[float], float]) -> Callable[[JSON], JSON]:
    """A function of a double; nan where it has no value, infinity where it overflows."""

    def run(value: JSON) -> JSON:
        number = float(_number(value))
        try:
            return whole(operate(number))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _of_two(operate: Callable[[float, float], float]) -> Callable[[JSON, JSON, JSON], JSON]:
    def run(_: JSON, a: JSON, b: JSON) -> JSON:
        left, right = float(_number(a)), float(_number(b))
        try:
            return whole(operate(left, right))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _log(number: float, of: Callable[[float], float]) -> float:
    return -math.inf if number == 0 else of(number)


def power(_: JSON, base: JSON, exponent: JSON) -> JSON:
    """`pow(base; exponent)`: exact for integers that fit into 64 bits."""
    a, b = _number(base), _number(exponent)
    if type(a) is int and type(b) is int and b >= 0 and (abs(a) <= 1 or b <= _EXACT_BITS):
        return fitted(a**b)
    try:
        return whole(math.pow(float(a), float(b)))
    except OverflowError:
        return -math.inf if a < 0 and float(b) % 2 == 1 else math.inf
    except ValueError:
        if a == 0:
            return math.inf
        return math.nan


def _scaled(number: float, exponent: float) -> float:
    if not math.isfinite(exponent):
        return math.nan if exponent != exponent else (number * exponent if exponent > 0 else number * 0.0)  # noqa: PLR0124
    try:
        return math.ldexp(number, int(max(min(exponent, 10_000), -10_000)))
    except OverflowError:
        return math.copysign(math.inf, number)


def ldexp(_: JSON, number: JSON, exponent: JSON) -> JSON:
    """`ldexp(number; exponent)`."""
    return whole(_scaled(float(_number(number)), float(_number(exponent))))


def scalb(_: JSON, number: JSON, exponent: JSON) -> JSON:
    """`scalb(number; exponent)`: nan for an exponent that is not whole, as in C."""
    mantissa, power = float(_number(number)), float(_number(exponent))
    return whole(_scaled(mantissa, power if math.isinf(power) or power % 1 == 0 else math.nan))


def frexp(value: JSON) -> list[JSON]:
    """Mantissa and exponent."""
    mantissa, exponent = math.frexp(float(_number(value)))
    return [whole(mantissa), exponent]


def modf(value: JSON) -> list[JSON]:
    """Fraction and whole part."""
    fraction, rest = math.modf(float(_number(value)))
    return [whole(fraction), whole(rest)]


def _exponent(number: float) -> float:
    if number == 0:
        return -math.inf
    if not math.isfinite(number):
        return abs(number)
    return float(math.frexp(number)[1] - 1)


def _significand(number: float) -> float:
    if number == 0 or not math.isfinite(number):
        return number
    return math.frexp(number)[0] * 2


def absolute(value: JSON) -> JSON:
    """The value without its sign; what is not below zero as it is."""
    return negate(value) if compare(value, 0) < 0 else value


def _smaller(a: float, b: float) -> float:
    return b if a != a else a if b != b else min(a, b)  # noqa: PLR0124 - nan


def _larger(a: float, b: float) -> float:
    return b if a != a else a if b != b else max(a, b)  # noqa: PLR0124 - nan


def infinite(_: JSON) -> float:
    """Infinity."""
    return math.inf


def not_a_number(_: JSON) -> float:
    """nan."""
    return math.nan


def is_infinite(value: JSON) -> bool:
    """Whether it is an infinity."""
    return type(value) is float and math.isinf(value)


def is_nan(value: JSON) -> bool:
    """Whether it is nan."""
    return type(value) is float and value != value  # noqa: PLR0124 - nan


def is_normal(value: JSON) -> bool:
    """Whether it is a number other than zero, an infinity, nan or a subnormal one."""
    return type(value) in _NUMBERS and math.isfinite(value) and abs(value) >= _TINY


def is_finite(value: JSON) -> bool:
    """Whether it is a number and no infinity (nan counts as one that is not infinite)."""
    return type(value) in _NUMBERS and not is_infinite(value)


ROWS: list[Builtin] = [
    Builtin("floor/0", "The next integer below.", ("-1.5 | floor", ("-2",)), NUMBER, _rounding(math.floor)),
    Builtin("ceil/0", "The next integer above.", ("1.2 | ceil", ("2",)), NUMBER, _rounding(math.ceil)),
    Builtin(
        "round/0", "The nearest integer, halves away from zero.", ("2.5 | round", ("3",)), NUMBER, _rounding(_away)
    ),
    Builtin("trunc/0", "The integer without the fraction.", ("-1.7 | trunc", ("-1",)), NUMBER, _rounding(math.trunc)),
    Builtin("rint/0", "The nearest integer, halves to the even one.", ("2.5 | rint", ("2",)), NUMBER, _rounding(round)),
    Builtin(
        "nearbyint/0",
        "The nearest integer, halves to the even one.",
        ("2.5 | nearbyint", ("2",)),
        NUMBER,
        _rounding(round),
    ),
    Builtin("fabs/0", "The value without its sign.", ("-1.5 | fabs", ("1.5",)), NUMBER, _of(abs)),
    Builtin("abs/0", "The value without its sign.", ("-1.5 | abs", ("1.5",)), ANY, absolute),
    Builtin("sqrt/0", "The square root.", ("9 | sqrt", ("3",)), NUMBER, _of(math.sqrt)),
    Builtin("pow/2", "`pow(x; y)`: x to the power of y.", ("pow(2; 10)", ("1024",)), NUMBER, power),
    Builtin("exp/0", "e to this power.", ("0 | exp", ("1",)), NUMBER, _of(math.exp)),
    Builtin("exp2/0", "2 to this power.", ("3 | exp2", ("8",)), NUMBER, _of(math.exp2)),
    Builtin("exp10/0", "10 to this power.", ("2 | exp10", ("100",)), NUMBER, _of(lambda x: math.pow(10.0, x))),
    Builtin("log/0", "The natural logarithm.", ("1 | log", ("0",)), NUMBER, _of(lambda x: _log(x, math.log))),
    Builtin("log2/0", "The logarithm to base 2.", ("8 | log2", ("3",)), NUMBER, _of(lambda x: _log(x, math.log2))),
    Builtin(
        "log10/0", "The logarithm to base 10.", ("100 | log10", ("2",)), NUMBER, _of(lambda x: _log(x, math.log10))
    ),
    Builtin(
        "fmod/2",
        "`fmod(x; y)`: the remainder with the sign of x.",
        ("fmod(5.5; 2)", ("1.5",)),
        NUMBER,
        _of_two(math.fmod),
    ),
    Builtin("fmin/2", "The smaller of two numbers.", ("fmin(1; 2)", ("1",)), NUMBER, _of_two(_smaller)),
    Builtin("fmax/2", "The larger of two numbers.", ("fmax(1; 2)", ("2",)), NUMBER, _of_two(_larger)),
    Builtin(
        "copysign/2",
        "`copysign(x; y)`: x with the sign of y.",
        ("copysign(1; -2)", ("-1",)),
        NUMBER,
        _of_two(math.copysign),
    ),
    Builtin("ldexp/2", "`ldexp(x; n)`: x times 2 to the power of n.", ("ldexp(3; 2)", ("12",)), NUMBER, ldexp),
    Builtin("scalb/2", "`scalb(x; n)`: x times 2 to the power of n.", ("scalb(3; 2)", ("12",)), NUMBER, scalb),
    Builtin("scalbln/2", "`scalbln(x; n)`: x times 2 to the power of n.", ("scalbln(3; 2)", ("12",)), NUMBER, ldexp),
    Builtin("frexp/0", "Mantissa and exponent.", ("8 | frexp", ("[0.5,4]",)), ARRAY, frexp),
    Builtin("modf/0", "Fraction and whole part.", ("1.5 | modf", ("[0.5,1]",)), ARRAY, modf),
    Builtin("logb/0", "The exponent to base 2.", ("8 | logb", ("3",)), NUMBER, _of(_exponent)),
    Builtin(
        "significand/0", "The mantissa between 1 and 2.", ("10 | significand", ("1.25",)), NUMBER, _of(_significand)
    ),
    Builtin("infinite/0", "Infinity.", ("infinite | isinfinite", ("true",)), NUMBER, infinite),
    Builtin("nan/0", "Not a number.", ("nan | isnan", ("true",)), NUMBER, not_a_number),
    Builtin("isinfinite/0", "Whether it is an infinity.", ("1 | isinfinite", ("false",)), BOOLEAN, is_infinite),
    Builtin("isnan/0", "Whether it is nan.", ("1 | isnan", ("false",)), BOOLEAN, is_nan),
    Builtin(
        "isnormal/0",
        "Whether it is a normal number: not 0, no infinity, not nan.",
        ("1 | isnormal", ("true",)),
        BOOLEAN,
        is_normal,
    ),
    Builtin("isfinite/0", "Whether it is a number and no infinity.", ("1 | isfinite", ("true",)), BOOLEAN, is_finite),
]
