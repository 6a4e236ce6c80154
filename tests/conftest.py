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


def shares_a_fixture(item: pytest.Item) -> bool:
    """Return whether a fixture of these tests is made once for the test's module."""
    if not isinstance(item, pytest.Function):
        return False
    found = [each for made in item._fixtureinfo.name2fixturedefs.values() for each in made]
    return any(
        each.scope == "module" and each.func.__module__.startswith("tests.") for each in found
    )


@pytest.hookimpl(tryfirst=True)  # before the groups are read, and after those of folders are there
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put in order and in groups.

    Continuous integration stops the long tests after some minutes, so their order matters. Tests that
    share what takes seconds to make are a group: another worker would make it again.
    """
    if config.option.markexpr == "long":
        items.sort(key=long_place)
    for item in items:
        if item.get_closest_marker("xdist_group") is None and shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(HERE))))
