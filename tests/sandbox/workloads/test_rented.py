"""A lease at a provider of the sandbox process: its machine's confinement and its way out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from akash_sandbox.settings import RuntimeName
from tests.sandbox.sandbox_process import SandboxProcess, Tenant, sdl
from tests.sandbox.workloads.image import ImageFiles
from tests.sandbox.workloads.registry import LoopbackRegistry

CONFIG = """
workloads: {{runtime: {runtime}, restart_first_seconds: 0.1}}
egress: {{names: {{paid.example.test: [203.0.113.99]}}}}
providers:
  - name: hardened
    region: eu-west
    confinement: runtime-default
    gpus: [{{model: h100, ram: 80Gi}}]
"""
IMAGE = "registry.test/model@sha256:" + "0" * 64


async def ask(url: str, path: str) -> object:
    """Return what the rented program answers, as soon as it does."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}{path}") as response:
                    response.raise_for_status()
                    return await response.json(content_type=None)
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


@pytest.mark.timeout(90)
async def test_a_lease_runs_as_the_providers_machine_would(
    tmp_path: Path, registry: LoopbackRegistry, tiny: ImageFiles, oci: RuntimeName
) -> None:
    process = SandboxProcess(tmp_path / "data", CONFIG.format(runtime=oci))
    await asyncio.to_thread(process.start)
    try:
        async with process.tenant() as tenant, process.admin() as admin:
            url = await _rented(tenant, registry.add(tiny))
            may = await ask(url, "/may")
            assert may == {
                "pidfd_getfd": "operation not permitted",
                "user_namespace": "operation not permitted",
                "child": "",
            }
            info = await admin.info()
            if not info.egress_namespace:
                pytest.skip(f"no test network: {info.isolation}")
            assert await ask(url, "/resolve?name=paid.example.test") == ["203.0.113.99"]
            (lease,) = await admin.leases()
            assert [each.egress_interface for each in lease.workloads] == ["lease1"]
            assert info.egress_namespace in info.isolation
    finally:
        assert await asyncio.to_thread(process.stop) == 0
    assert await asyncio.to_thread(_left, info.egress_namespace) == []


def _left(namespace: str) -> list[Path]:
    return list(Path("/run/netns").glob(f"{namespace}*"))


async def _rented(tenant: Tenant, image: str) -> str:
    rented = await tenant.rent(sdl(env="PORT=8000").replace(IMAGE, image))
    return await tenant.model_url(rented)
