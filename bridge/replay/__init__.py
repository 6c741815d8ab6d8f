"""Dead letters, read back and sent again: everything that `suprsend-bridge dlq` decides. Pure."""
