"""The life of one AkashLease: what to do next, given what is known.

``step`` looks at one observation and returns one action at most, together with the status that holds
*before* the action is known to have worked; ``settle`` folds the action's outcome in. So a pass has at
most one effect on the market, and the status that names it was written in an earlier pass:

    Pending ──grant──▶ Ordering ──create──▶ Bidding ──choose──▶ Leasing ──accept──▶ Deploying
    ──forwarded ports──▶ Enrolling ──certificate──▶ Verifying ──guarded, started, healthy──▶
    Benchmarking ──passed──▶ Ready
    any ──failure or deletion──▶ (Draining) ──▶ Closing ──verified──▶ Closed | Failed

An intent carries a token. Only the process that recorded the intent holds the token, and it may use it
once; everybody else (a second operator, the same one after a crash) looks the outcome up instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from garrison.api.account import Account
from garrison.api.container import Template
from garrison.api.egress import EgressPolicySpec
from garrison.api.lease import Intent, Lease, LeaseStatus
from garrison.api.money import MicroUSD
from garrison.api.policy import PolicySpec
from garrison.api.provider import Provider
from garrison.api.workload import Benchmark, Health
from garrison.core.anomaly import Finding
from garrison.core.egress import WantedEgress
from garrison.core.health import Track
from garrison.core.integrity import Standing
from garrison.core.rotation import WantedSecret
from garrison.ports.market import (
    Bid,
    Deployment,
    MarketLease,
    MarketTraits,
    Order,
    ServiceStatus,
)
from garrison.ports.probe import BenchmarkFigures
from garrison.ports.sentinel import Injection, Launch, View

FREE = MicroUSD(0)


TOKEN_LIFE = timedelta(seconds=30)
"""How long after an intent its write may still be sent, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The waits of a lease's life, in seconds."""

    collect: float = 5.0
    """how long bids are collected when not every candidate has bid yet"""
    bid_timeout: float = 60.0
    deploy_timeout: float = 900.0
    """from the lease to a running container, the image pull included"""
    gateway_grace: float = 60.0
    """how long a provider's gateway may be unreachable while deploying"""
    poll: float = 2.0
    """between two looks at something that is on its way"""
    watch: float = 15.0
    """between two looks at a lease that serves"""
    record_wait: float = 30.0
    """how long a closed lease waits for its provider's record before it is forgotten"""
    revoke_patience: float = 15.0
    """how long a closed lease waits for revocations before it says so"""
    lookup: float = 1.0
    look: float = 1.0
    """between two looks at a sentinel on its way"""
    calm_look: float = 5.0
    """between two looks at a sentinel that serves: what changes by itself is found no later"""
    enrol_timeout: float = 180.0
    """from forwarded ports to a sentinel that answers"""
    sentinel_grace: float = 45.0
    """how long an enrolled sentinel may be silent"""
    secret_timeout: float = 120.0
    """how long a replica waits for the first version of a secret"""
    reference_timeout: float = 300.0
    """how long a container waits for its image's layers to be read; then the first look counts"""
    look_timeout: float = 900.0
    """how long the first look inside may take, failures included"""
    look_retry: float = 30.0
    """after a look that failed"""
    identity_grace: float = 15.0
    """how long something else may answer in its place, while a port moves"""


# What nobody has said anything about: made once, for every pass makes an observation.
_TIMING, _HEALTH, _BENCHMARK = Timing(), Health(), Benchmark()
_TRACK, _EGRESS, _STANDING = Track(), WantedEgress(), Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything a step may look at. What was not read in this phase is None or empty."""

    lease: Lease
    now: datetime
    installation: str
    token: str
    """fresh, for an intent recorded in this pass"""
    holds_token: bool = False
    """whether this process recorded the current intent and has not acted on it"""
    proposed_id: str | None = None
    traits: MarketTraits
    timing: Timing = _TIMING
    account: Account | None = None
    template: Template | None = None
    policy: PolicySpec | None = None
    policy_missing: bool = False
    health: Health = _HEALTH
    benchmark: Benchmark = _BENCHMARK
    spread: str = "None"
    drain_seconds: int = 0
    orphaned: bool = False
    unlisted: bool = False
    """it could order now, and its workload's ledger, read afresh, does not name it"""
    """whether the workload is being deleted with deletionPolicy Orphan"""
    ceiling: MicroUSD = FREE
    deployment: Deployment | None = None
    """the recorded deployment, or the one found by the intent's marker or id"""
    deployment_at: datetime | None = None
    """when the reading of the deployment began"""
    balance: MicroUSD | None = None
    """what the account can deposit; read only when a top-up is due"""
    bids: tuple[Bid, ...] = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    taken_regions: frozenset[str] = frozenset()
    yields: bool = False
    """whether a sibling that chooses first has not chosen yet"""
    service: ServiceStatus | None = None
    gateway_error: str = ""
    gateway_down_since: datetime | None = None
    track: Track = _TRACK
    probing: bool = False
    """whether a probe is on its way: its end wakes the lease up"""
    unsafe: str = ""
    """why the forwarded address must not be dialled"""
    measuring: bool = False
    figures: BenchmarkFigures | None = None
    measure_error: str = ""
    recorded: bool = False
    """whether the provider's record holds this lease's result"""
    injection: Injection | None = None
    """what starts the sentinel; None before its bootstrap exists"""
    views: tuple[View, ...] = ()
    """the sentinel instances that answered; the newest look only"""
    sentinel_error: str = ""
    sentinel_refused: bool = False
    """whether something answers that is not this lease's sentinel"""
    sentinel_down_since: datetime | None = None
    egress: WantedEgress = _EGRESS
    launch: Launch | None = None
    integrity: Standing = _STANDING
    secrets: tuple[WantedSecret, ...] = ()
    activity: Finding | None = None
    """whether the replica works though nobody asks it to, as far as its figures tell"""
    in_use: bool | None = None
    """whether clients use the replica, as far as its figures tell; None: there are none yet"""
    unrevoked: tuple[str, ...] = ()
    """names of RotatingSecrets that still have a credential of this lease; read afresh"""

    @property
    def status(self) -> LeaseStatus:
        return self.lease.status

    @property
    def verified(self) -> bool:
        """Return whether the container has a sentinel."""
        return self.lease.spec.sentinel is not None

    @property
    def market_lease(self) -> MarketLease | None:
        """The newest lease of the deployment, None before there is one."""
        if self.deployment is None or not self.deployment.leases:
            return None
        return max(self.deployment.leases, key=lambda each: (each.gseq, each.oseq))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureFinalizer:
    """Hold the object before anything is paid for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFinalizer:
    """Let the object go: its close is verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateDeployment:
    """Post the order that the intent names. ``token`` is used up before the call."""

    token: str
    order: Order
    deployment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptBid:
    """Create the lease that the intent names."""

    token: str
    bid: Bid
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class SendManifest:
    """Hand the manifest to the provider (again)."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDeployment:
    """Close the recorded deployment and its leases."""

    deployment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositEscrow:
    """Add to the escrow what the intent names."""

    token: str
    deployment: str
    amount: MicroUSD


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBenchmark:
    """Measure the replica in the background; the result wakes the lease up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareBootstrap:
    """Create the Secret with the bootstrap that the sentinel will enrol with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """Check the sentinel's proofs and sign its certificate, for the first time or anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetEgress:
    """Put a version of the egress policy in force."""

    version: int
    policy: EgressPolicySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverSecret:
    """Hand a version of a secret to the sentinel. The value is fetched when it is sent."""

    name: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LookInside:
    """Hash what is inside, in the background; the result wakes the lease up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorkload:
    """Let the workload's process exist."""

    launch: Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class SealInstances:
    """Stop every instance that answers for the lease."""

    reason: str


Action: TypeAlias = (
    EnsureFinalizer
    | RemoveFinalizer
    | PrepareBootstrap
    | Enrol
    | SetEgress
    | DeliverSecret
    | LookInside
    | StartWorkload
    | SealInstances
    | CreateDeployment
    | AcceptBid
    | SendManifest
    | CloseDeployment
    | DepositEscrow
    | StartBenchmark
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pass: at most one action, the status to write, when to look again (seconds)."""

    status: LeaseStatus
    action: Action | None = None
    requeue: float | None = None


def age(since: datetime | None, now: datetime) -> float:
    """Return the seconds since then; 0 when it never was."""
    return (now - since).total_seconds() if since is not None else 0.0


def entered(status: LeaseStatus, phase: str) -> datetime | None:
    """Return when a phase was entered last."""
    return next((each.at for each in reversed(status.timings) if each.phase == phase), None)


def unresolved_create(status: LeaseStatus) -> Intent | None:
    """Return the intent of a create whose outcome is not known, if there is one."""
    intent = status.intent
    return intent if intent is not None and intent.action == "CreateDeployment" else None


def owes(status: LeaseStatus) -> bool:
    """Return whether something on the market may still have to be closed."""
    if status.closed_at is not None:
        return False
    return status.deployment is not None or unresolved_create(status) is not None


def horizon_passed(intent: Intent, traits: MarketTraits, now: datetime) -> bool:
    """Return whether a create that cannot be found did not happen: it may have been sent late."""
    return now >= settled_by(intent.at, traits)


def settled_by(intended: datetime, traits: MarketTraits) -> datetime:
    """Return from when on a look at the market shows what a write did, if it did anything."""
    return intended + token_life(traits.outcome_horizon) + traits.outcome_horizon


def token_usable(o: Observation) -> bool:
    """Return whether this process may perform the intent now.

    A token is good for a short time: a process that slept must not create after others have
    concluded that nothing was created.
    """
    intent = o.status.intent
    life = token_life(o.traits.outcome_horizon)
    return o.holds_token and intent is not None and o.now - intent.at < life


def token_life(horizon: timedelta) -> timedelta:
    """Return how long after an intent its write may still be sent."""
    return min(TOKEN_LIFE, horizon / 2)


def unresolved_top_up(status: LeaseStatus) -> Intent | None:
    """Return the intent of a deposit whose outcome is not known, if there is one."""
    intent = status.intent
    return intent if intent is not None and intent.action == "Deposit" else None


def without_intent(status: LeaseStatus) -> LeaseStatus:
    """Return the status with no write outstanding."""
    return replace(status, intent=None)


def until(moment: datetime, now: datetime, floor: float = 0.05) -> float:
    """Return the seconds until a moment, at least ``floor``."""
    return max(floor, (moment - now) / timedelta(seconds=1))
