"""The model of the rules → functions from runs of records to events and faults. Pure.

Imports `rules.model`, `jq` and SuprSend's event; the process and the tools of rules import it. Begin with `mapping.py`
(which rules a record concerns), then `codegen.py` (a rule as generated code, in the order of what may fail), then
`slow_path.py` (what that code calls for a value that is not the usual one). The rest are parts: how a value is read
(`decode`, `scope`), the key (`key`), the bytes (`body`), and the table of faults (`faults`).
"""
