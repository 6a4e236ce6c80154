"""Per kind: what to observe, which plan to run, how to act on it. Adapters are injected."""
