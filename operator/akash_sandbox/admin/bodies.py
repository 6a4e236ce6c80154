"""What the admin API takes and gives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from akash_sandbox.faults import Garbled, NodeFault
from akash_sandbox.hostility import Forged, Replay

_STRICT = ConfigDict(extra="forbid")

Denom = Literal["uakt", "uact"]
Reason = Literal[
    "owner",
    "unstable",
    "decommission",
    "unspecified",
    "manifest_timeout",
    "insufficient_funds",
]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Network:
    """A provider's network; 0 means untouched."""

    latency_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    bytes_per_second: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Hardware:
    """``slowdown`` 2 serves at half the promised speed; 1 is as promised."""

    slowdown: Annotated[float, Field(ge=1, le=100)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Bidding:
    """Whether one provider bids, or with ``provider`` empty, anybody."""

    silent: bool
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Errors:
    """Answers to ``path`` and below with ``status``, ``count`` times or until cleared; status 0 ends it.

    429 and 503 tell to come again after ``retry_after`` seconds, when it is given.
    """

    status: Annotated[int, Field(ge=0, le=599)] = 500
    count: Annotated[int, Field(ge=1)] | None = None
    path: Annotated[str, Field(pattern="^/", max_length=200)] = "/"
    retry_after: Annotated[int, Field(ge=0, le=86_400)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Hang:
    """Keeps requests waiting; 0 ends it."""

    seconds: Annotated[float, Field(ge=0, le=3600)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Drops:
    """So many of the next writes take effect without an answer."""

    count: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class HostilityChange:
    """What is to change in a provider's behaviour; None stays as it is."""

    reads: bool | None = None
    replay: Replay | None = None
    certificate: Forged | None = None
    strips_tls: bool | None = None
    stale_answers: bool | None = None
    delay_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    cuts_control: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class FileSwap:
    """A file inside a lease's containers, and what is to be in it."""

    path: Annotated[str, Field(pattern="^/")]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class NodeChange:
    """What is to change at a node of the chain; None stays as it is.

    ``garbled`` answers, ``garbled_count`` of them or until cleared; ``forgets`` so many lookups of
    transactions fail.
    """

    mempool_full: bool | None = None
    lag_blocks: Annotated[int, Field(ge=0, le=1000)] | None = None
    garbled: Garbled | None = None
    garbled_count: Annotated[int, Field(ge=1)] | None = None
    forgets: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Gas:
    """What transactions use in a block, in percent of what their simulation said."""

    percent: Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Halt:
    halted: bool


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Balance:
    """What an account has from now on, in millionths."""

    denom: Denom
    amount: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminNode:
    """A node of the chain, with what is wrong with it."""

    name: str
    url: str
    fault: NodeFault


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminChain:
    """The chain; ``waiting`` transactions are in its mempool."""

    id: str
    height: int
    halted: bool
    waiting: int
    gas_percent: int
    nodes: tuple[AdminNode, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class LeaseClose:
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class ReclaimNotice:
    seconds: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminInfo:
    """The sandbox itself. ``egress_namespace``: where the containers' way out ends, "" for none."""

    account: str
    console_url: str
    isolation: str
    balance_micro_usd: int
    egress_namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminProvider:
    """A provider, with what is wrong with it."""

    name: str
    address: str
    host_uri: str
    region: str
    gpus: tuple[str, ...]
    leases: int
    dead: bool
    silent: bool
    latency_ms: int
    bytes_per_second: int
    slowdown: float
    hostile: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSeen:
    """A file of what a server or provider has received since it reads."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminWorkload:
    """A container. ``egress_interface``: its end inside the egress namespace, "" for none."""

    id: str
    image: str
    running: bool
    restarts: int
    message: str
    forwarded: tuple[tuple[int, int], ...]
    egress_interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminLease:
    """A lease in whatever state; ``price_micro_usd_per_hour`` for the whole lease."""

    dseq: str
    gseq: int
    oseq: int
    provider: str
    provider_address: str
    group: str
    state: str
    reason: str
    price_micro_usd_per_hour: int
    escrow_micro_usd: int
    workloads: tuple[AdminWorkload, ...]
