"""Providers fail, people err: Garrison moves on, blames the right one, and never leaks a lease."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from garrison.core.blame import MAX_ATTEMPTS
from tests.e2e.bodies import condition, environment
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually
from tests.progress import say

NOWHERE = "127.0.0.1:1/nothing@sha256:" + "0" * 64


async def _provider_of(scene: Scene) -> str:
    (lease,) = await scene.paid()
    return lease.provider


async def test_provider_killed(scene: Scene) -> None:
    await scene.serve("chat")
    first = await _provider_of(scene)
    await scene.admin.kill_provider(first)
    await eventually(
        "leased elsewhere, and only there",
        scene.paid,
        lambda found: [each.provider == first for each in found] == [False],
    )
    await scene.wait_ready("chat")
    await eventually(
        "a provider's fault on record",
        lambda: scene.results(first),
        lambda found: "ProviderFault" in [outcome for outcome, _ in found],
    )


async def test_lease_closed_by_the_provider(scene: Scene) -> None:
    await scene.serve("chat")
    (lease,) = await scene.paid()
    await scene.admin.close_lease(lease.dseq, lease.gseq, lease.oseq, reason="unstable")
    await eventually(
        "another lease",
        scene.paid,
        lambda found: len(found) == 1 and found[0].dseq != lease.dseq,
    )
    await scene.wait_ready("chat")


async def test_too_slow_is_not_used(scene: Scene) -> None:
    cheapest = "monsoon"
    await scene.admin.wrong_hardware(cheapest, slowdown=50)
    await scene.serve(
        "chat",
        env=environment(SYNTHETIC_TOKENS_PER_SECOND="3000"),
        benchmark={"api": "OpenAI", "minTokensPerSecond": 100},
    )
    assert await _provider_of(scene) != cheapest
    (lease,) = [each for each in await scene.leases() if each["status"]["phase"] == "Ready"]
    figures = lease["status"]["benchmark"]
    assert figures["passed"]
    assert float(figures["tokensPerSecond"]) >= 100
    assert (await scene.condition("chat", "BenchmarkPassed"))["reason"] == "ThresholdsMet"
    await eventually(
        "blame, once another provider met the threshold",
        lambda: scene.results(cheapest),
        lambda found: ("ProviderFault", "BenchmarkFailed") in found,
    )


async def test_no_bids_then_bids(scene: Scene) -> None:
    await scene.admin.no_bids()
    await scene.apply_workload("chat")
    await eventually(
        "a failure for want of bids",
        lambda: scene.workload("chat"),
        lambda body: "NoBids" in str(body.get("status")),
    )
    await scene.admin.no_bids(silent=False)
    await scene.wait_ready("chat")


async def test_second_gpu_model(scene: Scene) -> None:
    models = [{"model": "b200"}, {"model": "h100"}]
    resources = {"cpu": "1", "memory": "1Gi", "storage": "1Gi", "gpu": {"models": models}}
    await scene.serve("chat", resources=resources)
    (lease,) = await scene.leases()
    assert lease["status"]["gpuModel"] == "h100"
    assert [each["gpuModel"] for each in lease["status"]["earlier"]] == ["b200"]


async def test_crashing_everywhere_blames_the_revision(scene: Scene) -> None:
    health = {
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": 2,
        "startupGraceSeconds": 2,
    }
    earlier = {each.dseq for each in await scene.admin.leases()}
    await scene.apply_workload("chat", env=environment(SYNTHETIC_CRASH="1"), health=health)
    stalled = await scene.until("chat", "Stalled")
    assert {each["blame"] for each in stalled["status"]["failures"]} == {"Revision"}
    await scene.nothing_paid()
    used = {each.dseq for each in await scene.admin.leases()} - earlier
    assert 2 <= len(used) <= MAX_ATTEMPTS
    assert stalled["status"]["nextAttemptAt"], "the next one waits"
    (ready,) = [each for each in stalled["status"]["conditions"] if each["type"] == "Ready"]
    assert "fix image, command, args or thresholds" in ready["message"]
    providers = (await scene.stage.get("ap"))["items"]
    assert len(providers) == len(await scene.admin.providers())
    for each in providers:
        assert not (each.get("status") or {}).get("quarantine"), each


async def test_a_bad_edit_disturbs_nothing(scene: Scene) -> None:
    await scene.serve("chat")
    before = [each["metadata"]["uid"] for each in await scene.leases()]
    await scene.apply_workload("chat", image=NOWHERE)
    await eventually(
        "Ready=False",
        lambda: scene.condition("chat", "Ready"),
        lambda found: found.get("status") == "False",
    )
    assert (await scene.condition("chat", "Available"))["status"] == "True"
    await scene.apply_workload("chat", providerPolicyRef={"name": "nobody"})
    await scene.until("chat", "Stalled")
    assert (await scene.condition("chat", "Available"))["status"] == "True"
    assert [each["metadata"]["uid"] for each in await scene.leases()] == before
    await scene.kubectl("delete", "iw", "chat", "--timeout=60s")


async def test_ceiling_of_the_account(scene: Scene) -> None:
    limits = {"maxPricePerHour": "20", "maxLeases": 1, "maxNewLeasesPer10Minutes": 200}
    await scene.stage.apply(scene.stage.account(limits=limits))
    await scene.apply_workload("chat", replicas=2)
    account = await eventually(
        "a refusal on the account",
        lambda: scene.stage.get("aa", "treasury"),
        lambda body: "TooManyLeases" in str(body.get("status")),
    )
    assert account["status"]["openLeases"] == 1
    waits = await eventually(
        "one of two serves",
        lambda: scene.workload("chat"),
        lambda body: body["status"]["ready"] == "1/2",
    )
    assert condition(waits, "Reconciling")["reason"] == "TooManyLeases"
    assert "raise it on the AkashAccount" in condition(waits, "Ready")["message"]
    assert len(await scene.paid()) == 1


async def _killed(scene: Scene, chance: random.Random, times: int) -> None:
    """Edit, scale and delete while the operator is killed that often; then one replica is wanted."""
    deeds: list[Callable[[], Awaitable[object]]] = [
        lambda: scene.apply_workload("one", replicas=chance.randint(1, 2)),
        lambda: scene.apply_workload("two", replicas=1),
        lambda: scene.kubectl("delete", "iw", "two", "--ignore-not-found", "--wait=false"),
        lambda: scene.apply_workload(
            "one", env=environment(SYNTHETIC_TTFT_MS=str(chance.randint(1, 9)))
        ),
    ]

    async def meddle() -> None:
        await asyncio.sleep(chance.random() * 2)
        await chance.choice(deeds)()

    for number in range(times):
        await scene.stage.processes["operator"].kill()
        await asyncio.gather(meddle(), scene.stage.start_operator())
        await asyncio.sleep(chance.random())
        if number % 10 == 9:
            say(f"{number + 1} of {times} kills")
    await scene.kubectl("delete", "iw", "two", "--ignore-not-found", "--wait=false")
    await scene.apply_workload("one", replicas=1)
    await scene.until("one", "Ready")
    await eventually("exactly one paid lease", scene.paid, lambda found: len(found) == 1)


async def test_operator_killed_again_and_again(scene: Scene) -> None:
    await _killed(scene, random.Random(20), 20)


@pytest.mark.long
@pytest.mark.timeout(420)
@pytest.mark.parametrize("seed", [1, 2])
async def test_operator_killed_for_long(scene: Scene, seed: int) -> None:
    await _killed(scene, random.Random(seed), 40)


async def test_api_server_restarted(scene: Scene) -> None:
    await scene.serve("chat")
    await scene.stage.stop_api_server()
    await asyncio.sleep(0.5)
    await scene.stage.start_api_server()
    await scene.kubectl("scale", "iw/chat", "--replicas=2")
    await eventually(
        "two replicas",
        lambda: scene.workload("chat"),
        lambda body: body["status"]["ready"] == "2/2",
    )
