"""What would go wrong in production though every expression compiles: findings of `check`. Pure.

Imports `jq`, the model and the reader of rules, and SuprSend's limits; `check`, the process when it loads rules, and the tools of
rules import it. Begin with `check.py`, which has every code. `contexts.py` says what is known around each expression;
`types.py` (by `signatures.py`) and `counts.py` say what its outputs can be; `idioms.py` looks at the syntax alone, `literals.py`
at texts, `unreachable.py` at rules that never fire and topics that nobody takes.
"""
