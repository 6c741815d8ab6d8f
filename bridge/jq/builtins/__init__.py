"""The table of built-ins. Documentation and checks are made from it.

A new one is a row in one of these files; nothing else knows it. A row has the documentation, an example that is tested
here and against libjq, the types of its outputs, and what it does: a Python function (`run`), a definition in jq (in
`definitions.py`), or, where arguments must be constants that are checked with the program, what makes the function of
them (`prepare`, as in `times.py`). Only one that must be code of its own is also written in `emit/builtins.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bridge.jq.builtins import containers, definitions, numbers, regexes, texts, times
from bridge.jq.builtins.table import Builtin, table

BUILTINS: Mapping[str, Builtin] = MappingProxyType(
    table(containers.ROWS, texts.ROWS, numbers.ROWS, regexes.ROWS, times.ROWS, definitions.ROWS)
)

__all__ = ["BUILTINS", "Builtin"]
