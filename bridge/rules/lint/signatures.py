"""Which types built-ins take: what they can work on, and what they want as arguments. A test tries each on the engine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.jq.builtins.table import ARRAY, BOOLEAN, NULL, NUMBER, OBJECT, STRING

__all__ = ["ARGUMENTS", "INPUTS", "OF_ELEMENTS", "OPERATORS", "Types"]

Types = frozenset[str]

_ELEMENTS: Final = ARRAY | OBJECT
_TIME: Final = NUMBER | ARRAY

_BY_TYPES: Final[dict[Types, str]] = {
    STRING: (
        "ascii_downcase/0 ascii_upcase/0 trim/0 ltrim/0 rtrim/0 ltrimstr/1 rtrimstr/1 trimstr/1 explode/0 fromjson/0 "
        "startswith/1 endswith/1 split/1 split/2 splits/1 splits/2 test/1 test/2 match/1 match/2 capture/1 capture/2 "
        "scan/1 scan/2 sub/2 sub/3 gsub/2 gsub/3 utf8bytelength/0 strptime/1 fromdate/0 fromdateiso8601/0 parse_time/0"
    ),
    NUMBER: (
        "floor/0 ceil/0 round/0 trunc/0 rint/0 nearbyint/0 fabs/0 sqrt/0 exp/0 exp2/0 exp10/0 log/0 log2/0 log10/0 "
        "fixed/1 gmtime/0"
    ),
    _TIME: "todate/0 todateiso8601/0 strftime/1 format_time/2",
    ARRAY: "sort/0 sort_by/1 group_by/1 unique/0 unique_by/1 min/0 max/0 min_by/1 max_by/1 implode/0 mktime/0",
    _ELEMENTS: (
        "keys/0 keys_unsorted/0 to_entries/0 with_entries/1 from_entries/0 map/1 map_values/1 add/0 any/0 all/0 any/1 "
        "all/1 flatten/0 flatten/1 join/1"
    ),
    STRING | NUMBER: "tonumber/0",
    STRING | BOOLEAN: "toboolean/0",
    STRING | NUMBER | ARRAY | OBJECT | NULL: "length/0",
    ARRAY | NULL: "first/0 last/0 nth/1",
    _ELEMENTS | NULL: "has/1",
}

INPUTS: Final[Mapping[str, Types]] = MappingProxyType(
    {key: types for types, keys in _BY_TYPES.items() for key in keys.split()}
)
"""Built-in → the types that it can work on; for every other type it fails."""

ARGUMENTS: Final[Mapping[str, tuple[Types, ...]]] = MappingProxyType(
    {
        "startswith/1": (STRING,),
        "endswith/1": (STRING,),
        "ltrimstr/1": (STRING,),
        "rtrimstr/1": (STRING,),
        "split/1": (STRING,),
        "has/1": (STRING | NUMBER,),
        "fixed/1": (NUMBER,),
        "pow/2": (NUMBER, NUMBER),
        "getpath/1": (ARRAY,),
        "delpaths/1": (ARRAY,),
    }
)
"""Built-in → the types that its arguments may have."""

_SEE_ELEMENTS: Final = (
    "map/1 map_values/1 with_entries/1 sort_by/1 group_by/1 unique_by/1 min_by/1 max_by/1 any/1 all/1 walk/1 recurse/1 "
    "recurse/2 paths/1 INDEX/1 repeat/1 while/2 until/2 JOIN/2 JOIN/3 JOIN/4 in/1"
)
OF_ELEMENTS: Final = frozenset(_SEE_ELEMENTS.split())
"""Built-ins whose arguments see something else than their input."""

OPERATORS: Final[Mapping[str, tuple[tuple[Types, Types, Types], ...]]] = MappingProxyType(
    {
        "+": ((NUMBER, NUMBER, NUMBER), (STRING, STRING, STRING), (ARRAY, ARRAY, ARRAY), (OBJECT, OBJECT, OBJECT)),
        "-": ((NUMBER, NUMBER, NUMBER), (ARRAY, ARRAY, ARRAY)),
        "*": (
            (NUMBER, NUMBER, NUMBER),
            (STRING, NUMBER, STRING | NULL),
            (NUMBER, STRING, STRING | NULL),
            (OBJECT, OBJECT, OBJECT),
        ),
        "/": ((NUMBER, NUMBER, NUMBER), (STRING, STRING, ARRAY)),
        "%": ((NUMBER, NUMBER, NUMBER),),
    }
)
"""Operator → (left, right, result); `+` also takes null on either side, which changes nothing."""
