"""Text → the syntax tree of jq, and what to say of a text that is none.

Imports nothing of the other rooms; begin with `parser.py`.
"""
