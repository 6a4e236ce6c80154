"""Keys, certificate requests and TLS contexts with what Python's standard library has."""
