"""The process of `suprsend-bridge run`: wiring, the delivery thread's loop, controls, what is seen of it, its log, its end.

Imports every room but `cli`; `cli` and `demo` start it. Begin with `engine.py`, the road of a record, top to bottom.
"""
