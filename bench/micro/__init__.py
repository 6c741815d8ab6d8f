"""Instructions of the hot functions, one by one, against figures that are committed. `python -m bench.micro --help`."""
