"""A stage whose leases run as real containers with their own network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from akash_sandbox.client import SandboxAdmin
from akash_sandbox.market.provider import Provider
from akash_sandbox.providers import PROVIDERS
from devenv.provision import ensure_container_runtime
from devenv.stage import Script, Stage, open_stage
from tests.e2e.conftest import scene

__all__ = ["scene"]

HERE = Path(__file__).parent
LIMIT_SECONDS = 300
HARDENED, HARDENED_REGION = "granite", "eu-north"
_MACHINES = TypeAdapter(tuple[Provider, ...]).dump_python(PROVIDERS, mode="json")
"""Nothing is forbidden on them; the one more is as a provider with RuntimeDefault would be."""
_DEAR = {"price_low": 0.2, "price_high": 0.2}
SCRIPT = Script(
    runtime="auto",
    survey_seconds=1.0,
    bid_seconds=3.0,
    debug=True,
    webhook_hosts=("localhost",),
    sandbox={
        "providers": [
            *_MACHINES,
            {
                "name": HARDENED,
                "region": HARDENED_REGION,
                "confinement": "runtime-default",
                **_DEAR,
            },
        ]
    },
)


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """As the stage of the other end-to-end tests, with real containers."""
    found = await ensure_container_runtime()
    if found.name not in {"runc", "crun"}:
        pytest.skip(f"no container runtime that isolates: {found.missing or found.name}")
    async with open_stage(tmp_path_factory.mktemp("guarded"), SCRIPT) as stage:
        await stage.start_operator()
        yield stage


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def admin(stage: Stage) -> AsyncIterator[SandboxAdmin]:
    """The admin API of this stage's market."""
    async with stage.market.admin() as admin:
        yield admin
