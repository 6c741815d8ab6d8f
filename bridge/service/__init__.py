"""The process of `suprsend-bridge run`: its parts and their wiring, the delivery thread's loop, actions, log lines, its end.

Imports every room but `cli` and `demo`, which start it. Begin with `engine.py`, the way of a record, top to bottom;
`main_thread.py` is the main thread, `app.py` the bridge that it runs, `actions.py` the table of an operator's actions.
"""
