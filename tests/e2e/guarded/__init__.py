"""The whole path in real containers with the agent: sealed start, egress, secrets, mutual TLS."""
