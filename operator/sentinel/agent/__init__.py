"""Holds a rented container: enrols, stays sealed until verified, then starts the workload."""
