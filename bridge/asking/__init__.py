"""What nobody has told of SuprSend's event API, asked: `suprsend-bridge check --live --ask-suprsend USER_ID`.

Its verdicts (contract §10) hang on the answers. Everything sent is harmless: events `bridge_check_…`, which no workflow
listens to. Knows the event API alone; `cli` imports it. Begin with `questions.py`, the table; `ask.py` asks and shows.
"""
