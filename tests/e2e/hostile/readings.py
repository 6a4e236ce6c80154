"""One lease with a provider that reads everything, and one with another provider, both serving."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akash_sandbox.client import CONSOLE, HostilityChange, SandboxAdmin
from akash_sandbox.hostility import BOOTSTRAP, StolenBootstrap, stolen
from devenv.stage import Stage
from tests.e2e.bodies import Body
from tests.e2e.hostile.downfall import HAVEN, READER, Downfall, canary
from tests.spellings import is_held

MINE = "read"
"""The workload at the provider that reads."""
OTHERS = "unread"
"""The workload at the other provider."""
UNREAD_KINDS = frozenset({"secrets"})
"""Where a secret belongs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """``planted`` are the secrets by workload."""

    ground: Downfall
    planted: dict[str, str]

    @classmethod
    @asynccontextmanager
    async def of(cls, stage: Stage, admin: SandboxAdmin) -> AsyncIterator[Readings]:
        """Serve both workloads, with their providers and the Console reading from the start."""
        async with Downfall.of(stage, admin, []) as ground:
            for scope in (CONSOLE, READER, HAVEN):
                await admin.be_hostile(scope, HostilityChange(reads=True))
            made = cls(ground=ground, planted={name: canary(name) for name in (MINE, OTHERS)})
            for name, provider in ((MINE, READER), (OTHERS, HAVEN)):
                await ground.order(name, [provider], made.planted[name], patience=60)
            for name in made.planted:
                await ground.scene.kubectl(
                    *("wait", "--for=condition=Ready", f"iw/{name}", "--timeout=170s"),
                    limit_seconds=180,
                )
            yield made

    async def lease(self, workload: str) -> Body:
        """Return the lease of a workload."""
        found = await self.ground.scene.leases()
        (mine,) = (each for each in found if each["metadata"]["name"].startswith(f"{workload}-"))
        return mine

    async def bootstrap(self) -> StolenBootstrap:
        """Return what the reading provider found in the environment of its container."""
        found = await self.ground.seen(READER)
        started = (data for name, data in found.items() if name.endswith("started-with"))
        lines = b"\n".join(started).decode().splitlines()
        pairs = [(name, value) for name, _, value in (line.partition("=") for line in lines)]
        bootstrap = stolen([pair for pair in pairs if pair[0] == BOOTSTRAP])
        assert bootstrap is not None
        return bootstrap

    async def objects(self) -> bytes:
        """Return every object of the API server but Secrets, as JSON."""
        stage = self.ground.scene.stage
        kinds = (await stage.kubectl("api-resources", "--verbs=list", "-o", "name")).split()
        wanted = ",".join(each for each in kinds if each not in UNREAD_KINDS)
        found: Any = await stage.get(wanted, "--all-namespaces")
        return json.dumps(found).encode()

    async def files(self) -> dict[str, bytes]:
        """Return what the market, the registry, the operator and the containers have written."""
        return await asyncio.to_thread(lambda: dict(_files(self.ground.scene.stage.folder)))


def holding(text: str, found: dict[str, bytes]) -> list[str]:
    """Return the names of what holds a text, as it is or encoded."""
    return [name for name, data in found.items() if is_held(text, data)]


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in [*folder.glob("*.log"), *folder.glob("registry/**/*"), *folder.glob("sandbox/*")]:
        if path.is_file():
            yield path.name, path.read_bytes()
    for path in folder.glob("sandbox/workloads/**/log"):
        yield f"log of {path.parent.name}", path.read_bytes()


def secrets_in(pid: int) -> list[bytes]:
    """Return the files that root of a machine finds in the memory file systems of a container."""
    memory = Path(f"/proc/{pid}/root/dev/shm")
    return [path.read_bytes() for path in sorted(memory.rglob("*")) if path.is_file()]


def pid_of(stage: Stage, workload: str) -> int:
    """Return the first process of a container whose name ends in ``workload``."""
    states = stage.folder / "sandbox" / "workloads" / "runtimes"
    (state,) = (
        path for path in states.glob("*/*/state.json") if path.parent.name.endswith(workload)
    )
    return int(json.loads(state.read_text())["init_process_pid"])
