"""A replica that is proved and serves: what makes it Ready, what ends it, and who is blamed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from garrison.api.lease import BenchmarkStatus, SentinelRef
from garrison.api.meta import LocalRef
from garrison.api.workload import Benchmark, Health, Integrity
from garrison.core.health import Track
from garrison.core.integrity import Standing
from garrison.core.lifecycle import (
    StartBenchmark,
    Timing,
)
from garrison.core.proving import next_look
from garrison.core.replica import finished, step
from garrison.ports.market import (
    LeaseState,
    ServiceStatus,
)
from tests.builders import (
    NOW,
    at,
    deployment,
    market_lease,
)
from tests.unit.core.replicas import (
    FIGURES,
    HEALTHY,
    PORT,
    serving,
)


def test_is_ready_only_after_health_and_benchmark() -> None:
    measured = Benchmark(api="OpenAI", min_tokens_per_second=60)
    assert step(serving("Verifying", service=PORT)).status.phase == "Verifying"
    healthy = serving("Verifying", track=HEALTHY, service=PORT)
    assert step(healthy).status.phase == "Ready"
    assert step(replace(healthy, benchmark=measured)).status.phase == "Benchmarking"
    waiting = serving("Benchmarking", track=HEALTHY, benchmark=measured)
    assert step(waiting).action == StartBenchmark()
    assert step(replace(waiting, measuring=True)).action is None
    assert step(replace(waiting, figures=FIGURES)).status.phase == "Ready"


@pytest.mark.parametrize(
    ("case", "phase", "fields", "reason", "blame"),
    [
        (
            "too slow",
            "Benchmarking",
            {"benchmark": Benchmark(api="OpenAI", min_tokens_per_second=66), "figures": FIGURES},
            "BenchmarkFailed",
            "Undecided",
        ),
        (
            "no answer is a failure, never a skip",
            "Benchmarking",
            {"benchmark": Benchmark(api="OpenAI"), "measure_error": "no token came"},
            "BenchmarkNoAnswer",
            "Undecided",
        ),
        (
            "start-up grace is over",
            "Verifying",
            {"health": Health(startup_grace_seconds=30), "now": at(31)},
            "StartupFailed",
            "Undecided",
        ),
        (
            "a private address",
            "Verifying",
            {"unsafe": "10.0.0.1 is private"},
            "UnsafeDestination",
            "Provider",
        ),
        (
            "the provider closed the lease",
            "Ready",
            {
                "deployment": deployment(
                    market_lease(state=LeaseState.CLOSED, reason="lease_closed_reason_unstable")
                )
            },
            "LeaseClosed",
            "Provider",
        ),
        (
            "escrow ran out",
            "Ready",
            {"deployment": deployment(market_lease(state=LeaseState.INSUFFICIENT_FUNDS))},
            "EscrowExhausted",
            "Nobody",
        ),
        (
            "unhealthy",
            "Ready",
            {"track": Track(failures=3, probed_at=NOW)},
            "Unhealthy",
            "Undecided",
        ),
        (
            "unhealthy, and its gateway is silent",
            "Ready",
            {"track": Track(failures=3, probed_at=NOW), "gateway_down_since": NOW},
            "ProviderUnreachable",
            "Provider",
        ),
        (
            "nothing starts",
            "Deploying",
            {"now": at(901), "service": ServiceStatus(available=0)},
            "DeployTimeout",
            "Undecided",
        ),
        (
            "the gateway stays silent",
            "Deploying",
            {"now": at(61), "gateway_down_since": NOW, "gateway_error": "refused"},
            "ProviderUnreachable",
            "Provider",
        ),
    ],
)
def test_failures_and_their_blame(
    case: str, phase: str, fields: dict[str, Any], reason: str, blame: str
) -> None:
    failure = step(serving(phase, **fields)).status.failure
    assert failure is not None, case
    assert (failure.reason, failure.blame) == (reason, blame)


def test_a_silent_market_does_not_end_what_serves() -> None:
    assert step(serving("Ready", deployment=None, track=HEALTHY)).status.failure is None


def test_a_probe_on_its_way_is_waited_for_and_not_asked_after() -> None:
    due = serving("Ready", track=HEALTHY, now=at(10))
    assert step(due).requeue == 0.05
    assert step(replace(due, probing=True)).requeue == due.timing.watch


@pytest.mark.parametrize(
    ("standing", "seconds"),
    [
        (Standing(asked=Integrity(), looking=True), Timing().watch),
        (Standing(asked=Integrity(), error="refused", tried_at=NOW), Timing().look_retry - 10),
        (Standing(), Timing().watch),
    ],
)
def test_a_look_inside_on_its_way_is_waited_for_and_one_that_failed_is_not_hurried(
    standing: Standing, seconds: float
) -> None:
    assert next_look(serving("Ready", integrity=standing, now=at(10))) == seconds


def test_a_status_that_says_nothing_new_stays_the_same_object() -> None:
    o = serving("Ready", track=HEALTHY)
    known = finished(o, o.status)
    later = replace(o, lease=replace(o.lease, status=known), now=at(60))
    assert finished(later, known) is known
    assert finished(later, replace(known, phase="Closing")).conditions != known.conditions


def test_a_reclaim_notice_is_written_down_and_serving_goes_on() -> None:
    notice = market_lease(state=LeaseState.RECLAIMING, reclaim_deadline=at(3600))
    after = step(serving("Ready", deployment=deployment(notice), track=HEALTHY)).status
    assert (after.phase, after.reclaim_deadline) == ("Ready", at(3600))


def test_the_benchmark_repeats_when_it_is_due() -> None:
    last = BenchmarkStatus(
        passed=True,
        tokens_per_second="65.0",
        time_to_first_token_milliseconds=1,
        requests=4,
        at=NOW,
    )
    spec = Benchmark(api="OpenAI", repeat_every_seconds=60)
    o = serving("Ready", status={"benchmark": last}, benchmark=spec, track=HEALTHY)
    assert step(replace(o, now=at(59))).action is None
    assert step(replace(o, now=at(60))).action == StartBenchmark()
    assert step(replace(o, now=at(60), in_use=True)).action is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"figures": FIGURES}, (False, 4, "65.0 tokens/s, wanted at least 66"), id="slow"
        ),
        pytest.param(
            {"measure_error": "no token came", "track": HEALTHY},
            (False, 0, "no token came"),
            id="no answer beside healthy probes",
        ),
        pytest.param(
            {"measure_error": "connection reset", "track": Track(failures=1, probed_at=NOW)},
            None,
            id="no answer, and probes decide",
        ),
    ],
)
def test_a_repeat_that_fails_ends_nothing_that_serves(
    fields: dict[str, Any], expected: tuple[bool, int, str] | None
) -> None:
    strict = Benchmark(api="OpenAI", min_tokens_per_second=66)
    after = step(serving("Ready", benchmark=strict, **{"track": HEALTHY, **fields})).status
    assert (after.phase, after.failure) == ("Ready", None)
    found = after.benchmark
    assert (found and (found.passed, found.requests, found.message)) == expected


def test_a_repeat_that_passes_again_is_the_verdict() -> None:
    slow = BenchmarkStatus(
        passed=False,
        tokens_per_second="1.0",
        time_to_first_token_milliseconds=1,
        requests=4,
        message="m",
        at=NOW,
    )
    spec = Benchmark(api="OpenAI", min_tokens_per_second=65)
    o = serving("Ready", status={"benchmark": slow}, benchmark=spec, track=HEALTHY, now=at(60))
    found = step(replace(o, figures=FIGURES)).status.benchmark
    assert found is not None
    assert (found.passed, found.message, found.at) == (True, "", at(60))


def test_the_benchmark_of_a_verified_replica_waits_until_it_is_known_to_be_idle() -> None:
    o = serving("Ready", benchmark=Benchmark(api="OpenAI"), track=HEALTHY)
    agent = SentinelRef(digest="a" * 64, secret_ref=LocalRef(name="boot"))
    o = replace(o, lease=replace(o.lease, spec=replace(o.lease.spec, sentinel=agent)))
    assert step(o).action is None
    assert step(replace(o, in_use=True)).action is None
    assert step(replace(o, in_use=False)).action == StartBenchmark()
