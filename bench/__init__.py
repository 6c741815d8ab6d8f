"""What the bridge costs, measured against the same work with everything hard-coded. `python -m bench --help`."""
