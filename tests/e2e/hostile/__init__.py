"""Providers that turn against their tenants, with real containers."""
