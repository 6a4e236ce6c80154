"""Who could host a workload, and why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from garrison.api.container import Gpu, GpuModel, Resources
from garrison.api.lease import BenchmarkStatus, BidStatus
from garrison.api.meta import ANNOTATION_QUARANTINE
from garrison.api.money import parse_dollars
from garrison.api.policy import MinUptime
from garrison.api.provider import GpuStatus, Provider, QuarantineStatus
from garrison.api.workload import Benchmark, FailureStatus, WorkloadStatus
from garrison.core.hosting import Wanted, bid_prices, candidates, known
from tests.builders import NOW, lease, policy, provider, workload

HELD = QuarantineStatus(gpu_model="h100", until=NOW + timedelta(hours=1), reason="TooSlow")
FAILED = FailureStatus(
    lease="l", revision="r", provider="p1", reason="ProviderDead", blame="Provider", at=NOW
)


def bidding(price: str, name: str = "p1", **fields: object) -> BidStatus:
    return BidStatus(provider=name, price_per_hour=price, verdict="Chosen")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (provider("p1", "h100"), ""),
        (provider("p1", "a100"), ""),
        (provider("p1", "rtx4090"), "GPU: has rtx4090"),
        (provider("p1"), "GPU: has none"),
        (provider("p1", "h100", online=False), "Offline: the market does not reach it"),
        (provider("p1", "h100", region="us-east"), "regions: is in us-east"),
        (provider("p1", "h100", quarantine=(HELD,)), "Quarantined: until 2026-11-23T13:00:00Z"),
        (
            provider("p1", "h100", annotations={ANNOTATION_QUARANTINE: "true"}),
            f"Quarantined: by the annotation {ANNOTATION_QUARANTINE}",
        ),
        (provider("p1", "h100", uptime7d=900), "minUptime: 90.0 % over 7d, wanted 99.5 %"),
    ],
)
def test_objections(found: Provider, why: str) -> None:
    wants = policy(regions=("eu-west",))
    if found.status.uptime7d is not None:
        wants = policy(regions=("eu-west",), min_uptime=MinUptime(percent="99.5"))
    wanted = Wanted(workload=workload("h100", "a100"), policy=wants, ceiling=parse_dollars("2"))
    (judged,) = candidates([found], [], wanted, NOW)
    assert judged.objection == why


def test_the_newest_bid_is_the_price_and_the_ceiling_holds() -> None:
    older = replace(lease(bids=(bidding("1.5"), bidding("3", "p2"))))
    newer = lease(name="chat-2", bids=(bidding("1.25"),))
    newer = replace(newer, meta=replace(newer.meta, created_at=NOW + timedelta(minutes=1)))
    assert bid_prices([newer, older]) == {"p1": parse_dollars("1.25"), "p2": parse_dollars("3")}
    wanted = Wanted(workload=workload("h100"), policy=None, ceiling=parse_dollars("2"))
    all_of_them = [provider(name, "h100") for name in ("p3", "p2", "p1")]
    found = candidates(all_of_them, [newer, older], wanted, NOW)
    assert [each.provider.meta.name for each in found] == ["p1", "p3", "p2"]
    assert found[2].objection == "TooExpensive: above 2.00 $/h"
    assert found[1].price_per_hour is None


def test_who_failed_a_moment_ago_is_left_alone() -> None:
    failing = workload("h100", status=WorkloadStatus(failures=(FAILED,)))
    wanted = Wanted(workload=failing, policy=None, ceiling=parse_dollars("2"))
    (judged,) = candidates([provider("p1", "h100")], [], wanted, NOW)
    assert judged.objection.startswith("Excluded")
    (later,) = candidates([provider("p1", "h100")], [], wanted, NOW + timedelta(hours=1))
    assert not later.objection


def test_whose_replica_waits_for_a_successor_is_left_alone_until_then() -> None:
    asked = workload("h100", benchmark=Benchmark(api="OpenAI", min_tokens_per_second=66))
    slow = BenchmarkStatus(
        passed=False,
        tokens_per_second="65.0",
        time_to_first_token_milliseconds=1,
        requests=4,
        at=NOW,
    )
    wanted = Wanted(workload=asked, policy=None, ceiling=parse_dollars("2"))
    (judged,) = candidates(
        [provider("p1", "h100")],
        [lease("Ready", provider="p1", benchmark=slow)],
        wanted,
        NOW + timedelta(days=1),
    )
    assert judged.objection.startswith("Excluded")


@pytest.mark.parametrize(
    ("offer", "fits"),
    [
        (GpuStatus(vendor="nvidia", model="h100", memory="80Gi", interface="sxm"), True),
        (GpuStatus(vendor="nvidia", model="h100", memory="80Gi"), True),
        (GpuStatus(vendor="nvidia", model="h100", memory="94Gi", interface="sxm"), False),
        (GpuStatus(vendor="nvidia", model="h100", interface="sxm"), False),
        (GpuStatus(vendor="nvidia", model="h100", memory="80Gi", interface="pcie"), False),
        (GpuStatus(vendor="amd", model="h100", memory="80Gi"), False),
    ],
)
def test_a_gpu_is_the_one_that_is_asked_for(offer: GpuStatus, fits: bool) -> None:
    model = GpuModel(model="h100", memory="80Gi", interface="sxm")
    resources = Resources(cpu="1", memory="1Gi", gpu=Gpu(models=(model,)))
    wanted = Wanted(workload=workload(resources=resources), policy=None, ceiling=parse_dollars("2"))
    (judged,) = candidates([provider("p1", gpus=(offer,))], [], wanted, NOW)
    assert (not judged.objection) == fits


def test_without_a_workload_only_what_always_holds() -> None:
    found = known(
        [provider("p1", "h100", quarantine=(HELD,)), provider("p2", online=False), provider("p3")],
        NOW,
    )
    assert [(each.provider.meta.name, each.objection) for each in found] == [
        ("p3", ""),
        ("p1", "Quarantined: h100 until 2026-11-23T13:00:00Z"),
        ("p2", "Offline: the market does not reach it"),
    ]
