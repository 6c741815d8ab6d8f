"""Kafka for commands: records and dead letters looked up, checks before a start, an embedded Kafka. No group is joined."""
