"""Figures from inside each Ready replica, fetched in the background, and the vigil over them."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from garrison.api.meta import LEASE, Key
from garrison.api.quantity import parse_millicores
from garrison.core.anomaly import Reading, Vigil, finding, reading_of, watched
from garrison.core.benchmark import is_in_use
from garrison.core.lifecycle import Observation, entered
from garrison.core.variant import variant
from garrison.errors import GarrisonError
from garrison.ports.clock import Clock
from garrison.ports.samples import Page, Relayed, Replica, Samples
from garrison.runtime.jobs import Jobs, Result

SCRAPE = "scrape"
PERIOD = 15.0
JITTER = 0.2
STALE = timedelta(seconds=60)
"""Figures of a replica that has not answered for so long are not shown any more."""


class Board:
    """The newest page of each Ready replica: what the operator's own ``/metrics`` shows."""

    def __init__(self) -> None:
        self._pages: dict[Key, Page] = {}

    def put(self, key: Key, page: Page) -> None:
        """Show a page in place of the replica's last one."""
        self._pages[key] = page

    def get(self, key: Key) -> Page | None:
        """Return a replica's page."""
        return self._pages.get(key)

    def remove(self, key: Key) -> None:
        """Show nothing of a replica any more."""
        self._pages.pop(key, None)

    def pages(self) -> Iterable[Page]:
        """Return all pages."""
        return tuple(self._pages.values())


class Scrapes:
    """Starts what is due and folds in what has finished; at most one page is kept per lease."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        samples: Callable[[Observation], Awaitable[Samples]],
        relayed: Callable[[Observation], Awaitable[Samples]],
        board: Board,
        clock: Clock,
    ) -> None:
        self._jobs = jobs
        self._samples = samples
        self._relayed = relayed
        self._board = board
        self._clock = clock
        self._tried: dict[Key, datetime] = {}
        self._vigils: dict[Key, Vigil] = {}
        self._readings: dict[Key, Reading] = {}
        self._in_use: dict[Key, bool] = {}

    def forget(self, key: Key) -> None:
        """Drop everything about a lease: its series disappear."""
        self._jobs.drop(key, SCRAPE)
        self._board.remove(key)
        self._tried.pop(key, None)
        self._vigils.pop(key, None)
        self._readings.pop(key, None)
        self._in_use.pop(key, None)

    def observe(self, o: Observation) -> Observation:
        """Return the observation with what the figures tell; start a scrape that is due."""
        key = _key(o)
        if o.status.phase != "Ready" or not o.verified:
            self.forget(key)
            return o
        result = self._jobs.take(key, SCRAPE)
        if result is not None:
            self._fold(key, o, result)
        if self._is_due(key, o) and not self._jobs.running(key, SCRAPE):
            self._tried[key] = o.now
            self._jobs.start(key, SCRAPE, lambda: self._scrape(o))
        vigil, activity = self._vigils.get(key), o.activity
        if vigil is not None and result is not None:
            activity = finding(vigil, entered(o.status, "Ready"))
        return variant(o, in_use=self._in_use.get(key), activity=activity)

    def _is_due(self, key: Key, o: Observation) -> bool:
        tried = self._tried.get(key)
        return tried is None or (o.now - tried).total_seconds() >= _period(o.lease.meta.uid)

    async def _scrape(self, o: Observation) -> Page:
        samples = await self._samples(o)
        relayed = await self._told(o)
        now = self._clock.now()
        return Page(replica=_replica(o), samples=samples, taken_at=now, relayed=relayed)

    async def _told(self, o: Observation) -> Relayed | None:
        """What the workload says of itself; its silence says nothing about the sentinel."""
        if o.template is None or o.template.metrics is None:
            return None
        try:
            return Relayed(samples=await self._relayed(o), reachable=True)
        except GarrisonError:
            return Relayed()

    def _fold(self, key: Key, o: Observation, result: Result) -> None:
        if isinstance(result.value, Page):
            self._board.put(key, result.value)
            reading = reading_of(result.value.samples, result.value.taken_at, o.track.heard)
            self._count(key, o, reading)
            self._watch(key, o, reading)
            return
        blank = Page(replica=_replica(o), samples=Samples(), taken_at=o.now)
        known = self._board.get(key) or blank
        fresh = o.now - known.taken_at < STALE
        samples = known.samples if fresh else Samples()
        relayed = replace(known.relayed, reachable=False) if known.relayed is not None else None
        if relayed is not None and not fresh:
            relayed = Relayed()
        page = replace(known, samples=samples, reachable=False, relayed=relayed)
        self._board.put(key, page)

    def _count(self, key: Key, o: Observation, reading: Reading | None) -> None:
        """Tell clients' requests from the operator's own; a benchmark's count as neither."""
        if reading is None or o.measuring or o.figures is not None:
            self._readings.pop(key, None)
            self._in_use[key] = False
            return
        self._in_use[key] = is_in_use(self._readings.get(key), reading)
        self._readings[key] = reading

    def _watch(self, key: Key, o: Observation, reading: Reading | None) -> None:
        if reading is None or o.template is None or o.measuring or o.figures is not None:
            self._vigils.pop(key, None)
            return
        cores = parse_millicores(o.template.resources.cpu) / 1000
        self._vigils[key] = watched(self._vigils.get(key), reading, cores)


def _period(uid: str) -> float:
    """Spread by the lease's uid, so that not all are asked at once."""
    return PERIOD * (1 + JITTER * (zlib.crc32(uid.encode()) % 1000 / 1000 - 0.5))


def _replica(o: Observation) -> Replica:
    meta = o.lease.meta
    return Replica(
        namespace=meta.namespace,
        workload=o.lease.spec.workload,
        lease=meta.name,
        provider=o.status.provider or "",
    )


def _key(o: Observation) -> Key:
    return Key(kind=LEASE.kind, namespace=o.lease.meta.namespace, name=o.lease.meta.name)
