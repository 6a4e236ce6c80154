"""What a person has who moves in: an SDL, the ``garrison`` command, and eyes for what the market says."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

import aiohttp

from akash_sandbox.client import AdminLease
from devenv.checkout import ROOT
from tests.e2e.scene import Scene
from tests.e2e.test_serving import connected
from tests.e2e.waiting import eventually

SDL = """\
version: "2.0"
services:
  web:
    image: {image}
    env: ["SYNTHETIC_TOKENS_PER_SECOND=4000", "SYNTHETIC_TTFT_MS=5"]
    expose:
      - {{port: 8080, as: {external}, to: [{{global: true}}]}}
profiles:
  compute:
    web:
      resources:
        cpu: {{units: 0.5}}
        memory: {{size: 256Mi}}
        storage: {{size: 512Mi}}
  placement:
    dcloud:
      pricing:
        web: {{denom: uact, amount: 5000}}
deployment:
  web:
    dcloud: {{profile: web, count: 1}}
"""
"""A format: ``image``, and ``external`` for the port's ``as``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str


async def garrison(scene: Scene, *words: str) -> Said:
    """Run a command of ``garrison`` against the stage's cluster."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "garrison.cli", *words),
        *("-n", scene.namespace, "--kubeconfig", str(scene.stage.kubeconfig)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "operator")},
    )
    out, err = await process.communicate()
    return Said(status=process.returncode or 0, out=out.decode(), err=err.decode())


async def of(scene: Scene, dseq: str) -> AdminLease:
    """Return a deployment's lease, as the market has it."""
    (found,) = [each for each in await scene.admin.leases() if each.dseq == dseq]
    return found


async def running(scene: Scene, dseq: str) -> AdminLease:
    """Return a deployment's lease once its container runs."""
    return await eventually(
        "a running container",
        lambda: of(scene, dseq),
        lambda found: found.workloads and found.workloads[0].running,
    )


async def asked(scene: Scene, name: str) -> int:
    """Return how a workload answers through ``garrison connect``."""
    async with (
        connected(scene, name) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/models") as answer,
    ):
        return answer.status
