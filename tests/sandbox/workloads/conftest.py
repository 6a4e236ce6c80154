"""A tiny real image, a registry that has it, and the runtimes that work on this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from akash_sandbox.runtimes import cgroup
from akash_sandbox.runtimes.choice import choose
from akash_sandbox.runtimes.container import RuntimeFailure
from akash_sandbox.settings import Egress, RuntimeName
from tests.sandbox.workloads.bench import Bench
from tests.sandbox.workloads.image import Entry, ImageFiles, image, layer
from tests.sandbox.workloads.registry import LoopbackRegistry

RUNTIMES: tuple[RuntimeName, ...] = ("runc", "crun", "bubblewrap", "unshare", "process")
_CONFIG = {
    "Entrypoint": ["/serve"],
    "Cmd": ["from-image"],
    "Env": ["PORT=8000", "COLOUR=blue"],
    "WorkingDir": "/work",
}
_SOURCE = Path(__file__).with_name("program")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The tenant's program, built once."""
    if shutil.which("go") is None:
        pytest.skip("needs the Go tool chain to build the program of the image")
    target = tmp_path_factory.mktemp("program") / "program"
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags=-s", "-o", str(target), "."],
        cwd=_SOURCE,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
        timeout=300,
    )
    return target.read_bytes()


@pytest.fixture(scope="session")
def layers(program: bytes) -> list[bytes]:
    """The program and its users, then its folders."""
    users = b"root:x:0:0:root:/root:/bin/sh\nserver:x:1001:1002:server:/home/server:/bin/sh\n"
    first = layer(
        [
            Entry(path="etc"),
            Entry(path="etc/passwd", content=users, mode=0o644),
            Entry(path="bin"),
            Entry(path="bin/program", content=program),
        ]
    )
    second = layer(
        [
            Entry(path="tmp", mode=0o1777),
            Entry(path="work"),
            Entry(path="serve", link="/bin/program"),
        ]
    )
    return [first, second]


@pytest.fixture(scope="session")
def tiny(layers: list[bytes]) -> ImageFiles:
    """An image of these layers that runs as root."""
    return image(layers, _CONFIG)


@pytest.fixture(scope="session")
def tiny_as_server(layers: list[bytes]) -> ImageFiles:
    """The same that runs as a user of its own."""
    return image(layers, {**_CONFIG, "User": "server"})


def together(runtime: RuntimeName) -> list[pytest.MarkDecorator]:
    """Plain processes share this machine's ports, so no two workers may run them at a time."""
    return [pytest.mark.xdist_group("plain-processes")] if runtime == "process" else []


@pytest.fixture(scope="session")
def usable(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The runtimes that work on this machine."""
    return asyncio.run(_usable(tmp_path_factory.mktemp("probe")))


@pytest.fixture(params=[pytest.param(each, marks=together(each)) for each in RUNTIMES])
def runtime(request: pytest.FixtureRequest, usable: frozenset[str]) -> RuntimeName:
    """Each runtime that works on this machine."""
    name: RuntimeName = request.param
    if name not in usable:
        pytest.skip(f"{name} is not installed or does not work on this machine")
    return name


@pytest.fixture
def oci(usable: frozenset[str]) -> RuntimeName:
    """A runtime that applies seccomp profiles and joins networks."""
    names: tuple[RuntimeName, ...] = ("runc", "crun")
    for name in names:
        if name in usable:
            return name
    pytest.skip("neither runc nor crun is installed and works on this machine")


@pytest.fixture
async def registry() -> AsyncIterator[LoopbackRegistry]:
    async with LoopbackRegistry() as serving:
        yield serving


@pytest.fixture
async def bench(
    tmp_path: Path, registry: LoopbackRegistry, tiny: ImageFiles
) -> AsyncIterator[Bench]:
    """Supervisors on one folder, closed at the end."""
    made = Bench(folder=tmp_path / "data", image=registry.add(tiny))
    yield made
    await made.close()


@pytest.fixture
async def open_bench(bench: Bench, oci: RuntimeName) -> Bench:
    """A bench whose supervisors have a test network; skips where none can be made."""
    bench.egress = Egress()
    supervisor = await bench.supervisor(oci)
    if not supervisor.egress_namespace:
        pytest.skip(f"no test network: {supervisor.isolation}")
    await supervisor.close()
    return bench


async def _usable(folder: Path) -> frozenset[str]:
    groups = cgroup.find(f"probe-{os.getpid()}")
    found = set()
    for name in RUNTIMES:
        try:
            await choose(name, folder, groups)
        except RuntimeFailure:
            continue
        found.add(name)
    if groups is not None:
        await groups.clear()
    return frozenset(found)
