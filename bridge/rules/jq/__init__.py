"""jq, compiled to Python: expressions of rules become functions over plain JSON values.

    budget = Budget()
    program = compile_program('.total / 100', variables=("key",))
    program.one({"total": 1999}, ("some key",), budget)      # 19.99; raises JqError

Semantics are those of libjq 1.8.2 but for the documented differences. Nothing in here knows of rules.
"""

from __future__ import annotations

from bridge.rules.jq.budget import Budget
from bridge.rules.jq.lexer import closing_brace
from bridge.rules.jq.nodes import Node
from bridge.rules.jq.parser import parse
from bridge.rules.jq.problems import BudgetExceeded, JqError, JqProblem
from bridge.rules.jq.program import NOT_CONSTANT, Defs, Program, compile_defs, compile_program
from bridge.rules.jq.text import number_text, tojson_text
from bridge.rules.jq.values import JSON

__all__ = [
    "JSON",
    "NOT_CONSTANT",
    "Budget",
    "BudgetExceeded",
    "Defs",
    "JqError",
    "JqProblem",
    "Node",
    "Program",
    "closing_brace",
    "compile_defs",
    "compile_program",
    "number_text",
    "parse",
    "tojson_text",
]
