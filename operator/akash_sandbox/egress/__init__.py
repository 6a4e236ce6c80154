"""The only outside that rented containers reach: a test network of the sandbox's own making."""
