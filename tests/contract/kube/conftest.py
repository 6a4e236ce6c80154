"""The three implementations, each with the kinds of the contract and an empty namespace."""

from __future__ import annotations

import asyncio
import os
import selectors
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from devenv.controlplane import COLLECTED_SELDOM
from garrison.adapters.kube.client import KubeClient
from garrison.adapters.kube.connection import open_connection
from garrison.adapters.memory.kube import MemoryKube
from garrison.errors import AlreadyExistsError
from garrison.ports.kube import Kube, Object
from kube_light.server import kubeconfig, serve
from kube_light.store import Store
from tests.contract.kube.berth import BERTH, CRD, HARBOUR, NAMESPACE, definition
from tests.contract.kube.waiting import eventually

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""

START_SECONDS = 50
SMALL_PAGE = 2
"""So that every list of three objects has pages."""

IMPLEMENTATIONS = [
    "memory",
    "light",
    pytest.param("real", marks=[pytest.mark.e2e, pytest.mark.xdist_group("controlplane")]),
]


@pytest.fixture(scope="session")
def real_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a real control plane; skip where its binary was not built."""
    binary = _controlplane_binary()
    if binary is None:
        pytest.skip("no control plane: build it, or name it in GARRISON_CONTROLPLANE")
    data = tmp_path_factory.mktemp("controlplane")
    command = [str(binary), "-data-dir", str(data), "-port", "0"]
    with (data / "log").open("wb") as log:
        env = {**os.environ, **COLLECTED_SELDOM}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=env)
    try:
        yield _ready_kubeconfig(process, data / "log")
    finally:
        process.terminate()
        process.communicate(timeout=START_SECONDS)


@pytest.fixture(params=IMPLEMENTATIONS)
async def kube(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kube]:
    """One implementation of the port after another."""
    opened: AbstractAsyncContextManager[Kube]
    match request.param:
        case "memory":
            opened = _memory()
        case "light":
            opened = _light(tmp_path / "kubeconfig")
        case _:
            opened = _client(request.getfixturevalue("real_kubeconfig"))
    async with opened as kube:
        for kind in (BERTH, HARBOUR):
            await _define(kube, definition(kind))
        yield kube


@pytest.fixture
async def namespace(kube: Kube) -> str:
    """Return the name of a new namespace."""
    name = f"contract-{uuid4().hex[:8]}"
    await kube.create(NAMESPACE, {"metadata": {"name": name}})
    return name


@asynccontextmanager
async def _memory() -> AsyncIterator[Kube]:
    yield MemoryKube(Store())


@asynccontextmanager
async def _light(path: Path) -> AsyncIterator[Kube]:
    async with serve(Store()) as url:
        await asyncio.to_thread(path.write_text, yaml.safe_dump(kubeconfig(url)))
        async with _client(str(path)) as client:
            yield client


@asynccontextmanager
async def _client(path: str) -> AsyncIterator[Kube]:
    client = KubeClient(await open_connection(path, None), page=SMALL_PAGE)
    try:
        yield client
    finally:
        await client.close()


async def _define(kube: Kube, crd: Object) -> None:
    try:
        await kube.create(CRD, crd)
    except AlreadyExistsError:
        return
    name = crd["metadata"]["name"]
    await eventually(lambda: kube.get(CRD, "", name), _established)


def _established(crd: Object | None) -> bool:
    status = (crd or {}).get("status") or {}
    conditions = status.get("conditions") or ()
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)


def _controlplane_binary() -> Path | None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    named = os.environ.get("GARRISON_CONTROLPLANE")
    binary = Path(named) if named else cache / "garrison" / "bin" / "controlplane"
    return binary if binary.exists() else None


def _ready_kubeconfig(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.select(START_SECONDS)
    line = process.stdout.readline().split()
    assert line[:1] == ["ready"], f"the control plane did not start: {log.read_text()[-2000:]}"
    return line[2]
