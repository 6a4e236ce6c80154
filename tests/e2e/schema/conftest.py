"""A real API server with the chart's CustomResourceDefinitions."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest

from devenv.checkout import ROOT
from devenv.generate import CRDS
from garrison.adapters.kube.client import KubeClient
from garrison.adapters.kube.connection import open_connection
from tests.contract.kube.conftest import real_kubeconfig

__all__ = ["real_kubeconfig"]

Kubectl: TypeAlias = Callable[..., str]
SECONDS = 30


@pytest.fixture(scope="session")
def kubectl(real_kubeconfig: str) -> Kubectl:
    """Run kubectl as the administrator and return what it prints; AssertionError when it ends with another code."""

    def run(*arguments: str, stdin: str | None = None, codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", real_kubeconfig, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return done.stdout

    run("apply", "--server-side", "-f", str(ROOT / CRDS))
    run("wait", "--for=condition=Established", "--timeout=20s", "-f", str(ROOT / CRDS))
    run("create", "namespace", "prod")
    return run


@pytest.fixture
async def kube(real_kubeconfig: str, kubectl: Kubectl) -> AsyncIterator[KubeClient]:
    """The operator's own client, as the administrator."""
    client = KubeClient(await open_connection(real_kubeconfig, None))
    try:
        yield client
    finally:
        await client.close()
