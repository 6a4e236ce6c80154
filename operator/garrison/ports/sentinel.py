"""The sentinel: Garrison's agent in every rented container, and what is injected to start it.

Every call may raise UnavailableError (nothing answers there), AuthError (something answers that is
not this lease's sentinel), RejectedError (the sentinel refuses, with its reason).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from garrison.api.egress import EgressPolicySpec, Level
from garrison.ports.identity import LeaseIdentity
from garrison.ports.probe import Destination
from garrison.ports.samples import Samples


class SentinelState(StrEnum):
    SEALED = "Sealed"
    ENROLLED = "Enrolled"
    RUNNING = "Running"
    DRAINING = "Draining"
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelPorts:
    """The two raw TCP ports of a container that has a sentinel."""

    data: int
    control: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What starts the sentinel in an unmodified image. The environment holds the bootstrap key."""

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = field(repr=False)
    ports: SentinelPorts


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A sentinel's control port. ``bootstrap`` and ``key`` are SHA-256 of public keys (SPKI, hex).

    ``key`` is None until an instance is enrolled; ``digest`` is the sentinel that was injected.
    """

    lease: LeaseIdentity
    destination: Destination
    bootstrap: str
    digest: str
    instance: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A destination that the guard refused (in Audit: would have), and how often.

    ``destination`` is the name that led to ``address`` where that is known.
    """

    destination: str
    address: str = ""
    port: int
    protocol: str
    process: str
    count: int
    last_seen: datetime
    mining: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressView:
    """What the guard enforces now.

    ``leaks`` says what a BestEffort rung lets through, ``limits`` what any rung does otherwise than a
    person may expect, such as that it tells a server late that its client closed the connection.
    ``remaining`` are destinations that a changed policy denies and that could not be closed yet:
    while there are any, the level is not Enforced.
    """

    version: int
    level: Level
    rung: str = ""
    mode: str = "Enforce"
    leaks: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    denied_total: int = 0
    denied: tuple[Denied, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """The workload's process. ``restarts``: how often it ended by itself."""

    running: bool
    restarts: int = 0
    last_exit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One sentinel instance as it answered. ``key`` is that of its lease certificate, once it has one."""

    instance: str
    state: SentinelState
    digest: str
    key: str | None = None
    certificate_until: datetime | None = None
    egress: EgressView | None = None
    secrets: Mapping[str, int] = field(default_factory=dict)
    process: ProcessView | None = None
    sealed_because: str = ""
    entered: tuple[str, ...] = ()
    """programs that were started from outside the container, beside the guard, since this instance began"""
    resolvers: tuple[str, ...] | None = None
    """addresses of the resolvers that the guard asks, as the container had them when this instance began"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """An instance whose certificate was signed. ``key``: SHA-256 of its public key, hex."""

    instance: str
    key: str
    certificate_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the workload's process is started."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    working_dir: str | None = None
    port: int
    drain_seconds: int = 30
    metrics_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One version of a secret, and how the workload sees it: exactly one of ``env`` and ``file``."""

    name: str
    version: int
    value: bytes = field(repr=False)
    env: str | None = None
    file: str | None = None
    on_rotate: str = "Restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEvidence:
    """A process inside. ``executable`` is "" where it could not be read."""

    pid: int
    parent: int
    uid: int
    executable: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an instance says is inside, signed under our nonce: SHA-256 (hex) by absolute path.

    ``missing`` are patterns that no file matches. ``truncated``: a bound was met on the way.
    """

    instance: str
    sentinel: str
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()
    executables: Mapping[str, str] = field(default_factory=dict, repr=False)
    libraries: Mapping[str, str] = field(default_factory=dict, repr=False)
    processes: tuple[ProcessEvidence, ...] = field(default=(), repr=False)
    truncated: bool = False


class Sentinel(Protocol):
    """The operator's side of the control channel."""

    async def look(self, door: Door) -> tuple[View, ...]:
        """Return every instance that answers for the lease: more than one means a copy is alive."""

    async def enrol(self, door: Door) -> Enrolment:
        """Check the instance's proofs, sign its certificate request, and install the certificate.

        Repeating it renews the certificate.
        """

    async def set_egress(self, door: Door, version: int, policy: EgressPolicySpec) -> EgressView:
        """Put a version of the policy in force. An older version than the known one is refused.

        A change of mode seals the container: RejectedError with reason RestartNeeded, and another
        instance answers that can take the new mode. After a workload has run the container ends
        instead; what its provider starts in its place is asked once more, and refuses once more.
        """

    async def deliver(self, door: Door, delivery: Delivery) -> None:
        """Put a version of a secret in force for the workload; returning is the acknowledgement."""

    async def attest(self, door: Door, paths: Sequence[str], nonce: str | None = None) -> Evidence:
        """Return hashes of the named files, of what runs, and of the sentinel; it may take minutes.

        ``nonce`` is fresh unless given (32 to 64 hex digits). Raises AuthError with the reason
        EvidenceRefused for an answer under another nonce or with a wrong proof.
        """

    async def start(self, door: Door, launch: Launch) -> None:
        """Start the workload under the guard and open the data port; repeating it does nothing."""

    async def metrics(self, door: Door) -> Samples:
        """Return figures from inside: only families of the closed list, validated and bounded."""

    async def workload_metrics(self, door: Door) -> Samples:
        """Return what the workload's own metrics path says: bounded, under names of its choice.

        Raises RejectedError with the reason NoMetricsPath where the launch named none.
        """

    async def seal(self, door: Door, reason: str) -> None:
        """Stop the workload and forget secrets and keys, at every instance that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBootstrap:
    """The Secret ``name`` with the bootstrap of the lease with the uid ``lease``."""

    name: str
    lease: str


class Bootstraps(Protocol):
    """The bootstrap of each lease: one key pair, good for enrolling only, kept in a Secret."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the sentinel that this operator injects, hex."""

    async def prepare(
        self, name: str, lease: LeaseIdentity, ports: SentinelPorts, egress: EgressPolicySpec
    ) -> None:
        """Create the Secret ``name`` with a fresh bootstrap unless it exists."""

    async def injection(self, name: str) -> Injection | None:
        """Return what starts the sentinel of a lease, None when there is no such Secret."""

    async def fingerprint(self, name: str) -> str | None:
        """Return the SHA-256 of the bootstrap's public key, None when there is no such Secret."""

    async def discard(self, name: str) -> None:
        """Delete the Secret; a missing one is no error."""

    async def kept(self) -> Sequence[KeptBootstrap]:
        """Return every bootstrap that exists now, read afresh."""
