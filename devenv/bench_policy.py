"""How long a changed EgressPolicy takes until every replica has it in force, as its lease's status says.

The replicas are real containers with the agent and the guard. ``make bench`` measures it among the
others; alone it is ``python -m devenv.bench_policy``. Figures are printed, and gate nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from devenv.bench_processes import begin
from devenv.bench_stage import NAMESPACE, outcome, running
from devenv.provision import ensure_container_runtime
from devenv.stage import Script, Stage
from garrison.adapters.kube.client import KubeClient
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import LEASE, WORKLOAD

ROUNDS = 20
REPLICAS = 2
READY_SECONDS = 180.0
CHANGE_SECONDS = 60.0
GOAL_SECONDS = 5


def policy(generation: int) -> dict[str, Any]:
    """Return the policy in another version for each generation."""
    allow = [{"host": f"host-{generation}.example", "ports": [443]}]
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": "hub", "namespace": NAMESPACE},
        "spec": {"allow": allow},
    }


def workload(image: str) -> dict[str, Any]:
    """Return a workload under the policy."""
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "InferenceWorkload",
        "metadata": {"name": "chat", "namespace": NAMESPACE},
        "spec": {
            "image": image,
            "port": 8080,
            "replicas": REPLICAS,
            "resources": {"cpu": "500m", "memory": "256Mi", "storage": "512Mi"},
            "health": {"periodSeconds": 5, "failureThreshold": 60, "timeoutSeconds": 5},
            "egressPolicyRef": {"name": "hub"},
        },
    }


class PolicyBench:
    """Measures on a running stage."""

    def __init__(self, stage: Stage, kube: KubeClient) -> None:
        self._stage = stage
        self._kube = kube

    async def serve(self) -> None:
        """Serve under the policy's first version."""
        await self._stage.apply(policy(1))
        await self._kube.create(WORKLOAD, workload(self._stage.images["synthetic"]))
        await self._in_force(1, READY_SECONDS)

    async def change(self, generation: int) -> float:
        """Return the seconds from ``kubectl apply`` to the version in force at every replica."""
        began = time.monotonic()
        await self._stage.apply(policy(generation))
        await self._in_force(generation, CHANGE_SECONDS)
        return time.monotonic() - began

    async def _in_force(self, generation: int, limit_seconds: float) -> None:
        async with asyncio.timeout(limit_seconds):
            while True:
                raws = await self._kube.list(LEASE, namespace=NAMESPACE)
                held = [_held(parse_lease(raw)) for raw in raws]
                if held == [generation] * REPLICAS:
                    return
                await asyncio.sleep(0.01)


def _held(lease: Lease) -> int | None:
    """The generation in force at a Ready replica, None where there is none."""
    egress = lease.status.egress
    ready = lease.status.phase == "Ready" and egress is not None
    return egress.in_force_generation if ready and egress is not None else None


async def policy_times(folder: Path) -> None:
    """Measure where containers can be isolated, and print."""
    console = Console()
    runtime = await ensure_container_runtime()
    if runtime.name not in {"runc", "crun"}:
        console.print(f"change of an EgressPolicy: not measured, {runtime.missing or runtime.name}")
        return
    async with running(folder, Script(survey_seconds=1.0)) as (stage, kube):
        await stage.apply(stage.account())
        bench = PolicyBench(stage, kube)
        await bench.serve()
        took = [await bench.change(generation) for generation in range(2, ROUNDS + 2)]
        await kube.delete(WORKLOAD, NAMESPACE, "chat")
        console.print(
            f"change of an EgressPolicy: kubectl apply to in force at {REPLICAS} replicas, "
            f"{ROUNDS} rounds: median {statistics.median(took):.2f} s, max {max(took):.2f} s "
            f"(goal: {GOAL_SECONDS} s)",
            soft_wrap=True,
        )


def main() -> int:
    """Measure; 1 with the reason when it cannot be measured."""
    begin("devenv.bench_policy", __doc__)
    return outcome(policy_times, "a version was not in force at every replica in time")


if __name__ == "__main__":
    sys.exit(main())
