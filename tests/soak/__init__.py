"""The fault matrix on real processes: a real Kafka, the sandbox, bridges, signals and a proxy that spoils connections.

It stands among the tests because it is one, and because it is built of their brokers and processes. `make soak` runs
it at any length; `test_soak.py` is the short version.
"""
