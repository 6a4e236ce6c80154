"""Workloads without containers: each is a make-believe model server inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from akash_sandbox import session
from akash_sandbox.external_ports import ExternalPorts
from akash_sandbox.hostility import Hostility
from akash_sandbox.settings import Workloads as WorkloadSettings
from akash_sandbox.synthetic import Shape, SyntheticModel, speed_from_env
from akash_sandbox.workload import NoProgramError, Session, WorkloadAsk, WorkloadState

# The few commands that a shell finds in a workload which is no container; all are harmless.
_COMMANDS = {
    "echo": ("/bin/echo",),
    "warn": ("/bin/sh", "-c", 'echo "$@" >&2', "warn"),
    "cat": ("/bin/cat", "-"),
    "true": ("/bin/true",),
    "false": ("/bin/false",),
}


@dataclass(slots=True, kw_only=True)
class _Run:
    ask: WorkloadAsk
    shape: Shape = field(default_factory=Shape)
    suspended: bool = False
    restarts: int = 0
    message: str = "starting"
    runner: web.AppRunner | None = None
    task: asyncio.Task[None] | None = None


class SimulatedWorkloads:
    """Serves a synthetic model on every forwarded port; pulls no image and starts no process."""

    def __init__(self, folder: Path, settings: WorkloadSettings, host: str = "127.0.0.1") -> None:
        self._host = host
        self._logs = folder / "synthetic-logs"
        self._settings = settings
        self._ports = ExternalPorts(folder / "synthetic-ports.json", host)
        self._runs: dict[str, _Run] = {}

    @property
    def isolation(self) -> str:
        return "none needed: synthetic models in the sandbox's own process, images are not run"

    @property
    def egress_namespace(self) -> str:
        return ""

    async def open(self) -> None:
        """Do nothing: an ended process leaves nothing of a synthetic model."""

    async def deploy(self, ask: WorkloadAsk) -> None:
        run = self._runs.get(ask.id)
        if run is not None and run.ask == ask:
            return
        if run is not None:
            await self._stop(run)
            run.ask = ask
        else:
            run = self._runs[ask.id] = _Run(ask=ask)
        self._start(run)

    async def remove(self, workload: str) -> None:
        run = self._runs.pop(workload, None)
        if run is not None:
            await self._stop(run)
            self._ports.forget(f"{workload}/")
            await asyncio.to_thread(self._log(workload).unlink, missing_ok=True)

    async def restart(self, workload: str) -> None:
        run = self._runs.get(workload)
        if run is not None and not run.suspended:
            await self._stop(run)
            run.restarts += 1
            self._start(run)

    def state(self, workload: str) -> WorkloadState | None:
        run = self._runs.get(workload)
        if run is None:
            return None
        return WorkloadState(
            running=run.runner is not None and not run.message,
            restarts=run.restarts,
            message=run.message,
            forwarded=tuple((port, self._external(run, port)) for port in run.ask.ports),
        )

    def log(self, workload: str, /) -> Path | None:
        return self._log(workload) if workload in self._runs else None

    async def execute(self, workload: str, argv: Sequence[str], /, *, tty: bool) -> Session:
        run = self._runs.get(workload)
        command = _COMMANDS.get(argv[0]) if argv else None
        if run is None or run.runner is None or command is None:
            raise NoProgramError(f"a synthetic workload has {', '.join(_COMMANDS)} only")
        arguments = () if argv[0] == "cat" else argv[1:]
        return await session.start([*command, *arguments], tty=tty)

    async def suspend(self, workload: str, suspended: bool) -> None:
        run = self._runs.get(workload)
        if run is None or run.suspended == suspended:
            return
        run.suspended = suspended
        await self._stop(run)
        if not suspended:
            self._start(run)

    async def shape(
        self, workload: str, *, latency_ms: int, bytes_per_second: int, speed_percent: int
    ) -> None:
        run = self._runs.get(workload)
        if run is not None:
            run.shape = Shape(
                latency_ms=latency_ms,
                bytes_per_second=bytes_per_second,
                speed_percent=speed_percent,
            )

    async def turn(self, workload: str, hostility: Hostility) -> None:
        """Do nothing: there is no container to be hostile to. The admin API refuses it before."""

    async def swap(self, workload: str, _path: str, _content: bytes) -> None:
        raise NoProgramError(f"{workload} is a synthetic model and has no files; set a runtime")

    async def close(self) -> None:
        for run in self._runs.values():
            await self._stop(run)
        self._runs.clear()

    def _log(self, workload: str) -> Path:
        return self._logs / workload

    def _write(self, run: _Run, *lines: str) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        with self._log(run.ask.id).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _external(self, run: _Run, port: int) -> int:
        return self._ports.of(f"{run.ask.id}/{port}")

    def _start(self, run: _Run) -> None:
        if not run.suspended:
            run.message = "starting"
            run.task = asyncio.create_task(self._keep_running(run), name=f"workload {run.ask.id}")

    async def _stop(self, run: _Run) -> None:
        task, run.task = run.task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        runner, run.runner = run.runner, None
        if runner is not None:
            await runner.cleanup()
        run.message = "stopped"

    async def _keep_running(self, run: _Run) -> None:
        wait = self._settings.restart_first_seconds
        while not await self._up(run):
            await asyncio.sleep(wait)
            run.restarts += 1
            wait = min(wait * 2, self._settings.restart_greatest_seconds)

    async def _up(self, run: _Run) -> bool:
        """Return whether the model serves now; on failure the run's message says why not."""
        env = dict(run.ask.env)
        if env.get("SYNTHETIC_CRASH") == "1":
            run.message = "exited with code 1; last words: SYNTHETIC_CRASH=1"
            self._write(run, "SYNTHETIC_CRASH=1")
            return False
        try:
            await self._serve(run, env)
        except (OSError, ValueError) as error:
            run.message = f"cannot serve: {error}"
            runner, run.runner = run.runner, None
            if runner is not None:
                await runner.cleanup()
            return False
        run.message = ""
        self._write(run, "the model is loaded", *(f"listens on {port}" for port in run.ask.ports))
        return True

    async def _serve(self, run: _Run, env: dict[str, str]) -> None:
        name = env.get("SYNTHETIC_MODEL", "synthetic")
        model = SyntheticModel(name=name, speed=speed_from_env(env), shape=lambda: run.shape)
        runner = web.AppRunner(model.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        # Known to the run before it listens: a stop in between must find it.
        run.runner = runner
        for port in run.ask.ports:
            external = self._external(run, port)
            host = run.ask.host or self._host
            await web.TCPSite(runner, host, external, reuse_address=True).start()
