"""The in-memory API server as a process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from devenv.checkout import ROOT
from devenv.processes import Process

_START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class LightServer:
    """Forgets everything when it stops."""

    url: str
    kubeconfig: Path
    process: Process


async def start_light(folder: Path) -> LightServer:
    """Return the running server. Raises DevenvError when it does not start."""
    process = await Process.start(
        "light API server",
        (sys.executable, "-m", "kube_light", "--kubeconfig-out", str(folder / "light.kubeconfig")),
        log=folder / "light.log",
        env={"PYTHONPATH": str(ROOT / "operator")},
    )
    url, kubeconfig = await process.ready(limit_seconds=_START_SECONDS)
    return LightServer(url=url, kubeconfig=Path(kubeconfig), process=process)
