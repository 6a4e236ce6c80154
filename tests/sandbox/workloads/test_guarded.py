"""The sentinel's guard in a rented container, by what its machine forbids and whom it runs as.

What RuntimeDefault refuses is refused by the kernel here, and not taken away by an option.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import pytest

from akash_sandbox.runtimes.seccomp import Confinement
from akash_sandbox.settings import RuntimeName
from akash_sandbox.workloads.supervisor import Supervisor
from devenv.image import SYNTHETIC, build
from sentinel.packing import zipapp
from tests.sandbox.workloads.bench import Bench, running
from tests.sandbox.workloads.image import Entry, ImageFiles, image, layer
from tests.sandbox.workloads.outside import (
    NOBODY,
    OTHER,
    SERVER,
    destinations,
    reaches,
    serving,
    witness,
)
from tests.sandbox.workloads.registry import LoopbackRegistry

RUNGS: dict[Confinement, set[str]] = {
    "unconfined": {"strict", "emulated"},
    "runtime-default": {"addfd-tcp"},
    "no-user-namespaces": {"strict-tcp", "emulated-tcp"},
}
"""By whether the kernel has Landlock's rules for TCP; ``addfd`` needs none."""
ALLOWED = f"{SERVER}:80"
DENIED = (NOBODY, f"{SERVER}:81", f"{OTHER}:80")
POLICY = {"allow": [{"cidr": f"{SERVER}/32", "ports": [80]}]}
_PYTHON = ("/usr/bin/python3", "-I", "-S", "/opt/sentinel.pyz")
_GUARD = (*_PYTHON, "guard", "--policy", "/opt/policy.json", "--report", "/dev/stderr", "--")
_USERS = {"root": "0", "a user of its own": "1001:1002"}


def test_every_confinement_is_tried() -> None:
    assert set(RUNGS) == set(get_args(Confinement))


@pytest.fixture(scope="session")
def python_layer() -> bytes:
    """This machine's Python as a layer, as the images for the other tests have it."""
    layout = asyncio.run(build(SYNTHETIC))
    manifest = json.loads(layout.blob(layout.manifest().digest).read_bytes())
    return layout.blob(manifest["layers"][0]["digest"]).read_bytes()


@pytest.fixture(scope="session")
def guard_layers(layers: list[bytes], python_layer: bytes) -> list[bytes]:
    """The layers of the tiny image, Python, and the zipapp with its policy."""
    guard = layer(
        [
            Entry(path="opt"),
            Entry(path="opt/sentinel.pyz", content=zipapp(), mode=0o644),
            Entry(path="opt/policy.json", content=json.dumps(POLICY).encode(), mode=0o644),
        ]
    )
    return [python_layer, *layers, guard]


@pytest.fixture(params=_USERS)
def reference(
    request: pytest.FixtureRequest, registry: LoopbackRegistry, guard_layers: list[bytes]
) -> str:
    """An image that runs its program under the guard."""
    made: ImageFiles = image(
        guard_layers,
        {"Entrypoint": [*_GUARD, "/serve"], "Env": ["PORT=8000"], "User": _USERS[request.param]},
    )
    return registry.add(made)


@pytest.fixture
async def supervisor(
    open_bench: Bench, oci: RuntimeName, tmp_path: Path
) -> AsyncIterator[Supervisor]:
    """With a web server on the test network."""
    made = await open_bench.supervisor(oci)
    async with serving(made.egress_namespace, tmp_path):
        yield made


@pytest.mark.parametrize("confinement", RUNGS)
async def test_it_enforces_what_the_machine_allows(
    open_bench: Bench, supervisor: Supervisor, reference: str, confinement: Confinement
) -> None:
    await supervisor.deploy(open_bench.ask(image=reference, confinement=confinement))
    external = await running(supervisor)
    start = _start(supervisor)
    assert (start["level"], start["leaks"]) == ("Enforced", [])
    assert start["rung"] in RUNGS[confinement], start["facts"]
    with witness(supervisor.egress_namespace) as seen:
        for denied in DENIED:
            assert not await reaches(external, denied)
        assert await reaches(external, ALLOWED), "the last packets, so none is missed"
        found = destinations(seen)
    assert ALLOWED in found
    assert not set(DENIED) & set(found)


async def test_without_the_guard_the_same_container_reaches_them(
    open_bench: Bench, supervisor: Supervisor, reference: str
) -> None:
    """The control: packets to what is refused above would leave, and be seen."""
    ask = open_bench.ask(image=reference, command=("/serve",), confinement="runtime-default")
    await supervisor.deploy(ask)
    external = await running(supervisor)
    with witness(supervisor.egress_namespace) as seen:
        for denied in DENIED:
            await reaches(external, denied)
        assert set(DENIED) <= set(destinations(seen))


def _start(supervisor: Supervisor) -> dict[str, Any]:
    log = supervisor.log("tenant-1")
    assert log is not None
    lines = [line[line.index("{") :] for line in log.read_text().splitlines() if "{" in line]
    (start,) = [each for each in map(json.loads, lines) if each.get("event") == "start"]
    assert isinstance(start, dict)
    return start
