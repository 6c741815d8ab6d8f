"""The model of the rules → functions from records to events and faults. Pure.

Imports `rules.model`, `jq` and SuprSend's event; the process and the tools of rules import it. Begin with `mapping.py`.
"""
