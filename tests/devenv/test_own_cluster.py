"""A person's own cluster: refused when it is not free, and given back as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from devenv.command import output_of
from devenv.controlplane import start_controlplane
from devenv.light import start_light
from devenv.provision import ensure_kubectl
from tests.devenv.commands import LIMIT_SECONDS, Home
from tests.devenv.test_demo import PROOF, PYTHON

KUBECTL_SECONDS = 60
KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,serviceaccounts,"
    "roles,rolebindings,secrets,configmaps"
)

pytestmark = pytest.mark.timeout(3 * LIMIT_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that nobody here made."""

    kubeconfig: Path
    kubectl: Path

    async def run(self, *words: str) -> str:
        argv = (str(self.kubectl), "--kubeconfig", str(self.kubeconfig), *words)
        return await output_of(argv, limit_seconds=KUBECTL_SECONDS)

    async def contents(self) -> set[str]:
        """Return the namespace and name of everything that the commands could have made."""
        found: set[str] = set()
        for kind in KINDS.split(","):
            said = await self.run("get", kind, "-A", "--no-headers", "-o", "name", "--show-kind")
            found |= set(said.split())
        return found

    def wish(self) -> dict[str, str]:
        """Return the variables with which a person asks for this cluster."""
        return {"GARRISON_USE_CLUSTER": "1", "KUBECONFIG": str(self.kubeconfig)}


@pytest_asyncio.fixture
async def light(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster for what is refused before anything is made."""
    server = await start_light(tmp_path)
    yield Cluster(kubeconfig=server.kubeconfig, kubectl=await ensure_kubectl())
    await server.process.stop()


@pytest_asyncio.fixture
async def real(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """A real control plane with a namespace ``prod`` that is somebody's."""
    plane = await start_controlplane(tmp_path_factory.mktemp("own") / "cluster")
    cluster = Cluster(kubeconfig=plane.kubeconfig, kubectl=await ensure_kubectl())
    await cluster.run("create", "namespace", "prod")
    await cluster.run("create", "configmap", "dear", "-n", "prod", "--from-literal=a=b")
    yield cluster
    await plane.stop()


async def test_a_cluster_that_does_not_answer_is_refused(home: Home, light: Cluster) -> None:
    text = await asyncio.to_thread(light.kubeconfig.read_text)
    port = text.rpartition("127.0.0.1:")[2].split()[0]
    dead = home.folder / "dead"
    await asyncio.to_thread(dead.write_text, text.replace(port, "1"))
    ended = await home.run(*PYTHON, GARRISON_USE_CLUSTER="1", KUBECONFIG=str(dead))
    assert ended.code == 1
    assert "does not answer" in ended.output
    assert "leave out GARRISON_USE_CLUSTER=1" in " ".join(ended.output.split())


@pytest.mark.parametrize("name", ["garrison-system", "garrison-demo"])
async def test_a_cluster_that_has_what_would_be_made_is_left_alone(
    home: Home, light: Cluster, name: str
) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    file = home.folder / "namespace.json"
    await asyncio.to_thread(file.write_text, json.dumps(body))
    await light.run("apply", "--validate=false", "-f", str(file))
    ended = await home.run(*PYTHON, **light.wish())
    assert ended.code == 1
    said = " ".join(ended.output.split())
    assert f"has namespace/{name}" in said
    assert "Nothing was changed" in said
    assert name in await light.run("get", "namespaces", "-o", "name")


@pytest.mark.long
async def test_the_demo_gives_it_back_as_it_was(home: Home, real: Cluster) -> None:
    before = await real.contents()
    ended = await home.run("make", "demo", **real.wish())
    assert ended.code == 0, ended.output
    assert PROOF in ended.output
    assert await real.contents() == before


@pytest.mark.long
async def test_up_and_down_give_it_back_as_it_was(home: Home, real: Cluster) -> None:
    before = await real.contents()
    up = await home.run("make", "up", **real.wish())
    assert up.code == 0, up.output
    assert "namespace/garrison-demo" in await real.contents()
    refused = await home.run(*PYTHON, **real.wish())
    assert refused.code == 1
    assert "Nothing was changed" in " ".join(refused.output.split())
    down = await home.run("make", "down")
    assert down.code == 0, down.output
    assert await real.contents() == before


@pytest.mark.long
@pytest.mark.parametrize("moment", ["Chart", "Operator", "Verifying"])
async def test_ctrl_c_gives_it_back_as_it_was(home: Home, real: Cluster, moment: str) -> None:
    before = await real.contents()
    demo = await home.start("make", "demo", **real.wish())
    await demo.says(moment)
    demo.interrupt()
    ended = await demo.ended()
    assert "everything that was started has been stopped" in ended.output
    assert await real.contents() == before
    assert home.left() == []


@pytest.mark.long
async def test_a_dead_operator_holds_nothing_back(home: Home, real: Cluster) -> None:
    before = await real.contents()
    up = await home.run("make", "up", **real.wish())
    assert up.code == 0, up.output
    home.kill("garrison.cli run")
    down = await home.run("make", "down")
    assert down.code == 0, down.output
    assert await real.contents() == before
