"""The Kafka thread: one consumer, one producer, their session, and what is asked of Kafka meanwhile.

Imports `flow`, `offsets`, and of `delivery` the journal and the book of pauses; the process imports it, and `observe` its
counters. Begin with `thread.py`, then `session.py`: `assignment` and `resolve_start` say where partitions begin, `reader`
reads, `committing` commits, `broker_health` says what is wrong.
"""
