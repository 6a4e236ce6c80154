"""What every test shares."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The plugin for virtual time asks for the current event loop in synchronous tests, and would make
# one that nobody closes; warnings are errors here.
asyncio.set_event_loop(None)

# A shell starts what it runs in the background deaf to Ctrl-C, and children inherit that; tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Timings gate no test: a busy machine draws slowly.
settings.register_profile("garrison", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("garrison")

HERE = Path(__file__).parent
LONG = ("e2e", "devenv", "sentinel", "soak", "akash_node", "simulation")
"""Folders of long tests, the quick and telling ones first; what is not named comes before them."""


def long_place(item: pytest.Item) -> int:
    folder = item.path.relative_to(HERE).parts[0]
    return LONG.index(folder) if folder in LONG else -1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Continuous integration stops the long tests after some minutes, so their order matters."""
    if config.option.markexpr == "long":
        items.sort(key=long_place)
