"""What all tests share."""

pytest_plugins = ["tests.brokers.fixtures", "tests.boxes.fixtures"]
