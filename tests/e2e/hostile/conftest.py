"""A market of hostile, cheap providers and one dear haven, whose leases run as real containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from akash_sandbox.client import SandboxAdmin
from devenv.provision import ensure_container_runtime
from devenv.stage import Script, Stage, open_stage
from tests.e2e.conftest import scene
from tests.e2e.hostile.attack import ATTACKS
from tests.e2e.hostile.downfall import HAVEN, READER, Downfall

__all__ = ["scene"]

HERE = Path(__file__).parent
LIMIT_SECONDS = 400
CHEAP = {"price_low": 0.01, "price_high": 0.011, "region": "eu-west"}
DEAR = {"price_low": 0.05, "price_high": 0.06, "region": "eu-west"}


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
    cheap = [{"name": name, **CHEAP} for name in (READER, *(each.name for each in ATTACKS))]
    script = Script(
        runtime="auto",
        sandbox={"providers": [*cheap, {"name": HAVEN, **DEAR}]},
        survey_seconds=1.0,
        bid_seconds=3.0,
    )
    async with open_stage(tmp_path_factory.mktemp("hostile"), script) as stage:
        await stage.start_operator()
        yield stage


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def admin(stage: Stage) -> AsyncIterator[SandboxAdmin]:
    """The admin API of this stage's market."""
    async with stage.market.admin() as admin:
        yield admin


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def downfall(
    stage: Stage, admin: SandboxAdmin, request: pytest.FixtureRequest
) -> AsyncIterator[Downfall]:
    """Every attack that a selected test asks about, each by a provider of its own."""
    calls = [getattr(each, "callspec", None) for each in request.session.items]
    asked = {call.params["attack"].name for call in calls if call and "attack" in call.params}
    attacks = [each for each in ATTACKS if each.name in asked]
    async with Downfall.of(stage, admin, attacks) as made:
        yield made
