"""Dead letters, read back and sent again: everything that `bridge dlq` decides. Pure."""
