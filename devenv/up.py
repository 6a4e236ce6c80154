"""``make up`` and ``make down``: the demo's stage, left running in the background."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console

from devenv.cache import cache_folder
from devenv.checkout import ROOT
from devenv.demo import NAME, PROD, Demo, script
from devenv.demo_board import Board
from devenv.demo_view import shown
from devenv.errors import DevenvError
from devenv.processes import Process
from devenv.stage import open_stage
from garrison.adapters.kube.client import connect

START_SECONDS = 900.0
STOP_SECONDS = 60.0


def _pid_file() -> Path:
    return cache_folder("up") / "pid"


def running() -> int | None:
    """Return the pid of the stage that runs, None when none does."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(_pid_file().read_text())
        os.kill(pid, 0)
        return pid
    return None


async def up() -> None:
    """Start the stage in the background; returns once the workload is Ready."""
    if running() is not None:
        raise DevenvError("a stage is running already; end it with: make down")
    folder = cache_folder("up")
    log = folder / "up.log"
    log.unlink(missing_ok=True)
    process = await Process.start(
        "stage",
        [sys.executable, "-m", "devenv.up", "serve"],
        log=log,
        env={"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        cwd=ROOT,
        detached=True,
    )
    _pid_file().write_text(str(process.pid))
    print(f"starting; what it does is in {log}", flush=True)
    kubeconfig, url, token = await process.ready(limit_seconds=START_SECONDS)
    print(
        f"""
export KUBECONFIG={kubeconfig}
export GARRISON_SANDBOX_URL={url} GARRISON_SANDBOX_TOKEN_FILE={token}

Try:
  kubectl get iw,al,ap,aa,pp -A
  kubectl scale iw/{NAME} -n {PROD} --replicas=3
  kubectl describe iw {NAME} -n {PROD}

End it with: make down"""
    )


async def serve() -> None:
    """Hold the stage until SIGTERM."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    board = Board(title="garrison")
    with shown(board, Console(force_terminal=False)):
        folder = cache_folder("up") / f"stage-{os.getpid()}"
        async with _swept(folder), open_stage(folder, script(), say=board.say) as stage:
            kube = await connect(str(stage.kubeconfig))
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(kube.close)
                demo = Demo(stage, board, kube)
                await demo.prepare()
                await demo.serve()
                market = stage.market
                print(
                    f"ready {stage.kubeconfig} {market.admin_url} {market.token_file}", flush=True
                )
                await stop.wait()


@contextlib.asynccontextmanager
async def _swept(folder: Path) -> AsyncIterator[None]:
    """Remove the stage's folder once everything in it has stopped."""
    try:
        yield
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def down() -> None:
    """End the stage. Raises DevenvError when it does not end."""
    pid = running()
    if pid is None:
        print("nothing is running")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running() is not None:
        if time.monotonic() > deadline:
            raise DevenvError(f"process {pid} did not end within {STOP_SECONDS:.0f} s; kill it")
        time.sleep(0.2)
    _pid_file().unlink(missing_ok=True)
    print("ended")


def main() -> int:
    """Run one of the commands; 1 with the reason when it fails."""
    parser = argparse.ArgumentParser(prog="python -m devenv.up", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "serve"), nargs="?", default="up")
    command = parser.parse_args().command
    try:
        match command:
            case "up":
                asyncio.run(up())
            case "serve":
                asyncio.run(serve())
            case _:
                down()
    except DevenvError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
