"""One stage for all: control plane, market and operator start once; each test has a namespace."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from akash_sandbox.client import SandboxAdmin
from devenv.stage import Script, Stage, open_stage
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

HERE = Path(__file__).parent
LIMIT_SECONDS = 240
BUGS = re.compile(r"Traceback|was never awaited|bug in Garrison|Task exception was never retrieved")
SCRIPT = Script(runtime="synthetic", survey_seconds=1.0, bid_seconds=3.0, debug=True)


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests beside this file; those in folders below have their own stage."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Everything real but the containers, with an operator that has the chart's rights."""
    async with open_stage(tmp_path_factory.mktemp("stage"), SCRIPT) as stage:
        await stage.start_operator()
        yield stage


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def admin(stage: Stage) -> AsyncIterator[SandboxAdmin]:
    """The market's admin API."""
    async with stage.market.admin() as admin:
        yield admin


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage: Stage, admin: SandboxAdmin) -> AsyncIterator[Scene]:
    """A namespace and an account; at the end nothing is paid and the operator had no accident."""
    namespace = f"e2e-{uuid4().hex[:6]}"
    seen = _log_size(stage)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    await admin.clear_faults()
    await asyncio.gather(stage.kubectl("delete", "ap", "--all"), stage.apply(stage.account(), body))
    await _listed_anew(stage, admin)
    scene = Scene(stage=stage, admin=admin, namespace=namespace)
    yield scene
    await scene.end()
    assert BUGS.search(_log_from(stage, seen)) is None, _log_from(stage, seen)


async def _listed_anew(stage: Stage, admin: SandboxAdmin) -> None:
    """What earlier tests did to a provider is not held against it: its record is deleted."""
    count = len(await admin.providers())
    await eventually(
        "all providers listed",
        lambda: stage.get("ap"),
        lambda found: sum("status" in each for each in found["items"]) == count,
    )


def _log(stage: Stage) -> Path:
    return stage.processes["operator"].log


def _log_size(stage: Stage) -> int:
    return _log(stage).stat().st_size


def _log_from(stage: Stage, start: int) -> str:
    return _log(stage).read_bytes()[start:].decode(errors="replace")
