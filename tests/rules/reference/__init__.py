"""The meaning of a rule, written plainly: what the generated code is held against.

`interpreter.reference(ruleset, context, topic)` maps one record after the other, expression by expression, with no look-up,
no generated code but that of single jq expressions, and a fresh budget for each rule and record.
"""
