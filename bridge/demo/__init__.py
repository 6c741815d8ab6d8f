"""`suprsend-bridge demo`: Kafka, SuprSend and the bridge on one machine, with nothing to install or sign up for.

Imports the process and what it needs around it; `cli` alone imports it. Begin with `play.py`; `setup.py` has what it runs on.
"""
