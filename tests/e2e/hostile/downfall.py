"""All attacks run side by side, and what was seen of each."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from akash_sandbox.client import HostilityChange, SandboxAdmin
from devenv.stage import RELEASE, Stage
from tests.e2e.bodies import Body
from tests.e2e.hostile.attack import Attack
from tests.e2e.refusals import readable
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

HAVEN = "haven"
READER = "reader"
"""A provider that keeps what it receives, and else behaves."""

FALL_SECONDS = 240.0
AT_ONCE = 3
"""Containers of two attacks and what they move to are what two processors can carry."""

PAUSE_SECONDS = 1.0
"""Between two looks: kubectl takes a good part of a processor's second."""

SECRET_FILE = "planted"
HEALTH = {"periodSeconds": 1, "timeoutSeconds": 5, "startupGraceSeconds": 90}
PATIENCE = 5


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one attack.

    ``leases`` are the newest looks at every lease of the workload, which may have missed the last moments
    of one; ``failures`` are what the workload keeps of those.
    """

    attack: Attack
    canary: str
    leases: dict[str, Body] = field(default_factory=dict)
    failures: list[Body] = field(default_factory=list)
    events: list[Body] = field(default_factory=list)

    def at(self, address: str) -> list[Body]:
        """Return the leases with a provider."""
        return [each for each in self.leases.values() if _status(each).get("provider") == address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Downfall:
    """``addresses`` are the providers' by name."""

    scene: Scene
    addresses: dict[str, str]
    outcomes: dict[str, Outcome]

    @classmethod
    @asynccontextmanager
    async def of(
        cls, stage: Stage, admin: SandboxAdmin, attacks: Sequence[Attack]
    ) -> AsyncIterator[Downfall]:
        """Run the attacks, some at once, and wait for the ends; the namespace goes afterwards."""
        scene = Scene(stage=stage, admin=admin, namespace=f"hostile-{uuid4().hex[:6]}")
        await admin.clear_faults()
        namespace = {"apiVersion": "v1", "kind": "Namespace"}
        await stage.apply(
            stage.account(limits=LIMITS), {**namespace, "metadata": {"name": scene.namespace}}
        )
        await stage.apply(*readable(scene.namespace, RELEASE))
        addresses = {each.name: each.address for each in await admin.providers()}
        made = cls(scene=scene, addresses=addresses, outcomes={})
        try:
            turns = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(made._run(each, turns) for each in attacks))
            yield made
        finally:
            await scene.end()

    async def seen(self, provider: str) -> dict[str, bytes]:
        """Return what a provider has kept of all that it received, by file name."""
        found = await self.scene.admin.seen(provider)
        paths = [Path(each.path) for each in found]
        return {path.name: await asyncio.to_thread(path.read_bytes) for path in paths}

    async def _run(self, attack: Attack, turns: asyncio.Semaphore) -> None:
        async with turns:
            await self._attacked(attack)

    async def _attacked(self, attack: Attack) -> None:
        outcome = self.outcomes[attack.name] = Outcome(attack=attack, canary=canary(attack.name))
        reading = attack.change if not attack.once_ready else HostilityChange(reads=True)
        await self.scene.admin.be_hostile(attack.name, reading)
        await self.order(attack.name, [attack.name, HAVEN], outcome.canary)
        if attack.once_ready:
            await self._until_ready(outcome, attack.name)
            await self.scene.admin.be_hostile(attack.name, attack.change)
        await self._until_ready(outcome, HAVEN)
        outcome.failures = await self._failures(attack.name)
        outcome.events = await self._events(attack.name)

    async def order(
        self, name: str, providers: list[str], planted: str, *, patience: int = PATIENCE
    ) -> None:
        """Apply a workload with a planted secret that these providers may host.

        It is given up after ``patience`` failed probes, one a second.
        """
        where = {"name": name, "namespace": self.scene.namespace}
        garrison = {"apiVersion": "garrison.dev/v1alpha1", "metadata": where}
        source = {"type": "SecretRef", "secretRef": {"name": name, "key": "value"}}
        include = [self.addresses[each] for each in providers]
        await self.scene.stage.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": where,
                "data": {"value": coded(planted)},
            },
            {**garrison, "kind": "RotatingSecret", "spec": {"source": source, "scope": "Workload"}},
            {**garrison, "kind": "ProviderPolicy", "spec": {"include": include}},
        )
        use = {"rotatingSecretRef": {"name": name}, "file": SECRET_FILE, "onRotate": "None"}
        await self.scene.apply_workload(
            name,
            trust="Verified",
            health={**HEALTH, "failureThreshold": patience},
            secrets=[use],
            providerPolicyRef={"name": name},
        )

    async def _until_ready(self, outcome: Outcome, provider: str) -> None:
        def is_so(leases: list[Body]) -> bool:
            ready = (each for each in leases if _status(each).get("phase") == "Ready")
            return self.addresses[provider] in {_status(each).get("provider") for each in ready}

        async def look() -> list[Body]:
            await asyncio.sleep(PAUSE_SECONDS)
            for each in await self.scene.leases():
                owners = each["metadata"].get("ownerReferences") or []
                if outcome.attack.name in [owner["name"] for owner in owners]:
                    outcome.leases[each["metadata"]["name"]] = each
            return list(outcome.leases.values())

        what = f"{outcome.attack.name} served by {provider}"
        await eventually(what, look, is_so, limit_seconds=FALL_SECONDS)

    async def _failures(self, name: str) -> list[Body]:
        found: Any = await self.scene.stage.get("iw", name, "--namespace", self.scene.namespace)
        return list(found["status"].get("failures") or ())

    async def _events(self, name: str) -> list[Body]:
        found: Any = await self.scene.stage.get("events", "--namespace", self.scene.namespace)
        return [each for each in found["items"] if name in json.dumps(each["involvedObject"])]


LIMITS = {"maxPricePerHour": "20", "maxLeases": 40, "maxNewLeasesPer10Minutes": 200}


def canary(name: str) -> str:
    """Return a secret that nothing else contains."""
    return f"planted-{name}-{uuid4().hex}"


def coded(text: str) -> str:
    """Return base64."""
    return base64.b64encode(text.encode()).decode()


def _status(lease: Body) -> Body:
    found: Body = lease.get("status") or {}
    return found
