"""Everything that talks to Kafka: the consumer's thread, the producer of dead letters, and the tools that ask brokers.

The only room with confluent_kafka. `service` and commands import it. Begin with `client/thread.py`.
"""
