"""The command line: one thin file per command, and `main.py` with the table of commands.

Imports every room; nobody imports it. Begin with `main.py`.
"""
