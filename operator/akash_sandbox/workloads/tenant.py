"""One workload: pulled, started, forwarded to, and started again when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from akash_sandbox import netns, session
from akash_sandbox.egress.network import Cable, EgressNetwork
from akash_sandbox.external_ports import ExternalPorts
from akash_sandbox.hostility import Hostility, stolen
from akash_sandbox.images.reference import ImageError
from akash_sandbox.images.registry import Login
from akash_sandbox.images.store import ImageStore
from akash_sandbox.images.unpack import resolve
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.container import (
    Container,
    ContainerSpec,
    Runtime,
    RuntimeFailure,
    tail,
)
from akash_sandbox.runtimes.enter import ROOT, entering
from akash_sandbox.seen import Seen
from akash_sandbox.settings import Workloads as WorkloadSettings
from akash_sandbox.workload import NoProgramError, Session, WorkloadAsk, WorkloadState
from akash_sandbox.workloads.command import container_spec
from akash_sandbox.workloads.door import Door, opened
from akash_sandbox.workloads.forward import Forward
from akash_sandbox.workloads.front import Front, Victim
from akash_sandbox.workloads.throttle import Throttle
from akash_sandbox.workloads.traffic import Line
from akash_sandbox.workloads.twin import Twin

_LOOPBACK = "127.0.0.1"
_KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What every workload of a sandbox shares."""

    runtime: Runtime
    cgroups: Cgroups | None
    images: ImageStore
    ports: ExternalPorts
    folder: Path
    host: str
    settings: WorkloadSettings
    egress: EgressNetwork | None = None
    seen: Seen | None = None


class Tenant:
    """Keeps one workload running until it is halted. ``other`` finds another tenant's bootstrap."""

    def __init__(self, ask: WorkloadAsk, place: Place, other: Victim) -> None:
        self.ask = ask
        self._place = place
        self._folder = place.folder / ask.id
        self._there, self._back = Line(), Line()
        self._throttle = Throttle(ask.id, ask.cpu_millis, place.cgroups)
        self._external = {port: place.ports.of(f"{ask.id}/{port}") for port in ask.ports}
        self._forwards = {
            port: Forward(ask.host or place.host, external, self._there, self._back)
            for port, external in self._external.items()
        }
        self._cable: Cable | None = None
        self._container: Container | None = None
        self._spec: ContainerSpec | None = None
        self._unstopped: Container | None = None
        self._door: Door | None = None
        self._restarts = 0
        self._message = "starting"
        self._suspended = False
        self._task: asyncio.Task[None] | None = None
        self._plot: asyncio.Task[None] | None = None
        self._replaced = False
        self._front = Front(stolen(ask.env), real=self._dial, keep=self._keep, other=other)

    def state(self) -> WorkloadState:
        """Return how the workload is now."""
        return WorkloadState(
            running=self._container is not None or self._replaced,
            restarts=self._restarts,
            message=self._message,
            forwarded=tuple(self._external.items()),
            egress_interface=self._cable.interface if self._cable is not None else "",
        )

    @property
    def log(self) -> Path:
        """The file that the container's output goes to."""
        return self._folder / "log"

    async def execute(self, argv: Sequence[str], *, tty: bool) -> Session:
        """Start a command inside the container; raises NoProgramError."""
        container, spec = self._container, self._spec
        if container is None or spec is None:
            raise NoProgramError(f"{self.ask.id} does not run: {self._message}")
        entered = await asyncio.to_thread(entering, self._place.runtime, container, spec, argv)
        if entered is None:
            raise NoProgramError(f"{self.ask.id} has no program {argv[0]!r}")
        return await session.start(entered, tty=tty)

    def start(self) -> None:
        """Run the workload in the background from now on."""
        for forward in self._forwards.values():
            forward.hold()
        if self._task is None and not self._suspended:
            self._task = asyncio.create_task(self._keep_running(), name=f"workload {self.ask.id}")

    async def restart(self) -> None:
        """Stop the container and start it again without back-off; nothing while suspended."""
        if not self._suspended:
            await self._halt("restarting")
            self._restarts += 1
            self.start()

    async def suspend(self, suspended: bool) -> None:
        """Stop the container and refuse connections, or start it again."""
        self._suspended = suspended
        if suspended:
            await self._halt("suspended")
        else:
            self.start()

    async def shape(self, *, latency_ms: int, bytes_per_second: int, speed_percent: int) -> None:
        """Slow network and processor; half of the latency is added each way."""
        for line in (self._there, self._back):
            line.delay = latency_ms / 2000
            line.rate = bytes_per_second
        self._throttle.percent = speed_percent
        if self._container is not None:
            await self._throttle.start(self._container.pid)

    async def turn(self, hostility: Hostility) -> None:
        """Let the provider behave like this from now on; connections that are there break."""
        before, self._front.hostility = self._front.hostility, hostility
        if hostility == before:
            return
        if hostility.replay != "beside":
            await self._sever()
        if hostility.replay != before.replay:
            was_replaced = self._replaced
            await self._unplot()
            if was_replaced and not self._suspended:
                self.start()
        self._conspire()

    def swap(self, path: str, content: bytes) -> None:
        """Overwrite a file inside the running container; raises NoProgramError where it cannot."""
        if self._container is None or self._spec is None:
            raise NoProgramError(f"{self.ask.id} does not run: {self._message}")
        root = self._spec.folder / ROOT
        target = resolve(root, [part for part in path.split("/") if part])
        try:
            target.write_bytes(content)
        except OSError as error:
            raise NoProgramError(f"{path} in {self.ask.id}: {error.strerror}") from error

    async def close(self) -> None:
        """Stop the container and give its ports back to the machine."""
        await self._halt("stopped")
        await asyncio.gather(*(forward.close() for forward in self._forwards.values()))
        if self._cable is not None and self._place.egress is not None:
            await self._place.egress.detach(self._cable)
            self._cable = None

    async def _halt(self, message: str) -> None:
        await self._unplot()
        await self._end(message)

    async def _end(self, message: str) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        # The task may have been interrupted while it was stopping an ended container.
        await self._stop()
        self._message = message

    async def _sever(self) -> None:
        await asyncio.gather(*(forward.sever() for forward in self._forwards.values()))
        await self._front.close()

    def _conspire(self) -> None:
        """Start the second container in the background once the first one's order is known."""
        if self._front.hostility.replay and self._spec is not None and self._plot is None:
            self._plot = asyncio.create_task(self._replay(self._spec), name=f"twin {self.ask.id}")

    async def _replay(self, spec: ContainerSpec) -> None:
        twin = Twin(spec, self._place.runtime, self._place.egress)
        try:
            await twin.start()
        except (RuntimeFailure, OSError) as error:
            self._message = str(error)
            await twin.stop()
            return
        except BaseException:
            await asyncio.shield(twin.stop())
            raise
        self._front.twin = twin
        if self._front.hostility.replay == "instead":
            await self._end("killed by its provider; a copy of it runs elsewhere")
            self._replaced = True
            self._lead()

    async def _unplot(self) -> None:
        plot, self._plot = self._plot, None
        if plot is not None:
            plot.cancel()
            await asyncio.wait([plot])
        twin, self._front.twin = self._front.twin, None
        if self._replaced:
            self._replaced = False
            await self._shut()
        if twin is not None:
            await twin.stop()

    def _keep(self, name: str, data: bytes) -> None:
        if self._place.seen is not None:
            self._place.seen.add(self.ask.provider, f"{self.ask.id}-{name}", data)

    def _read(self, spec: ContainerSpec) -> None:
        """Look at what a container is started with, as root of its machine does."""
        lines = [*spec.argv, *(f"{name}={value}" for name, value in spec.env)]
        self._keep("started-with", "\n".join(lines).encode() + b"\n")

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        first, greatest = self._bounds()
        wait = first
        while True:
            began = loop.time()
            try:
                self._message = await self._run_once()
            except (ImageError, RuntimeFailure, OSError) as error:
                self._message = str(error)
            if loop.time() - began > greatest:
                wait = first
            await asyncio.sleep(wait)
            wait = min(wait * 2, greatest)
            self._restarts += 1

    def _bounds(self) -> tuple[float, float]:
        first = self._place.settings.restart_first_seconds
        return first, max(first, self._place.settings.restart_greatest_seconds)

    async def _run_once(self) -> str:
        """Run the container until it ends and return why it ended."""
        async with self._started() as container:
            self._container, self._message = container, ""
            try:
                code = await container.wait()
            finally:
                self._container = None
                await self._shut()
        return await asyncio.to_thread(self._ended, code)

    @contextlib.asynccontextmanager
    async def _started(self) -> AsyncIterator[Container]:
        self._check_confinement()
        image = await self._place.images.pull(self.ask.image, self._login())
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        network = await self._network()
        self._spec = spec = container_spec(self.ask, image, self._folder, network)
        self._read(spec)
        container = await self._place.runtime.start(spec)
        self._unstopped = container
        try:
            await self._connect(container)
            yield container
        finally:
            await self._stop()

    def _login(self) -> Login:
        username, password = self.ask.login
        return Login(username=username, password=password)

    async def _network(self) -> Path | None:
        """Return the network to start in: the same after every restart, so that packets add up."""
        if self._place.egress is not None and self._cable is None:
            self._cable = await self._place.egress.attach()
        return self._cable.namespace if self._cable is not None else None

    def _check_confinement(self) -> None:
        """Refuse to run less confined than the provider's machine promises."""
        if self.ask.confinement != "unconfined" and not self._place.runtime.seccomp:
            raise RuntimeFailure(
                f"the provider's confinement {self.ask.confinement} needs runc or crun, and this "
                f"machine runs workloads with {self._place.runtime.name}; install runc, or set the "
                "provider's confinement to unconfined"
            )

    async def _stop(self) -> None:
        if self._unstopped is not None:
            await self._throttle.end()
            if self._door is not None:
                await self._door.close()
                self._door = None
            await self._unstopped.stop(self._place.settings.stop_grace_seconds)
            self._unstopped = None

    async def _connect(self, container: Container) -> None:
        """Lead the external ports into the container and apply the wanted speed."""
        pid = container.pid
        if self._place.runtime.own_network:
            try:
                self._door = await opened(pid)
            except (FileNotFoundError, ProcessLookupError):
                return  # It has ended already; waiting for it tells how.
        await self._throttle.start(pid)
        try:
            self._lead()
        except OSError as error:
            await self._shut()
            ports = ", ".join(str(each) for each in self._external.values())
            raise RuntimeFailure(
                f"one of the external ports {ports} is taken by another program of this machine"
            ) from error
        self._conspire()

    def _lead(self) -> None:
        for port, forward in self._forwards.items():
            forward.open(partial(self._front.dial, port))

    async def _dial(self, port: int) -> socket.socket:
        if self._door is not None:
            return await self._door.connect(port)
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        return await netns.connected(made, _LOOPBACK, port)

    async def _shut(self) -> None:
        await asyncio.gather(*(forward.shut() for forward in self._forwards.values()))
        await self._front.close()

    def _ended(self, code: int) -> str:
        words = tail(self.log)
        if code == _KILLED:
            limit = f"its memory limit is {self.ask.memory_bytes} bytes"
            return f"killed with exit code {code}; {limit}; last words: {words}"
        return f"ended with exit code {code}; last words: {words}"
