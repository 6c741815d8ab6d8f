"""Kafka for commands: records and dead letters looked up, checks before a start, an embedded Kafka. No group is joined.

Imports parts of `client` that join nothing, too; `cli` and `demo` import it. Begin with `inspect.py`; `preflight` is
`check --live`, `offline` what is known where no process answers, `read_past` the way behind damaged batches, `mock` the
embedded Kafka.
"""
