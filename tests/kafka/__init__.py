"""Tests of the Kafka room."""
