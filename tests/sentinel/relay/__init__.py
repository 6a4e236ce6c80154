"""Tests of `sentinel.relay`."""
