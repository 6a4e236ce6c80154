"""kopf, and nothing else: it delivers watch events, and each handler only enqueues."""
