"""What is seen of a running bridge: metrics, `/status`, health, the page, the log; and how an operator's request is read.

Imports `flow`, what `delivery` and the Kafka thread count, and words that are labels; it drives nothing. The process and
`cli` import it. Begin with `snapshot.py`, what is seen at one moment; `metrics.py` is the table of metrics, `admin.py` the
server, `logs.py` and `events.py` the log.
"""
