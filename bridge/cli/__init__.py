"""The command line: one thin file per command, and `main.py` with the table of commands.

A command of an operator's action is a row of `service/actions.py`. Imports every room, and heavy ones only when the command
runs; nobody imports it. Begin with `main.py`.
"""
