"""One stage for all tests of this folder, whose account trades on the chain; one workload is served."""

from __future__ import annotations

import inspect
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from devenv.stage import Script, Stage, open_stage
from tests.e2e.chain.workload import served

HERE = Path(__file__).parent
LIMIT_SECONDS = 240
SCRIPT = Script(runtime="synthetic", way="chain", survey_seconds=1.0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e-chain"))
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))
            if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """An operator at work in a folder of its own, free to dump core there, and one workload served."""
    folder = tmp_path_factory.mktemp("chain")
    before, limits = Path.cwd(), resource.getrlimit(resource.RLIMIT_CORE)
    async with open_stage(folder / "stage", SCRIPT) as stage:
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        try:
            await stage.start_operator()
        finally:
            resource.setrlimit(resource.RLIMIT_CORE, limits)
            os.chdir(before)
        await served(stage)
        yield stage
