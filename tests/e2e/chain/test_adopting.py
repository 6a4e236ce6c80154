"""What a wallet's owner deployed on the chain without Garrison becomes a workload, and is closed with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from akash_sandbox.client import AdminLease
from devenv.bench_stage import NAMESPACE
from devenv.stage import Stage
from tests.e2e.bodies import condition
from tests.e2e.chain.tenant import Entry, Tenant, start_by_hand, tenant_of
from tests.e2e.moving_in import SDL, asked, garrison, of
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

DSEQ = "1763912345678"


@pytest_asyncio.fixture(loop_scope="session")
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """The namespace of the stage's workload; of others nothing is left at the end."""
    async with stage.market.admin() as admin:
        yield Scene(stage=stage, admin=admin, namespace=NAMESPACE)
    await stage.kubectl("delete", "iw", "web", "-n", NAMESPACE, "--ignore-not-found")


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(stage: Stage) -> AsyncIterator[Tenant]:
    """The owner of the wallet."""
    async with tenant_of(stage) as tenant:
        yield tenant


@pytest.fixture
def sdl_file(stage: Stage, tmp_path: Path) -> Path:
    """The SDL: a raw port, of an image by digest."""
    file = tmp_path / "deploy.yaml"
    file.write_text(SDL.format(image=stage.images["synthetic"], external=9000))
    return file


async def treasury(stage: Stage) -> Any:
    """Return the account's status."""
    return (await stage.get("aa", "treasury"))["status"]


async def test_what_the_wallet_deployed_is_adopted_and_closed_on_the_chain(
    scene: Scene, tenant: Tenant, sdl_file: Path
) -> None:
    await start_by_hand(tenant, scene, DSEQ, await asyncio.to_thread(sdl_file.read_text))
    before = await of(scene, DSEQ)
    await refused_without_consent(scene)
    done = await garrison(scene, "adopt", DSEQ, "--unverified", "--sdl", str(sdl_file))
    assert (done.status, "It is unverified" in done.out) == (0, True), done.err
    await scene.wait_ready("web")
    await serves_as_before(scene, before)
    assert await tenant.entry(DSEQ) == Entry(deployment="active", leases=("active",), escrow="open")
    quick = '{"spec": {"traffic": {"drainSeconds": 0}}}'
    await scene.kubectl("patch", "iw", "web", "--type=merge", f"--patch={quick}")
    await scene.kubectl("delete", "iw", "web", "--timeout=60s")
    assert await tenant.entry(DSEQ) == Entry(
        deployment="closed", leases=("closed",), escrow="closed"
    )
    await eventually(
        "an account that no longer counts it",
        lambda: treasury(scene.stage),
        lambda found: (
            [len(found.get(each, ())) for each in ("grants", "escrows", "strangers")] == [1, 1, 0]
        ),
    )


async def refused_without_consent(scene: Scene) -> None:
    """The operator takes nothing over before somebody has agreed to trust: Unverified."""
    dry = await garrison(scene, "adopt", DSEQ, "--dry-run")
    assert dry.status == 0, dry.err
    body = yaml.safe_load(dry.out)
    assert body["spec"]["adopt"] == {"deployment": DSEQ, "externalPort": 9000}
    body["metadata"]["namespace"] = scene.namespace
    body["spec"]["trust"] = "Verified"
    await scene.stage.apply(body)
    await eventually(
        "refused",
        lambda: scene.condition("web", "Ready"),
        lambda found: found.get("reason") == "AdoptionIsUnverified",
    )
    await eventually(
        "a stranger still",
        lambda: treasury(scene.stage),
        lambda found: (
            found.get("strangers") == [{"deployment": DSEQ, "kind": "Foreign", "marker": "dcloud"}]
        ),
    )
    await scene.kubectl("delete", "iw", "web", "--timeout=60s")


async def serves_as_before(scene: Scene, before: AdminLease) -> None:
    """The same container on the same ports, whose status says that nothing about it is verified."""
    lease = next(each for each in await scene.leases() if each["spec"]["workload"] == "web")
    assert lease["status"]["deployment"]["id"] == DSEQ
    assert await asked(scene, "web") == 200
    now = await of(scene, DSEQ)
    assert now == replace(before, escrow_micro_usd=now.escrow_micro_usd), "nothing but rent is new"
    told = condition(await scene.workload("web"), "Ready")
    assert "unencrypted, unauthenticated" in told["message"], told
    logs = await garrison(scene, "logs", "iw/web")
    assert logs.status == 0, logs.err
