"""Virtual time: an hour of waiting takes no time at all."""

from __future__ import annotations

import asyncio

import pytest

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run every test of this folder on a loop whose time jumps to the next timer."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.looptime(noop_cycles=0))
