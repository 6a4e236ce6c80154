"""What all adapters' tests need."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_stray_loop() -> None:
    """Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""
    asyncio.set_event_loop(None)
