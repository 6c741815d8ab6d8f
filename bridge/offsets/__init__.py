"""The offsets of partitions: which records have an outcome, what is committed, where a partition begins. Pure.

Imports `flow` alone; `delivery`, `kafka` and commands import it. Begin with `ledger.py`, then `commits.py`.
"""
