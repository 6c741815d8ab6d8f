"""Tests of the pure core: what becomes of every record, decided without a client or a clock."""
