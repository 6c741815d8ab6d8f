"""Everything that talks to Kafka: the consumer's thread, the producer of dead letters, and the tools that ask brokers.

The only room with Kafka's client: its configurations are in `config.py`, what its errors mean in `errors.py`. `client/` is
the Kafka thread of a process, `tools/` what commands ask of Kafka; `client` knows nothing of `tools`. `service` and commands
import it, `observe` its counters. Begin with `client/thread.py`.
"""
