"""Two hundred workloads through apply, scale, faults, a killed operator and delete, on one stage.

The API server is the one in memory, for what is measured here is the operator's patience and not
etcd's; the market runs no containers but answers in their place, without agents: two hundred
processes more would measure this machine.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from akash_sandbox.client import CONSOLE, AdminLease, SandboxAdmin
from devenv.stage import Script, Stage, open_stage
from tests.e2e.bodies import Body, is_true, workload
from tests.progress import say

WORKLOADS = 200
NAMESPACE = "soak"
PATIENCE = 300.0
"""Seconds without any change; how long all of it takes is the machine's affair."""
LOOK_SECONDS = 3.0
"""Listing them all costs kubectl and the API server some of the operator's processor."""
SAY_SECONDS = 20.0
HORIZON_SECONDS = 30
"""A token lives for half of it: with two hundred orders at once, a pass may wait for seconds."""
PROVIDERS = [
    {"name": f"north{number}", "region": "eu-west", "leases": 300, "price_low": 0.03}
    for number in range(6)
]
HEALTH = {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}
SCRIPT = Script(
    runtime="synthetic",
    light=True,
    survey_seconds=5.0,
    bid_seconds=30.0,
    sandbox={"balance": 10_000, "settle_seconds": 0.5, "providers": PROVIDERS},
)
LIMITS = {"maxPricePerHour": "1000", "maxLeases": 500, "maxNewLeasesPer10Minutes": 500}

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("soak"), pytest.mark.timeout(3600)]


class Crowd:
    """All the workloads, as one person with a large file sees them."""

    def __init__(self, stage: Stage, admin: SandboxAdmin) -> None:
        self._stage = stage
        self._admin = admin
        self._began = time.monotonic()
        self.replicas = {f"chat-{number:03}": 1 for number in range(WORKLOADS)}

    def say(self, text: str) -> None:
        """Show how far it came."""
        say(f"{time.monotonic() - self._began:6.0f} s  {text}")

    async def apply(self) -> None:
        """Apply every workload as it is wanted now."""
        image = self._stage.images["synthetic"]
        bodies = [
            workload(NAMESPACE, name, image, replicas=count, health=HEALTH, trust="Unverified")
            for name, count in self.replicas.items()
        ]
        text = yaml.safe_dump_all(bodies)
        await self._stage.kubectl("apply", "--validate=false", stdin=text, limit_seconds=PATIENCE)

    async def delete(self, *names: str) -> None:
        """Delete workloads without waiting for them."""
        await self._stage.kubectl(
            "delete", "iw", *names, "-n", NAMESPACE, "--wait=false", limit_seconds=PATIENCE
        )
        for name in names:
            self.replicas.pop(name)

    async def not_there_yet(self) -> list[str]:
        """Return the workloads that are not as wanted."""
        found = (await self._stage.get("iw", "-n", NAMESPACE))["items"]
        by_name: dict[str, Any] = {each["metadata"]["name"]: each for each in found}
        wrong = [name for name in by_name if name not in self.replicas]
        for name, count in self.replicas.items():
            body = by_name.get(name)
            served = (body or {}).get("status", {}).get("readyReplicas")
            if body is None or not is_true(body, "Ready") or served != count:
                wrong.append(name)
        return sorted(wrong)

    async def paid(self) -> list[AdminLease]:
        """Return the leases that cost something."""
        return [each for each in await self._admin.leases() if each.state == "active"]

    async def paid_to(self, provider: str) -> list[str]:
        """Return the leases that one provider is paid for."""
        return [each.provider for each in await self.paid() if each.provider == provider]

    async def settled(self, what: str) -> None:
        """Wait until all is as wanted and exactly that is paid for."""
        wanted = sum(self.replicas.values())
        await self.none(f"{what}: workloads not as wanted", self.not_there_yet)
        await self.none(f"{what}: leases too many or too few", self.surplus)
        self.say(f"{what}: {len(self.replicas)} workloads, {wanted} leases")

    async def surplus(self) -> list[str]:
        """Return a mark for each paid lease that is too many or too few."""
        return ["lease"] * abs(len(await self.paid()) - sum(self.replicas.values()))

    async def none(self, what: str, look: Callable[[], Awaitable[list[str]]]) -> None:
        """Wait until nothing is left; AssertionError once nothing has changed for a long time."""
        before: list[str] = []
        since = said = time.monotonic()
        while left := await look():
            now = time.monotonic()
            if left != before:
                before, since = left, now
            assert now - since < PATIENCE, f"{what}, and nothing changes: {left}"
            if now - said > SAY_SECONDS:
                said = now
                self.say(f"{what}: {len(left)}")
            await asyncio.sleep(LOOK_SECONDS)


def account(stage: Stage) -> Body:
    """Return an account with room for all, and with time for a busy operator to use its tokens."""
    body: Body = stage.account(limits=LIMITS)
    body["spec"]["backend"]["console"]["outcomeHorizonSeconds"] = HORIZON_SECONDS
    return body


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, SCRIPT) as stage:
        await stage.start_operator()
        await stage.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            account(stage),
        )
        yield stage


async def test_two_hundred_workloads_through_a_bad_day(stage: Stage) -> None:
    chance = random.Random(200)
    async with stage.market.admin() as admin:
        crowd = Crowd(stage, admin)
        await crowd.apply()
        await admin.errors(CONSOLE, status=500, count=50)
        await crowd.settled("applied, through 50 errors of the market")

        for name in chance.sample(sorted(crowd.replicas), 40):
            crowd.replicas[name] = chance.choice([0, 2])
        await crowd.apply()
        await stage.processes["operator"].kill()
        await stage.start_operator()
        await crowd.settled("scaled, with the operator killed")

        provider = chance.choice(await crowd.paid()).provider
        await admin.kill_provider(provider)
        await admin.hang(CONSOLE, seconds=3.0)
        await crowd.none("leases of the dead provider", lambda: crowd.paid_to(provider))
        await crowd.settled("moved away from a dead provider, on a slow market")
        await admin.clear_faults()

        await crowd.delete(*chance.sample(sorted(crowd.replicas), WORKLOADS // 2))
        await crowd.settled("half of them deleted")
        await crowd.delete(*sorted(crowd.replicas))
        await crowd.settled("all of them deleted")
    log = stage.processes["operator"].log.read_text()
    assert "bug in Garrison" not in log
