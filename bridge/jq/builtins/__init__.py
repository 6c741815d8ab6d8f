"""The table of built-ins. Documentation and checks are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bridge.jq.builtins import containers, definitions, numbers, regexes, texts, times
from bridge.jq.builtins.table import Builtin, table

BUILTINS: Mapping[str, Builtin] = MappingProxyType(
    table(
        containers.ROWS,
        texts.ROWS,
        numbers.ROWS,
        regexes.ROWS,
        times.ROWS,
        definitions.ROWS,
    )
)

__all__ = ["BUILTINS", "Builtin"]
