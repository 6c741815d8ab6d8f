"""The rules: which records become which events. Pure, but for reading files.

`read/` makes the model (`model.py`) of text, `map/` makes functions over records of the model, `lint/` says what would go wrong,
`tools/` tests and explains; `pages.py` makes the pages of the docs. Knows neither Kafka nor HTTP: it may import `flow`,
`document`, `jq`, `findings` and SuprSend's events and limits; the process and commands import it. Begin with `model.py`.
"""
