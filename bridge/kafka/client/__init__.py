"""The Kafka thread: one consumer, one producer, their session, and what is asked of Kafka meanwhile.

Imports `flow` and `offsets`; the process imports it. Begin with `thread.py`, then `session.py`.
"""
