"""One test's namespace on the stage, and the market behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from akash_sandbox.client import AdminLease, SandboxAdmin
from devenv.stage import Stage
from tests.e2e.bodies import Body, condition, is_true, workload
from tests.e2e.waiting import PATIENCE_SECONDS, eventually


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """``admin`` looks into the market and switches its faults."""

    stage: Stage
    admin: SandboxAdmin
    namespace: str

    async def kubectl(self, *arguments: str, limit_seconds: float = PATIENCE_SECONDS) -> str:
        """Run kubectl in the namespace."""
        return await self.stage.kubectl(
            *arguments, "--namespace", self.namespace, limit_seconds=limit_seconds
        )

    async def apply_workload(self, name: str, **spec: Any) -> None:
        """Apply a workload of the synthetic model."""
        await self.apply_workloads({name: spec})

    async def apply_workloads(self, specs: Mapping[str, Mapping[str, Any]]) -> None:
        """Apply several at once, by name."""
        image = self.stage.images["synthetic"]
        bodies = [
            workload(self.namespace, name, **{"image": image, **spec})
            for name, spec in specs.items()
        ]
        await self.stage.apply(*bodies)

    async def wait_ready(self, name: str) -> None:
        """Wait as a person does."""
        await self.kubectl(
            "wait", "--for=condition=Ready", f"iw/{name}", "--timeout=120s", limit_seconds=130
        )

    async def serve(self, name: str, **spec: Any) -> None:
        """Apply a workload and wait until it serves."""
        await self.apply_workload(name, **spec)
        await self.wait_ready(name)

    async def workload(self, name: str) -> Body:
        """Return an InferenceWorkload."""
        body: Body = await self.stage.get("iw", name, "--namespace", self.namespace)
        return body

    async def workloads(self) -> dict[str, Body]:
        """Return the InferenceWorkloads by name."""
        found = await self.stage.get("iw", "--namespace", self.namespace)
        return {each["metadata"]["name"]: each for each in found["items"]}

    async def until(self, name: str, type_: str) -> Body:
        """Return a workload once a condition holds for its newest generation."""
        return await eventually(
            f"{type_} of {name}", lambda: self.workload(name), lambda body: is_true(body, type_)
        )

    async def condition(self, name: str, type_: str) -> Body:
        """Return a condition of a workload, an empty one when it has none."""
        return condition(await self.workload(name), type_)

    async def leases(self) -> list[Body]:
        """Return the AkashLeases."""
        found: list[Body] = (await self.stage.get("al", "--namespace", self.namespace))["items"]
        return found

    async def provider(self, name: str) -> Body:
        """Return the AkashProvider of a provider of the market."""
        address = next(each.address for each in await self.admin.providers() if each.name == name)
        body: Body = await self.stage.get("ap", address)
        return body

    async def results(self, provider: str) -> list[tuple[str, str]]:
        """Return (outcome, reason) of the leases in a provider's record."""
        status = (await self.provider(provider)).get("status") or {}
        return [(each["outcome"], each.get("reason", "")) for each in status.get("results", [])]

    async def paid(self) -> list[AdminLease]:
        """Return the leases that cost something now, whoever ordered them."""
        return [each for each in await self.admin.leases() if each.state == "active"]

    async def end(self) -> None:
        """Delete everything and wait until nothing is paid.

        The workloads go first: Kubernetes lets five seconds pass before it empties a namespace.
        """
        await self.admin.clear_faults()
        await self.kubectl("delete", "iw", "--all", "--ignore-not-found")
        await asyncio.gather(
            self.stage.kubectl(
                "delete", "ns", self.namespace, "--ignore-not-found", "--wait=false"
            ),
            self.nothing_paid(),
        )

    async def nothing_paid(self) -> None:
        """Wait until the market has no open lease."""
        await eventually("free of paid leases", self.paid, lambda found: not found)

    async def namespace_gone(self) -> None:
        """Wait until Kubernetes has finished with the namespace: nothing in it is held any more."""

        async def found() -> str:
            return await self.stage.kubectl("get", "ns", self.namespace, "--ignore-not-found")

        await eventually("free of its namespace", found, lambda text: not text)
