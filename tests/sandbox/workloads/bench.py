"""A supervisor under test and the questions that tests ask of it and its tenants."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from akash_sandbox.seen import Seen
from akash_sandbox.settings import Egress, Registry, RuntimeName, Workloads
from akash_sandbox.workload import WorkloadAsk, WorkloadState
from akash_sandbox.workloads.supervisor import Supervisor

PORT = 8000
_PATIENCE_SECONDS = 25.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Bench:
    """Opens supervisors one after another on the same folder."""

    folder: Path
    image: str
    egress: Egress = field(default_factory=lambda: Egress(network="off"))
    seen: Seen | None = None
    opened: list[Supervisor] = field(default_factory=list)

    async def supervisor(self, runtime: RuntimeName = "auto") -> Supervisor:
        """Return a supervisor that is open."""
        made = Supervisor(
            folder=self.folder,
            registry=Registry(),
            workloads=Workloads(
                runtime=runtime,
                restart_first_seconds=0.05,
                restart_greatest_seconds=0.4,
                stop_grace_seconds=0.5,
            ),
            egress=self.egress,
            public_host="",
            seen=self.seen,
        )
        self.opened.append(made)
        await made.open()
        return made

    def ask(self, name: str = "tenant-1", **changes: Any) -> WorkloadAsk:
        """Return an order for the tiny image."""
        wanted: dict[str, Any] = {
            "id": name,
            "image": self.image,
            "command": (),
            "args": (),
            "env": (),
            "ports": (PORT,),
            "cpu_millis": 1000,
            "memory_bytes": 256 << 20,
        }
        return WorkloadAsk(**(wanted | changes))

    async def close(self) -> None:
        for each in self.opened:
            await each.close()


async def until(
    condition: Callable[[], Awaitable[bool]], what: Callable[[], object] = lambda: "no answer"
) -> None:
    """Wait for a condition; raises AssertionError with what is the case instead."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                if await condition():
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {_PATIENCE_SECONDS} s; instead: {what()}") from None


async def until_state(
    supervisor: Supervisor, name: str, condition: Callable[[WorkloadState], bool]
) -> WorkloadState:
    """Return a workload's state once it meets a condition."""

    async def met() -> bool:
        state = supervisor.state(name)
        return state is not None and condition(state)

    await until(met, lambda: supervisor.state(name))
    found = supervisor.state(name)
    assert found is not None
    return found


async def running(supervisor: Supervisor, name: str = "tenant-1") -> int:
    """Return a workload's external port once its program answers."""
    state = await until_state(supervisor, name, lambda state: state.running)
    external = dict(state.forwarded)[PORT]
    await until(partial(answers, external))
    return external


async def answers(port: int) -> bool:
    """Return whether the program behind an external port answers."""
    try:
        await get(port, "/who")
    except (aiohttp.ClientError, TimeoutError):
        return False
    return True


async def refuses(port: int) -> bool:
    """Return whether nothing listens on a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    await writer.wait_closed()
    return False


async def get(port: int, path: str) -> Any:
    """Return the program's answer; raises aiohttp.ClientError."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        response.raise_for_status()
        return await response.json(content_type=None)


async def post(port: int, path: str, body: bytes) -> bytes:
    """Return the bytes the program answers with."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"http://127.0.0.1:{port}{path}", data=io.BytesIO(body)) as response,
    ):
        response.raise_for_status()
        return await response.read()
