"""Ports in memory: for tests and for the simulation, under virtual time."""
