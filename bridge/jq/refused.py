"""What libjq has and this engine refuses by name, with the reason. The documentation is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_OUTSIDE = "it reaches outside the record"
_CLOCK = "the same record must give the same result whenever it is read"
_MACHINE = "its result depends on the machine"
_LIBM = "its last digit differs between machines"
_MODULES = "there are no modules: functions live in `defs`"
_ABOUT = "it is about the jq program, not about the record"

_NAMES: dict[str, str] = {
    "env": _OUTSIDE,
    "$ENV": _OUTSIDE,
    "$__prog_args": _OUTSIDE,
    "input": _OUTSIDE,
    "inputs": _OUTSIDE,
    "input_filename": _OUTSIDE,
    "input_line_number": _OUTSIDE,
    "debug": _OUTSIDE,
    "stderr": _OUTSIDE,
    "halt": _OUTSIDE,
    "halt_error": _OUTSIDE,
    "now": _CLOCK,
    "localtime": _MACHINE + ': write `format_time(…; "Europe/Paris")`',
    "strflocaltime": _MACHINE + ': write `format_time(…; "Europe/Paris")`',
    "have_decnum": _MACHINE,
    "have_literal_numbers": _MACHINE,
    "import": _MODULES,
    "include": _MODULES,
    "modulemeta": _MODULES,
    "get_search_list": _MODULES,
    "get_jq_origin": _MODULES,
    "get_prog_origin": _MODULES,
    "builtins": _ABOUT,
}
_FLOATING = (
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh drem erf erfc expm1 fdim fma gamma hypot j0 j1 jn lgamma "
    "lgamma_r log1p nextafter nexttoward remainder sin sinh tan tanh tgamma y0 y1 yn"
)
_NAMES.update(dict.fromkeys(_FLOATING.split(), _LIBM))

REFUSED: Mapping[str, str] = MappingProxyType(_NAMES)
