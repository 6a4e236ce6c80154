"""The operator ends its own way: kopf does not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devenv.light import start_light
from garrison import app
from garrison.adapters.kube.client import connect
from garrison.api.meta import Kind
from garrison.api.schema import crds
from garrison.errors import InvalidSpecError
from garrison.handlers.watch import watch
from garrison.settings import Settings

WATCHING_SECONDS = 1.0
"""kopf has begun to watch by then; when it has not, it ends as well, but slowly."""
CRD = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Path]:
    """The kubeconfig of a light API server with Garrison's kinds and namespace."""
    light = await start_light(tmp_path)  # a process: kopf takes all tasks of its own for its own
    kube = await connect(str(light.kubeconfig))
    for body in crds():
        await kube.create(CRD, body)
    await kube.create(app.NAMESPACE, {"metadata": {"name": "garrison-system"}})
    await kube.close()
    yield light.kubeconfig
    await light.process.stop()


async def test_sigterm_ends_the_engine_before_the_watch(
    cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf would end on its own, and cancel passes in flight as tasks that it takes for its own."""
    told_to_end: list[bool] = []

    async def watched(
        kinds: Any, deliver: Any, login: Any, stop: asyncio.Event, *rest: Any
    ) -> None:
        try:
            await watch(kinds, deliver, login, stop, *rest)
        finally:
            told_to_end.append(stop.is_set())

    monkeypatch.setattr(app, "watch", watched)

    def kill_later(_: str) -> None:
        asyncio.get_running_loop().call_later(
            WATCHING_SECONDS, os.kill, os.getpid(), signal.SIGTERM
        )

    await app.run(Settings(kubeconfig=str(cluster), port=0), ready=kill_later)
    assert told_to_end == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "pools.txt cannot be read"), ("pool.example\nno pool", "line 2: 'no pool' is no host")],
)
async def test_a_list_of_mining_pools_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, said: str
) -> None:
    """An operator without the list that it was told to have would be silent about pools."""
    pools = tmp_path / "pools.txt"
    if text is not None:
        pools.write_text(text)
    with pytest.raises(InvalidSpecError, match=said):
        await app.run(Settings(mining_pools=pools, port=0))
