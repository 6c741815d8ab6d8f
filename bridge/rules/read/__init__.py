"""Rule files: text → the frozen model of the rules, or every mistake as a finding. Pure, but for reading files in `load.py`.

Imports `document`, `jq`, the model, the tables of `rules.map` (decoders, variables, faults) and SuprSend's limits; lint, the tools
of rules, commands and the process import it. Begin with `load.py`, then `file_reader.py` and `rule_reader.py`. `keys.py` and
`example_keys.py` declare every key of rule files and of test files.
"""
