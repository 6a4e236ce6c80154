"""Ends mutual TLS and passes the bytes on to the workload, untouched."""
