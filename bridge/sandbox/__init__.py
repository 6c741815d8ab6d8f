"""A local SuprSend: the event API by its contract, with faults on demand, for the demo, for tests and for trying rules.

Knows `jsontext` and `suprsend` alone; `cli`, `demo` and tests start it. Begin with `api.py`, what becomes of a call;
`server.py` puts it on HTTP, `control.py` shows and steers it, `faults/` spoils its answers.
"""
