"""A real kube-apiserver with etcd and the controllers that matter without nodes."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devenv.checkout import CONTROLPLANE
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.gobuild import Report, build
from devenv.processes import Process
from devenv.provision import ensure_kubectl

_START_SECONDS = 150
_STOP_SECONDS = 20
_KUBECTL_SECONDS = 30
_YEAR_OF_HOURS = "8760h"
COLLECTED_SELDOM = {"GOGC": os.environ.get("GOGC", "400")}
"""Go collects garbage at five times what is in use, not at twice: starts sooner, takes more memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """``kubeconfig`` is the administrator's."""

    url: str
    kubeconfig: Path
    process: Process

    async def stop(self) -> None:
        """Stop it; the objects stay in the data directory."""
        await self.process.stop(grace_seconds=_STOP_SECONDS)


async def start_controlplane(
    data_dir: Path,
    *,
    port: int = 0,
    log: Path | None = None,
    detached: bool = False,
    report: Report | None = None,
) -> ControlPlane:
    """Return the control plane on ``data_dir``, which keeps its objects between starts.

    ``detached`` lets it outlive this process. Raises DevenvError when it cannot be built or does
    not get ready.
    """
    binary = await (build(CONTROLPLANE, report=report) if report else build(CONTROLPLANE))
    argv = [str(binary), "-data-dir", str(data_dir), "-port", str(port)]
    process = await Process.start(
        "control plane",
        argv if detached else [*argv, "-die-with-parent"],
        log=log or data_dir.with_suffix(".log"),
        env=COLLECTED_SELDOM,
        detached=detached,
    )
    try:
        url, kubeconfig = await process.ready(limit_seconds=_START_SECONDS)
    except BaseException:
        await process.kill()
        raise
    return ControlPlane(url=url, kubeconfig=Path(kubeconfig), process=process)


async def service_account_kubeconfig(
    admin_kubeconfig: Path, namespace: str, name: str, out: Path
) -> Path:
    """Return ``out``, a kubeconfig with a token of the ServiceAccount ``namespace/name``.

    Raises DevenvError when the account does not exist.
    """
    kubectl = await ensure_kubectl()
    base = (str(kubectl), "--kubeconfig", str(admin_kubeconfig), "--request-timeout=20s")
    create = ("--namespace", namespace, "create", "token", name, "--duration", _YEAR_OF_HOURS)
    token, view = await asyncio.gather(
        output_of((*base, *create), limit_seconds=_KUBECTL_SECONDS),
        output_of(
            (*base, "config", "view", "--raw", "--minify", "--output=json"),
            limit_seconds=_KUBECTL_SECONDS,
        ),
    )
    config = _with_token(json.loads(view), namespace=namespace, name=name, token=token.strip())
    await asyncio.to_thread(write_private, out, yaml.safe_dump(config))
    return out


def _with_token(admin: dict[str, Any], *, namespace: str, name: str, token: str) -> dict[str, Any]:
    clusters = admin.get("clusters") or []
    if len(clusters) != 1:
        raise DevenvError(f"the administrator's kubeconfig names {len(clusters)} clusters, not one")
    cluster = clusters[0]
    context = {"cluster": cluster["name"], "user": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": cluster["name"], "context": context}],
        "current-context": cluster["name"],
    }


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
