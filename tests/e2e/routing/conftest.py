"""A stage whose market has routable addresses, in a network namespace that these tests make."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from akash_sandbox.client import SandboxAdmin
from devenv.errors import DevenvError
from devenv.network import Network, open_network
from devenv.stage import Script, Stage, open_stage
from tests.e2e.conftest import LIMIT_SECONDS

HERE = Path(__file__).parent
PROVIDERS = ("frost", "harbor", "prairie")


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
async def network() -> AsyncIterator[Network]:
    """One address for the market's servers, and one for each provider."""
    opened = open_network(1 + len(PROVIDERS))
    try:
        network = await opened.__aenter__()
    except DevenvError as error:
        pytest.skip(f"no network namespace: {error}")
    yield network
    await opened.__aexit__(None, None, None)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(network: Network, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """As the stage of the other end-to-end tests, but each provider has an address of its own."""
    market, *hosts = (str(each) for each in network.addresses)
    providers = [
        {"name": name, "region": "eu-west", "host": host}
        for name, host in zip(PROVIDERS, hosts, strict=True)
    ]
    script = Script(
        runtime="synthetic",
        network=network,
        sandbox={"public_host": market, "providers": providers},
        survey_seconds=1.0,
        bid_seconds=3.0,
        debug=True,
    )
    async with open_stage(tmp_path_factory.mktemp("routing"), script) as stage:
        await stage.start_operator()
        yield stage


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def admin(stage: Stage) -> AsyncIterator[SandboxAdmin]:
    """The admin API of this stage's market."""
    async with stage.market.admin() as admin:
        yield admin
