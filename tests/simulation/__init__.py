"""The seeded simulator: the real core between a simulated Kafka and a simulated SuprSend, under every fault at once."""
