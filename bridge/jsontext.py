"""JSON text in and out: the only module that imports orjson."""

from __future__ import annotations

from orjson import OPT_INDENT_2, OPT_SORT_KEYS, Fragment, JSONDecodeError, dumps, loads

__all__ = ["OPT_INDENT_2", "OPT_SORT_KEYS", "Fragment", "JSONDecodeError", "dumps", "loads"]
