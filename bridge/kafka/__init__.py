"""The only room with Kafka's client: its configurations (`config.py`), and what its errors mean (`errors.py`).

`client/` is the Kafka thread of a process, `tools/` what commands ask of Kafka. Both know these two files; `client` knows
nothing of `tools`. The room knows `flow`, `offsets`, `delivery` and the settings, neither rules nor HTTP.
"""
