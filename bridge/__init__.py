"""Kafka records become SuprSend events, by YAML rules: see `bridge.service.engine` for the path of a record."""

__version__ = "0.1.0"
