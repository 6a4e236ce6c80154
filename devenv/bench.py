"""``make bench``: the operator's own time, a change of a policy, the demo's cold start, and GuideLLM beside ours.

For the operator's own time the market answers at once and containers are synthetic, so what is left
is Garrison, the API server and the market's HTTP. Figures are printed, and gate nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devenv.bench_policy import policy_times
from devenv.bench_processes import begin
from devenv.bench_stage import NAMESPACE, outcome, running
from devenv.demo import prepared
from devenv.demo_board import Board
from devenv.errors import DevenvError
from devenv.peers import compare
from devenv.peers import show as show_contest
from devenv.stage import Script, Stage
from devenv.steps import to_stderr
from garrison.adapters.kube.client import KubeClient
from garrison.api.lease import PHASES, Lease, parse_lease
from garrison.api.meta import LEASE, WORKLOAD

ROUNDS = 10
FAILOVERS = 3
WAIT_SECONDS = 60.0
GOAL_MS = 300


def workload(name: str, image: str) -> dict[str, Any]:
    """Return a workload without a benchmark: nothing is waited for but Garrison."""
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "InferenceWorkload",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "image": image,
            "port": 8080,
            "resources": {"cpu": "500m", "memory": "256Mi", "storage": "512Mi"},
            "health": {"periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 2},
            "traffic": {"drainSeconds": 0},
            "trust": "Unverified",
        },
    }


class Bench:
    """Measures on a running stage."""

    def __init__(self, stage: Stage, kube: KubeClient) -> None:
        self._stage = stage
        self._kube = kube

    async def _ready(self, name: str, *, unlike: str = "") -> Lease:
        """Return the lease that serves, once one does."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for raw in await self._kube.list(LEASE, namespace=NAMESPACE):
                    lease = parse_lease(raw)
                    mine = lease.spec.workload == name and lease.meta.name != unlike
                    if mine and lease.status.phase == "Ready":
                        return lease
                await asyncio.sleep(0.01)

    async def apply_to_ready(self, number: int) -> dict[str, float]:
        """Return milliseconds from apply to each phase."""
        name = f"w{number}"
        began = datetime.now(UTC)
        await self._kube.create(WORKLOAD, workload(name, self._stage.images["synthetic"]))
        lease = await self._ready(name)
        await self._kube.delete(WORKLOAD, NAMESPACE, name)
        return _since(began, lease)

    async def failover(self, number: int) -> dict[str, float]:
        """Return milliseconds from the failure's detection to each phase of the new lease."""
        name = f"f{number}"
        await self._kube.create(WORKLOAD, workload(name, self._stage.images["synthetic"]))
        old = await self._ready(name)
        async with self._stage.market.admin() as admin:
            names = {each.address: each.name for each in await admin.providers()}
            await admin.kill_provider(names[old.status.provider or ""])
            new = await self._ready(name, unlike=old.meta.name)
            await admin.clear_faults()
        await self._kube.delete(WORKLOAD, NAMESPACE, name)
        return _since(new.status.timings[0].at, new)


def _since(began: datetime, lease: Lease) -> dict[str, float]:
    entered = {each.phase: each.at for each in lease.status.timings}
    return {
        phase: (entered[phase] - began).total_seconds() * 1000
        for phase in PHASES
        if phase in entered
    }


def show(title: str, rounds: Sequence[Mapping[str, float]]) -> None:
    """Print the minimum, median and maximum of each phase."""
    table = Table("phase entered after", "min ms", "median ms", "max ms", title=title)
    for phase in PHASES:
        values = [each[phase] for each in rounds if phase in each]
        if values:
            figures = (min(values), statistics.median(values), max(values))
            table.add_row(phase, *(f"{each:.0f}" for each in figures))
    Console().print(table)


async def operator_times(folder: Path) -> None:
    """Measure on a market that answers at once, and print."""
    script = Script(runtime="synthetic", survey_seconds=5.0)
    async with running(folder, script) as (stage, kube):
        await stage.apply(stage.account())
        bench = Bench(stage, kube)
        await bench.apply_to_ready(0)
        rounds = [await bench.apply_to_ready(number) for number in range(1, ROUNDS + 1)]
        show(f"apply to Ready, {ROUNDS} rounds (goal: {GOAL_MS} ms)", rounds)
        failovers = [await bench.failover(number) for number in range(FAILOVERS)]
        show(f"failover: detection to Ready, {FAILOVERS} rounds", failovers)


async def cold_start(folder: Path) -> None:
    """Set the demo's stage, serve the demo's model where it never ran, and print both by step."""
    board = Board(title="cold start", tell=to_stderr)
    async with prepared(board, folder, Script(model=True, survey_seconds=5.0)) as demo:
        began = datetime.now(UTC)
        await demo.serve()
        name = demo.ready_row().name
        raw = await demo.kube.get(LEASE, demo.home, name)
        await demo.leave()
    if raw is None:
        raise DevenvError(f"AkashLease {name} vanished while it was Ready")
    steps = Table("step", "what for", "seconds", title="the demo's stage and its steps")
    for each in board.steps:
        steps.add_row(each.name, each.why, f"{each.seconds or 0:.1f}")
    Console().print(steps)
    show("the demo's model where it never ran: apply to Ready", [_since(began, parse_lease(raw))])


async def measure(folder: Path) -> None:
    """Measure everything, one after the other."""
    await operator_times(folder / "operator")
    await policy_times(folder / "policy")
    await cold_start(folder / "demo")
    for contest in await compare():
        show_contest(contest, Console())


def main() -> int:
    """Run the benchmark; 1 with the reason when something cannot be measured."""
    begin("devenv.bench", __doc__)
    return outcome(measure, "a replica did not become Ready in time")


if __name__ == "__main__":
    sys.exit(main())
