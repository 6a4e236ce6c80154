"""The way to switch faults on: for tests and people, unknown to a real market."""
