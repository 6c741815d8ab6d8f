"""A local SuprSend: it checks signatures and limits as the real one does, and fails on demand.

Commands, `demo` and the tests start it. Begin with `process.py`.
"""
