"""Faults on demand: what may be asked for (`spec`), when it strikes (`plan`), what it does (`acts`).

The sandbox alone imports it. Begin with `spec.py`: a new fault is a model there and a function of `acts.py`.
"""
