"""A new process on the same data folder carries on where the last one ended."""

from __future__ import annotations

import signal
from collections.abc import Callable

import aiohttp
import pytest

from akash_sandbox.client import CONSOLE
from tests.sandbox.sandbox_process import SandboxProcess


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_lost_when_the_process_ends(
    own: Callable[[str], SandboxProcess], ending: signal.Signals
) -> None:
    process = own("")
    async with process.tenant() as tenant:
        rented = await tenant.rent()
        url = await tenant.model_url(rented)
        before = await tenant.deployment(rented.dseq)
    async with process.admin() as admin:
        await admin.kill_provider("cascade")
        await admin.errors(CONSOLE, status=503, count=1)
    place = (process.console, process.api_key)
    process.stop(ending)
    process.start()
    assert (process.console, process.api_key) == place
    async with process.tenant() as tenant, process.admin() as admin:
        assert (await tenant.call("GET", "/v1/balances")).status == 503
        assert await tenant.model_url(rented) == url
        after = await tenant.deployment(rented.dseq)
        assert after["deployment"] == before["deployment"]
        assert after["leases"][0]["id"] == before["leases"][0]["id"]
        assert [p.name for p in await admin.providers() if p.dead] == ["cascade"]
        await tenant.close(rented.dseq)
        with pytest.raises(aiohttp.ClientConnectorError):
            await tenant.send("GET", f"{url}/health")


def test_a_bad_configuration_is_refused_with_file_and_field(
    own: Callable[[str], SandboxProcess],
) -> None:
    with pytest.raises(AssertionError, match="ended with 1"):
        own("settle_seconds: never\n")


async def test_sigterm_ends_cleanly_and_the_ports_refuse(
    own: Callable[[str], SandboxProcess],
) -> None:
    process = own("")
    async with process.tenant() as tenant:
        rented = await tenant.rent()
        url = await tenant.model_url(rented)
        assert process.stop() == 0
        for gone in (f"{url}/health", process.console, rented.host_uri):
            with pytest.raises(aiohttp.ClientConnectorError):
                await tenant.send("GET", gone)
