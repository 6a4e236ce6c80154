"""Tests of `sentinel.agent`."""
