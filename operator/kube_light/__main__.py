"""``python -m kube_light --port 0`` prints ``ready URL KUBECONFIG`` and serves until a signal."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

import yaml

from kube_light.server import kubeconfig, serve
from kube_light.store import Store


def main() -> None:
    arguments = argparse.ArgumentParser(prog="kube_light", description=__doc__)
    arguments.add_argument("--port", type=int, default=0, help="port on the loopback (0: any)")
    arguments.add_argument("--kubeconfig-out", type=Path, help="where to write the kubeconfig")
    given = arguments.parse_args()
    path = given.kubeconfig_out or Path(tempfile.mkdtemp(prefix="kube-light-")) / "kubeconfig"
    asyncio.run(_run(given.port, path))


async def _run(port: int, path: Path) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serve(Store(), port) as url:
        await asyncio.to_thread(path.write_text, yaml.safe_dump(kubeconfig(url)))
        sys.stdout.write(f"ready {url} {path}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    main()
