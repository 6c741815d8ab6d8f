"""Rule files: text → the frozen model of the rules, or every mistake as a finding. Pure.

Imports `document`, `jq` and `findings`; the other rooms of the rules import it. Begin with `load.py`.
"""
