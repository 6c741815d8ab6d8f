"""Dates and time zones from tables of our own, the same on every machine."""
