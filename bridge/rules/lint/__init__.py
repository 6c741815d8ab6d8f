"""What would go wrong in production though every expression compiles: findings of `check`. Pure.

Imports the model and `jq`; commands import it. Begin with `check.py`.
"""
