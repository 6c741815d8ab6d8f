"""What people ask of rules: tests, coverage, explanations, the list of events. Pure but for reading files of tests.

Imports the other rooms of the rules; commands import it. Begin with `examples.py` and `explain.py`.
"""
