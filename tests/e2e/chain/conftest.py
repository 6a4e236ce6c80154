"""A stage whose account trades on the chain. What is looked at is the operator's process, so the API
server in memory is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from devenv.stage import Script, Stage, open_stage

LIMIT_SECONDS = 240
SCRIPT = Script(runtime="synthetic", light=True, way="chain", survey_seconds=1.0)


@pytest_asyncio.fixture
async def stage(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Everything but the operator, which shall start in a folder of its own."""
    folder = tmp_path_factory.mktemp("chain")
    monkeypatch.chdir(folder)
    async with open_stage(folder / "stage", SCRIPT) as stage:
        yield stage
