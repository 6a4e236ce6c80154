"""Garrison: a Kubernetes operator that holds AI inference on the Akash marketplace."""

__version__ = "0.1.0"
