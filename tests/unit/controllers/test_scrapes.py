"""Figures of Ready replicas: fetched in the background, shown while they are true, then gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from garrison.adapters.memory.clock import LoopClock
from garrison.api.container import Metrics
from garrison.api.lease import LeaseStatus, SentinelRef
from garrison.api.meta import LEASE, Key, LocalRef
from garrison.api.workload import template_of
from garrison.controllers.scrapes import PERIOD, STALE, Board, Scrapes
from garrison.core.anomaly import WARM_UP, WINDOW
from garrison.core.lifecycle import Observation
from garrison.core.phase import enter
from garrison.errors import RejectedError, UnavailableError
from garrison.ports.samples import Page, Relayed, Replica, Sample, Samples
from garrison.runtime.jobs import Jobs
from tests.builders import lease, observation, spec

KEY = Key(kind=LEASE.kind, namespace="prod", name="chat-1")
LONG = 600.0


class Bench:
    """A Ready lease whose replica answers as ``answer`` says."""

    def __init__(self, **fields: Any) -> None:
        self.template = template_of(spec(**fields))
        self.clock = LoopClock()
        self.board = Board()
        self.asked = 0
        self.silent = False
        self.mute = False
        self.cores = 0.0
        self.in_flight = 0.0
        self.scrapes = Scrapes(
            jobs=Jobs(lambda _: None),
            samples=self._samples,
            relayed=self._relayed,
            board=self.board,
            clock=self.clock,
        )
        base = lease("Ready", provider="p1")
        status = enter(base.status, "Ready", self.clock.now())
        verified = replace(
            base.spec, sentinel=SentinelRef(digest="a" * 64, secret_ref=LocalRef(name="boot"))
        )
        self.lease = replace(base, spec=verified, status=status)

    async def _samples(self, _o: Observation) -> Samples:
        self.asked += 1
        await asyncio.sleep(0.1)
        if self.silent:
            raise UnavailableError("no answer")
        values = {
            "workload_cpu_seconds_total": self.cores * asyncio.get_running_loop().time(),
            "relay_requests_total": 0.0,
            "relay_requests_in_flight": self.in_flight,
        }
        return Samples(
            samples=tuple(
                Sample(family=name, name=name, value=each) for name, each in values.items()
            )
        )

    async def _relayed(self, o: Observation) -> Samples:
        if self.mute:
            raise RejectedError("404", reason="WorkloadRefused")
        assert o.template is not None
        assert o.template.metrics is not None
        sample = Sample(family=o.template.metrics.path, name="hits_total", value=1.0)
        return Samples(samples=(sample,))

    def look(self, **changes: Any) -> Observation:
        """One pass over the lease."""
        now = self.clock.now()
        o = replace(observation(self.lease), now=now, template=self.template, **changes)
        return self.scrapes.observe(o)

    async def page(self, seconds: float) -> Page:
        """Return what is shown after a while."""
        await self.watch(seconds)
        found = self.board.get(KEY)
        assert found is not None
        return found

    async def watch(self, seconds: float) -> list[bool | None]:
        """Look every second; returns what the figures told, where they told anything."""
        told = []
        for _ in range(int(seconds)):
            found = self.look().activity
            if found is not None:
                told.append(found.busy)
            await asyncio.sleep(1)
        return told


async def test_a_ready_replica_is_asked_once_a_period_and_never_twice_at_once() -> None:
    bench = Bench()
    await bench.watch(LONG)
    assert LONG / PERIOD * 0.8 <= bench.asked <= LONG / PERIOD * 1.2 + 1
    (page,) = bench.board.pages()
    assert page.reachable
    assert page.replica == Replica(namespace="prod", workload="chat", lease="chat-1", provider="p1")


async def test_a_replica_that_goes_silent_is_shown_as_such_and_its_figures_age_out() -> None:
    bench = Bench()
    await bench.watch(20)
    bench.silent = True
    await bench.watch(20)
    page = bench.board.get(KEY)
    assert page is not None
    assert (page.reachable, bool(page.samples.samples)) == (False, True)
    await bench.watch(STALE.total_seconds() + PERIOD)
    page = bench.board.get(KEY)
    assert page is not None
    assert (page.reachable, page.samples.samples) == (False, ())


async def test_what_a_workload_says_is_shown_only_while_it_says_it() -> None:
    bench = Bench(metrics=Metrics(path="/stats"))
    page = await bench.page(2 * PERIOD)
    assert page.relayed is not None
    assert page.relayed.reachable
    (sample,) = page.relayed.samples.samples
    assert (sample.family, sample.name) == ("/stats", "hits_total")
    bench.mute = True
    page = await bench.page(2 * PERIOD)
    assert page.reachable
    assert page.samples.samples
    assert page.relayed == Relayed()
    bench.mute, bench.silent = False, True
    page = await bench.page(STALE.total_seconds() + 2 * PERIOD)
    assert (page.reachable, page.relayed) == (False, Relayed())


async def test_a_workload_that_names_no_metrics_is_not_asked_for_them() -> None:
    page = await Bench().page(PERIOD)
    assert page.relayed is None


async def test_nothing_is_shown_of_a_lease_that_is_not_ready_any_more() -> None:
    bench = Bench()
    await bench.watch(20)
    assert bench.board.get(KEY) is not None
    bench.lease = replace(bench.lease, status=LeaseStatus(phase="Draining"))
    bench.look()
    assert list(bench.board.pages()) == []


async def test_a_lease_without_a_sentinel_is_not_asked() -> None:
    bench = Bench()
    bench.lease = replace(bench.lease, spec=replace(bench.lease.spec, sentinel=None))
    await bench.watch(60)
    assert bench.asked == 0


async def test_work_that_nobody_asked_for_is_found_once_its_time_has_passed() -> None:
    bench = Bench()
    bench.cores = 64.0
    early = (WARM_UP + WINDOW).total_seconds() - PERIOD
    assert True not in await bench.watch(early)
    assert (await bench.watch(4 * PERIOD))[-1] is True
    bench.cores = 0.0
    assert True not in (await bench.watch(2 * PERIOD))[-1:]


async def test_whether_clients_use_it_is_unknown_until_it_was_asked_and_then_followed() -> None:
    bench = Bench()
    assert bench.look().in_use is None
    await bench.watch(2 * PERIOD)
    assert bench.look().in_use is False
    bench.in_flight = 3.0
    await bench.watch(2 * PERIOD)
    assert bench.look().in_use is True
    assert bench.look(measuring=True).in_use is True
    bench.in_flight = 0.0
    await bench.watch(3 * PERIOD)
    assert bench.look().in_use is False
    bench.silent = True
    await bench.watch(2 * PERIOD)
    assert bench.look().in_use is False
    bench.lease = replace(bench.lease, status=LeaseStatus(phase="Draining"))
    assert bench.look().in_use is None


async def test_a_benchmark_is_no_idle_time() -> None:
    bench = Bench()
    bench.cores = 64.0
    for _ in range(int((WARM_UP + WINDOW).total_seconds()) + 60):
        assert bench.look(measuring=True).activity is None
        await asyncio.sleep(1)
    assert bench.asked > 1
