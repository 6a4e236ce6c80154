"""The deployment language (SDL 2.0 and 2.1): what a tenant writes, and what the chain makes of it."""
