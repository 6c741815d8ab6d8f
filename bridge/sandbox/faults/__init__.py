"""Faults on demand: what may be asked for (`spec`), when it strikes (`plan`), what it does (`acts`)."""
