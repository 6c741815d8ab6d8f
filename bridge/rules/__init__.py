"""Rules: YAML text becomes a model, the model becomes functions that map records to events. Pure.

`read/` makes the model, `map/` what runs for each record, `lint/` finds what would go wrong, `tools/` explain and test.
`service`, `replay` and commands import it. Begin with `model.py`, then `read/load.py` and `map/mapping.py`.
"""
