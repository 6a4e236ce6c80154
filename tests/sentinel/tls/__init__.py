"""Tests of `sentinel.tls`."""
