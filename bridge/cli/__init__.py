"""The commands, one file each, thin; a command of an operator's action is a row of `service/actions.py`.

Imports every room, and heavy ones only when the command runs; nothing but `__main__` imports it. Begin with `main.py`, the
table of commands.
"""
