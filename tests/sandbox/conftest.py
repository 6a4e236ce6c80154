"""Sandbox processes for tests: one shared by all that clean up after themselves, or one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from akash_sandbox.client import SandboxAdmin
from tests.sandbox.sandbox_process import SandboxProcess, Tenant

_CONFIG = """
workloads: {runtime: synthetic, restart_first_seconds: 0.05, restart_greatest_seconds: 0.2}
settle_seconds: 0.1
balance: 1000
"""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A process for the whole session."""
    process = SandboxProcess(tmp_path_factory.mktemp("sandbox") / "data", _CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture
async def tenant(shared: SandboxProcess) -> AsyncIterator[Tenant]:
    async with shared.tenant() as tenant:
        yield tenant


@pytest.fixture
async def admin(shared: SandboxProcess) -> AsyncIterator[SandboxAdmin]:
    """The shared process's admin client; faults are off again afterwards."""
    async with shared.admin() as admin:
        yield admin
        await admin.clear_faults()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[[str], SandboxProcess]]:
    """Return a function that starts a process with more settings."""
    started: list[SandboxProcess] = []

    def start(more: str = "") -> SandboxProcess:
        process = SandboxProcess(tmp_path / f"data{len(started)}", _CONFIG + more)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        if process.child is not None:
            process.stop()
