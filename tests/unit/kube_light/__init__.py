"""The light API server, by itself."""
