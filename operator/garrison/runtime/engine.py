"""The engine: events fill the cache, the cache fills the queue, workers run passes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from garrison.api.meta import Key, Raw, key_of
from garrison.core.backoff import delay
from garrison.errors import GarrisonError
from garrison.ports.clock import Chance, Clock
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache
from garrison.runtime.canary import Canary
from garrison.runtime.controller import Controller
from garrison.runtime.executor import Executor, Passed
from garrison.runtime.jobs import Jobs
from garrison.runtime.meter import Meter, NoMeter
from garrison.runtime.notes import Notes
from garrison.runtime.queue import KeyedQueue
from garrison.runtime.resync import resync

log = logging.getLogger("garrison.engine")

WORKERS = 128
"""A pass that changes the market waits for a block, so there are more than would be busy at a time."""
RESYNC_SECONDS = 300.0
GRACE_SECONDS = 10.0


class Engine:
    """Knows no kind: what to do with an object is its controller's business.

    ``register`` the controllers, then ``run``. Handlers call ``on_event``.
    """

    def __init__(
        self,
        *,
        kube: Kube,
        clock: Clock,
        chance: Chance,
        meter: Meter | None = None,
        workers: int = WORKERS,
        resync_seconds: float = RESYNC_SECONDS,
    ) -> None:
        self.cache = Cache()
        self.queue = KeyedQueue()
        self.jobs = Jobs(self.queue.add)
        self.canary = Canary(asyncio.get_running_loop().time)
        self._kube = kube
        self._chance = chance
        self._meter = meter or NoMeter()
        self._notes = Notes(kube, self._meter)
        self._controllers: dict[str, Controller[Any, Any]] = {}
        self._executor = Executor(
            controllers=self._controllers,
            cache=self.cache,
            kube=kube,
            clock=clock,
            meter=self._meter,
            canary=self.canary,
            notes=self._notes,
        )
        self._workers = workers
        self._resync_seconds = resync_seconds
        self._failures: dict[Key, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._synced = asyncio.Event()
        self._stopping = asyncio.Event()
        self._chores: list[Callable[[], Awaitable[None]]] = []
        self.cache.subscribe(self._changed)

    def register(self, controllers: Sequence[Controller[Any, Any]]) -> None:
        """Add controllers, one per kind."""
        for controller in controllers:
            self._controllers[controller.kind.kind] = controller

    def after_resync(self, chore: Callable[[], Awaitable[None]]) -> None:
        """Add what is done after every full listing but the first; a GarrisonError is only logged."""
        self._chores.append(chore)

    @property
    def synced(self) -> bool:
        """Whether every object has been listed once: before that nothing is decided."""
        return self._synced.is_set()

    @property
    def alive(self) -> bool:
        """Whether the workers run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def on_event(self, kind: str, raw: Raw) -> None:
        """Take over a watch event: ``ADDED``, ``MODIFIED`` or ``DELETED``; "" for a first listing."""
        self.canary.seen(raw)
        if kind == "DELETED":
            self.cache.remove(key_of(raw), raw["metadata"]["uid"])
        else:
            self.cache.put(raw)

    def _changed(self, old: Raw | None, new: Raw | None) -> None:
        """Ask for a look at the object and at everything that its kind triggers."""
        for raw in (old, new):
            if raw is None:
                continue
            key = key_of(raw)
            if key.kind in self._controllers:
                self.queue.add(key)
            self._trigger(key.kind, raw)

    def _trigger(self, kind: str, raw: Raw) -> None:
        for controller in self._controllers.values():
            trigger = controller.triggers.get(kind)
            for key in trigger(raw) if trigger is not None else ():
                if self.cache.get(key) is not None:
                    self.queue.add(key)

    async def run(self) -> None:
        """List everything, then work until ``stop``. Returns after a clean stop."""
        await self._first_sync()
        if self._stopping.is_set():
            return
        self._tasks = [
            asyncio.create_task(self._work(), name=f"worker-{number}")
            for number in range(self._workers)
        ]
        resyncing = asyncio.create_task(self._resync_forever(), name="resync")
        try:
            await self._stopping.wait()
        finally:
            resyncing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await resyncing

    async def _first_sync(self) -> None:
        failures = 0
        while not self._synced.is_set() and not self._stopping.is_set():
            try:
                await self._resync()
            except GarrisonError as error:
                failures += 1
                log.warning("cannot list what there is: %s: %s", error.reason, error)
                await self._pause(delay(failures, self._chance.fraction(), cap=30.0))
            else:
                self._synced.set()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _resync_forever(self) -> None:
        while True:
            await asyncio.sleep(self._resync_seconds * (0.9 + 0.2 * self._chance.fraction()))
            try:
                await self._resync()
            except GarrisonError as error:
                log.warning("resync failed: %s: %s", error.reason, error)
                continue
            self._look_at_everything()
            await self._do_chores()

    async def _do_chores(self) -> None:
        for chore in self._chores:
            try:
                await chore()
            except GarrisonError as error:
                log.warning("a chore failed, and comes again: %s: %s", error.reason, error)

    async def _resync(self) -> None:
        kinds = {name: each.kind for name, each in self._controllers.items()}
        found = await resync(self._kube, self.cache, self.canary, kinds)
        self._meter.resynced(found.objects, found.ghosts)

    def _look_at_everything(self) -> None:
        """Spread over a tenth of the period, so that a resync is no burst."""
        spread = self._resync_seconds / 10
        for kind in self._controllers:
            for key in self.cache.keys(kind):
                self.queue.add(key, after=spread * self._chance.fraction())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while (key := await self.queue.get()) is not None:
            began = loop.time()
            passed = Passed(ending="Crashed")
            try:
                passed = await self._executor.run(key)
            finally:
                self._meter.passed(key, loop.time() - began, passed.ending)
                self.queue.done(key, after=self._next(key, passed))

    def _next(self, key: Key, passed: Passed) -> float | None:
        """Return when to look again: what the pass asked for, or a growing pause after a failure."""
        if passed.ending in {"Done", "Gone"}:
            self._failures.pop(key, None)
            return passed.requeue_after
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        base, cap = (0.05, 2.0) if passed.ending == "Conflict" else (0.5, 60.0)
        pause = delay(failures, self._chance.fraction(), base=base, cap=cap)
        if passed.retry_after is not None:
            pause = max(pause, passed.retry_after)
        return (
            pause if passed.requeue_after is None else min(pause, max(passed.requeue_after, base))
        )

    async def stop(self, *, grace: float = GRACE_SECONDS) -> None:
        """End within ``grace`` seconds: passes in flight end by themselves or are cancelled.

        A pass may be cancelled between any two calls; that is the same as a crash there, which
        every controller survives.
        """
        self._stopping.set()
        self.queue.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace * 0.8)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.jobs.stop()
        await self._notes.settle(within=grace * 0.2)
