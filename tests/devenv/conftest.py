"""Stages of a person's own for the commands."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.devenv.commands import Home


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[Home]:
    """A home in which nothing runs; a stage that a test left running is ended."""
    home = Home(tmp_path)
    yield home
    if home.was_up():
        await home.run(sys.executable, "-m", "devenv.up", "down")
