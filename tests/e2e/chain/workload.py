"""One workload that is served on the chain."""

from __future__ import annotations

from devenv.bench import workload
from devenv.bench_stage import NAMESPACE
from devenv.stage import Stage
from tests.e2e.waiting import eventually


async def served(stage: Stage) -> None:
    """Have one workload served on the chain."""
    limits = {"maxPricePerHour": "20", "maxLeases": 5, "maxNewLeasesPer10Minutes": 50}
    backend = await stage.backend(horizon_seconds=30)
    body = workload("chat", stage.images["synthetic"])
    await stage.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        stage.account(backend=backend, limits=limits, adoption="Allow"),
        body,
    )
    await eventually(
        "a lease on the chain is Ready",
        lambda: stage.get("al", "-n", NAMESPACE),
        lambda found: any(
            (each.get("status") or {}).get("phase") == "Ready" for each in found["items"]
        ),
    )
