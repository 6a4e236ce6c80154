"""Random observations of a lease: any phase, with whatever the world may show beside it.

Built from a seed and not from many small draws: thousands of worlds cost a second, and the seed
that Hypothesis prints makes the same world again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from garrison.api.account import AccountStatus, Grant
from garrison.api.lease import (
    PHASES,
    DeploymentStatus,
    EndpointStatus,
    Intent,
    Lease,
    LeaseEscrow,
    LeaseFailure,
    LeaseStatus,
    SecretStatus,
    SentinelRef,
    TimingStatus,
    TopUpStatus,
)
from garrison.api.meta import LocalRef
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.workload import Benchmark
from garrison.core.health import Track
from garrison.core.lifecycle import Observation
from garrison.ports.market import (
    Bid,
    BidState,
    Deployment,
    DeploymentState,
    ForwardedPort,
    LeaseState,
    ServiceStatus,
)
from garrison.ports.probe import BenchmarkFigures, ProbeOutcome
from tests.builders import (
    INSTALLATION,
    LEASE_UID,
    NOW,
    account,
    at,
    bid,
    deployment,
    lease,
    market_lease,
    observation,
    provider,
    template,
)
from tests.unit.core.inside import DIGEST, Inside

ORDERED = frozenset(PHASES) - {"Pending", "Ordering"}
WATCHED = ("Deploying", "Enrolling", "Verifying", "Benchmarking", "Ready")
LEASED = ORDERED - {"Bidding", "Leasing"}
PROVIDERS = {name: provider(name, "h100") for name in ("p1", "p2", "p3")}
PORT = ServiceStatus(
    available=1,
    ports=tuple(
        ForwardedPort(host="p1.example", port=port, external_port=31000 + index)
        for index, port in enumerate((8000, 18443, 18444))
    ),
)
SENTINEL = SentinelRef(digest=DIGEST, secret_ref=LocalRef(name="bootstrap-1"))
WAITS = (0.0, 0.5, 4.9, 5.0, 20.0, 29.9, 30.0, 59.9, 60.0, 61.0, 89.9, 90.0, 901.0, 1201.0)
"""Seconds around the limits: token, collecting, horizon, bid timeout, start-up grace."""


def marker(attempt: int) -> str:
    """Return the marker of the tests' one lease."""
    return f"garrison-{INSTALLATION}-{LEASE_UID.replace('-', '')}-{attempt}"


class World(Inside):
    """Draws what a pass sees. Hindrances are rare, so that every branch is reached."""

    def observation(self, phases: Sequence[str] = PHASES) -> Observation:
        """Return everything a pass may see, consistent or not: nobody owes us consistency."""
        of = self.lease(phases)
        verified = of.spec.sentinel is not None
        attempt = of.status.attempt
        down = self.rarely()
        now = at(self.one(WAITS))
        return observation(
            of,
            now=now,
            holds_token=self.mostly(),
            account=account(self.ledger(attempt)) if self.mostly() else None,
            template=template("h100", "a100") if self.mostly() else None,
            policy_missing=self.rarely(),
            benchmark=self.benchmark(),
            drain_seconds=self.one((0, 30)),
            orphaned=self.rarely(),
            unlisted=self.seldom(),
            ceiling=MicroUSD(1 if self.rarely() else 2_000_000),
            deployment=self.deployment(attempt) if self.mostly() else None,
            deployment_at=now if self.mostly() else NOW,
            balance=self.one((None, MicroUSD(0), MicroUSD(400_000), MicroUSD(10**9))),
            bids=self.bids(),
            providers=PROVIDERS if self.mostly() else {},
            yields=self.rarely(),
            service=PORT if self.one((True, False)) else None,
            gateway_error="refused" if down else "",
            gateway_down_since=NOW if down else None,
            track=self.track(),
            unsafe="10.0.0.1 is private" if self.seldom() else "",
            measuring=self.rarely(),
            figures=self.figures() if self.one((True, False)) else None,
            measure_error="no token came" if self.rarely() else "",
            recorded=self.one((True, False)),
            **self.inside(verified=verified),
        )

    def lease(self, phases: Sequence[str] = PHASES) -> Lease:
        """Return a lease in one of the phases, held or not, wanted or not."""
        base = lease(deleting=self.rarely())
        meta = base.meta if self.mostly() else replace(base.meta, finalizers=())
        phase = self.one(phases)
        verified = phase == "Enrolling" or self.one((True, False))
        spec = replace(base.spec, sentinel=SENTINEL) if verified else base.spec
        status = self.status(phase)
        if verified and status.endpoint is not None:
            status = replace(
                status,
                control=EndpointStatus(host="p1.example", port=31002),
                sentinel=self.sentinel() if phase != "Enrolling" or self.rarely() else None,
                egress=self.egress() if self.mostly() else None,
                integrity=self.integrity() if self.mostly() else None,
                secrets=(SecretStatus(name="hub", version=self.one((0, 1, 1)), wanted=1),)
                if self.mostly()
                else (),
            )
        return replace(base, meta=meta, spec=spec, status=status)

    def status(self, phase: str) -> LeaseStatus:
        """Return a status that some history leads to."""
        attempt = self.one((0, 1))
        intent = self.intent(phase, attempt)
        over = phase in {"Closed", "Failed"}
        ordered = phase in ORDERED and (intent is None or intent.action != "CreateDeployment")
        is_leased = phase in LEASED and ordered and (self.mostly() if over else True)
        failed = phase == "Failed" or (phase != "Closed" and self.rarely())
        reached = is_leased and phase != "Deploying" and not over
        record = DeploymentStatus(id="100", marker=marker(attempt), ordered_at=NOW)
        return LeaseStatus(
            phase=phase,
            attempt=attempt,
            model_index=attempt,
            intent=intent,
            deployment=record if ordered else None,
            provider="p1" if is_leased else None,
            price_per_hour="1.50" if is_leased else None,
            escrow=self.escrow(intent) if is_leased else None,
            endpoint=EndpointStatus(host="p1.example", port=31000) if reached else None,
            timings=(TimingStatus(phase=phase, at=NOW),),
            failure=LeaseFailure(reason="Unhealthy", blame="Undecided", at=NOW) if failed else None,
            drain_until=at(self.one(WAITS)) if phase == "Draining" else None,
            closed_at=NOW if over else None,
            close_reason="Deleted" if over else None,
        )

    def intent(self, phase: str, attempt: int) -> Intent | None:
        """Return the write that is outstanding, None where nothing is."""
        base = Intent(action="CreateDeployment", token="mine", at=NOW, marker=marker(attempt))
        if phase == "Ordering" or (phase == "Closing" and self.rarely()):
            return base
        if phase in WATCHED and self.rarely():
            return replace(base, action="Deposit", deployment="100", amount="3.00")
        if phase != "Leasing":
            return None
        return replace(
            base,
            action="CreateLease",
            deployment="100",
            provider=self.one(sorted(PROVIDERS)),
            gseq=1,
            oseq=1,
            price_per_hour="1.50",
        )

    def escrow(self, intent: Intent | None) -> LeaseEscrow | None:
        """Return what is known of the escrow; a deposit is planned before it is intended."""
        planned = TopUpStatus(amount="3.00", left_before="1.00", at=NOW)
        if intent is not None and intent.action == "Deposit":
            return LeaseEscrow(lasts_until=at(4000.0), top_up=planned)
        done = replace(planned, at=at(-3600.0), outcome="Deposited")
        return self.one((None, LeaseEscrow(lasts_until=at(4000.0), top_up=done)))

    def deployment(self, attempt: int) -> Deployment:
        """Return what the market may say about the deployment."""
        held = market_lease(
            price=self.one(("0", "1.5", "2", "2.000001", "987654321012")),
            state=self.one(tuple(LeaseState)),
            reason=self.one(("lease_closed_reason_unstable", "lease_closed_owner", "")),
        )
        state = DeploymentState.ACTIVE if self.mostly() else DeploymentState.CLOSED
        leases = (held,) if self.one((True, False)) else ()
        escrow = self.one((None, MicroUSD(0), MicroUSD(1_000_000), MicroUSD(10**9)))
        return deployment(*leases, marker=marker(attempt), state=state, escrow=escrow)

    def bids(self) -> tuple[Bid, ...]:
        """Return bids of some providers, at any price."""
        return tuple(
            bid(
                name,
                self.one(("0.1", "1.5", "1.5", "1.5", "2", "987654321012")),
                state=BidState.OPEN if self.mostly() else self.one(tuple(BidState)),
            )
            for name in sorted(PROVIDERS)
            if self.mostly()
        )

    def track(self) -> Track:
        """Return what the probes said."""
        failures = self.one((0, 0, 0, 1, 3, 5))
        outcome = ProbeOutcome.TIMED_OUT if failures else ProbeOutcome.HEALTHY
        return Track(probed_at=NOW, failures=failures, outcome=self.one((outcome, outcome, None)))

    def figures(self) -> BenchmarkFigures:
        """Return what a benchmark may have measured."""
        return BenchmarkFigures(
            model="m" * self.one((0, 8, 300)),
            requests=self.one((0, 4)),
            time_to_first_token_ms=self.one((0, 120, 700_000)),
            millitokens_per_second=self.one((0, 65_000, 10**10)),
        )

    def benchmark(self) -> Benchmark:
        """Return thresholds, or none."""
        asked = Benchmark(
            api="OpenAI",
            min_tokens_per_second=self.one((None, 65, 1_000_000)),
            max_time_to_first_token_milliseconds=self.one((None, 120, 600_000)),
        )
        return self.one((Benchmark(), asked))

    def ledger(self, attempt: int) -> AccountStatus:
        """Return an account's status with or without a grant for this attempt."""
        released = self.one(((), ("100",), ("7", "100")))
        if self.rarely():
            return AccountStatus(released=released)
        grant = Grant(
            lease=LEASE_UID,
            namespace="prod",
            name="chat-1",
            attempt=attempt,
            price_per_hour="0.000001" if self.rarely() else self.one(("1.50", "3")),
            at=NOW,
        )
        return AccountStatus(grants=(grant,), released=released)


def worlds() -> st.SearchStrategy[World]:
    """Return a strategy of sources of observations."""
    return st.builds(World, st.integers(0, 2**48))


def with_status(o: Observation, status: LeaseStatus) -> Observation:
    """Return the same world, after the status was written."""
    return replace(o, lease=replace(o.lease, status=status))


def ceiling_of(o: Observation) -> int:
    """Return the highest price this lease may cost: the replica's ceiling, and its grant."""
    granted = o.account.status.grants if o.account is not None else ()
    return min([o.ceiling, *(parse_dollars(each.price_per_hour) for each in granted)])
