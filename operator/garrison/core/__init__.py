"""Pure decisions, one noun per module. No clock, no network, no randomness: they are arguments."""
