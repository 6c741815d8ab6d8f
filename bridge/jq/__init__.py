"""jq, compiled to Python: expressions of rules become functions over plain JSON values.

    budget = EvalBudget()
    program = compile_program('.total / 100', variables=("key",))
    program.one({"total": 1999}, ("some key",), budget)      # 19.99; raises JqError

Semantics are those of libjq 1.8.2 but for the documented differences. Nothing in here knows of rules.

A text goes one way. Begin with `program.py`, which calls them in this order:

    syntax/      text → tree, names checked; what to say of a text that is none
    lower.py     tree → core_nodes.py: names resolved, calls written out, some twenty kinds of nodes
    facts.py     how many outputs, which types, constant or not, growth, reads: on each node, from the leaves up
    emit/        core → Python; `seam.py` is for whoever writes expressions into functions of his own
    builtins/    the table of built-ins: documentation, example and meaning of each
    runtime/     what generated code calls; regex/, dates/ likewise
"""

from __future__ import annotations

from bridge.jq.problems import BudgetExceeded, JqError, JqProblem
from bridge.jq.program import NOT_CONSTANT, Defs, Program, compile_defs, compile_program
from bridge.jq.runtime.budget import EvalBudget
from bridge.jq.runtime.printing import number_text, tojson_text
from bridge.jq.runtime.values import JSON
from bridge.jq.syntax.lexer import closing_brace
from bridge.jq.syntax.nodes import Node
from bridge.jq.syntax.parser import parse

__all__ = [
    "JSON",
    "NOT_CONSTANT",
    "BudgetExceeded",
    "Defs",
    "EvalBudget",
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
