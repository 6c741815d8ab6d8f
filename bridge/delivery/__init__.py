"""What becomes of every record that was read: lanes, batches, calls, retries, holds, dead letters. Pure.

Clocks are passed in. Imports `flow` and `offsets`; `service`, `kafka`, `observe`, `replay` and commands import it. Begin with
`core.py`.
"""
