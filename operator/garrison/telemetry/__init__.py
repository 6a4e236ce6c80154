"""Metrics, logs and the endpoint that shows them."""
