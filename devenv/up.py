"""``make up`` and ``make down``: the demo's stage, left running in the background."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import select
import shlex
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from devenv.cache import cache_folder
from devenv.checkout import ROOT
from devenv.demo import NAME, Demo, prepared, script
from devenv.demo_board import Board
from devenv.demo_view import shown
from devenv.errors import DevenvError
from devenv.processes import INTERRUPTED, Process, end_on_sigterm
from garrison.errors import GarrisonError

START_SECONDS = 900.0
STOP_SECONDS = 300.0
LOOK_SECONDS = 0.2
READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What a person needs to drive the stage. ``programs``: a folder with kubectl and garrison."""

    kubeconfig: str
    programs: str
    home: str
    sandbox_url: str
    sandbox_token_file: str

    def text(self) -> str:
        """Return lines for a shell, and things to try."""
        return f"""
export KUBECONFIG={shlex.quote(self.kubeconfig)}
export PATH={shlex.quote(self.programs)}:$PATH
export GARRISON_SANDBOX_URL={self.sandbox_url} GARRISON_SANDBOX_TOKEN_FILE={shlex.quote(self.sandbox_token_file)}

Try:
  kubectl get iw,al,ap,aa,pp -A
  kubectl scale iw/{NAME} -n {self.home} --replicas=3
  garrison connect iw/{NAME} -n {self.home}    # prints an address for the OpenAI API: curl ADDRESS/v1/models

End it with: make down"""


def _folder() -> Path:
    return cache_folder("up")


@contextlib.contextmanager
def _held() -> Iterator[IO[str] | None]:
    """Yield the file that says who the stage is, locked; None when a stage holds it."""
    with (_folder() / "pid").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


def running() -> int | None:
    """Return the pid of the stage that runs, None when none does; a pid left by a dead one is no stage."""
    with _held() as file:
        if file is not None:
            return None
        with contextlib.suppress(OSError, ValueError):
            return int((_folder() / "pid").read_text())
        return None


def _announced() -> Announcement | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Announcement(**json.loads((_folder() / "stage.json").read_text()))
    return None


async def up() -> None:
    """Start the stage in the background; returns once the workload is Ready. Raises DevenvError."""
    if (pid := running()) is not None:
        announced = _announced()
        print(f"already running (process {pid}); end it with: make down")
        print(announced.text() if announced else f"it is starting: {_folder() / 'up.log'}")
        return
    script()
    log = _folder() / "up.log"
    log.unlink(missing_ok=True)
    process = await Process.start(
        "stage",
        [sys.executable, "-m", "devenv.up", "serve"],
        log=log,
        env={"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        cwd=ROOT,
        detached=True,
    )
    end_on_sigterm()
    following = asyncio.create_task(_follow(process))
    try:
        await process.ready(limit_seconds=START_SECONDS, word=READY)
        await following
    except BaseException:
        await process.stop(grace_seconds=STOP_SECONDS)
        raise
    finally:
        following.cancel()
    if announced := _announced():
        print(announced.text(), flush=True)


async def _follow(process: Process) -> None:
    """Print what the stage says as it comes, until it is ready."""
    said = 0
    while True:
        lines = process.output().splitlines(keepends=True)
        for line in lines[said:]:
            if not line.endswith("\n"):
                break
            if line.strip() == READY:
                return
            print(line, end="", flush=True)
            said += 1
        await asyncio.sleep(LOOK_SECONDS)


async def serve() -> None:
    """Hold the stage until SIGTERM. Raises DevenvError when one is held already."""
    end_on_sigterm()
    with _held() as file, contextlib.suppress(asyncio.CancelledError):
        if file is None:
            raise DevenvError("a stage is running already; end it with: make down")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        async with _swept() as folder:
            await _hold(folder)


async def _hold(folder: Path) -> None:
    board = Board(title="garrison")
    with shown(board, Console(force_terminal=False)):
        async with prepared(board, folder, script()) as demo:
            await demo.serve()
            announcement = await asyncio.to_thread(_programs, folder, demo)
            (_folder() / "stage.json").write_text(json.dumps(asdict(announcement)))
            print(READY, flush=True)
            await asyncio.Event().wait()


def _programs(folder: Path, demo: Demo) -> Announcement:
    """Put the programs to try in a folder for the PATH; kubectl may be there only in the cache."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(demo.stage.kubectl_path)
    garrison = programs / "garrison"
    path = shlex.quote(str(ROOT / "operator"))
    python = shlex.quote(sys.executable)
    garrison.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {python} -m garrison.cli "$@"\n')
    garrison.chmod(0o755)
    market = demo.stage.market
    return Announcement(
        kubeconfig=str(demo.stage.kubeconfig),
        programs=str(programs),
        home=demo.home,
        sandbox_url=market.admin_url,
        sandbox_token_file=str(market.token_file),
    )


@contextlib.asynccontextmanager
async def _swept() -> AsyncIterator[Path]:
    """Yield an empty folder, removed at the end with what a killed stage left beside it."""
    await asyncio.to_thread(_sweep)
    try:
        yield _folder() / f"stage-{os.getpid()}"
    finally:
        await asyncio.to_thread(_sweep)


def _sweep() -> None:
    (_folder() / "stage.json").unlink(missing_ok=True)
    for each in _folder().glob("stage-*"):
        shutil.rmtree(each, ignore_errors=True)


def down() -> None:
    """End the stage. Raises DevenvError when it does not end."""
    pid = running()
    if pid is None:
        print("nothing is running")
        return
    print(f"ending process {pid}: operator, market, containers, control plane", flush=True)
    began = time.monotonic()
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself meanwhile
        _end(pid)
    print(f"ended in {time.monotonic() - began:.1f} s")


def _end(pid: int) -> None:
    """Ask a process to end and wait until it has; it lets go of its lock a little earlier."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        ended, _, _ = select.select([process], [], [], STOP_SECONDS)
    finally:
        os.close(process)
    if not ended:
        raise DevenvError(f"process {pid} did not end within {STOP_SECONDS:.0f} s; kill it")


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
    except (DevenvError, GarrisonError) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything that was started has been stopped", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
