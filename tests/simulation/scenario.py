"""What people and providers do in one seed: edits, scaling, deletes, and machines that fail."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from garrison.adapters.memory.provider import MemoryProvider
from garrison.api.meta import ACCOUNT, API_VERSION, EGRESS, POLICY, ROTATING, WORKLOAD
from garrison.api.money import MicroUSD
from garrison.ports.kube import Object
from garrison.ports.market import ProviderGpu

NAMESPACE = "prod"
ACCOUNT_NAME = "treasury"
LOST_LEASE = "00000000-0000-4000-8000-"
"""how the uid of a lease begins that no operator of this seed ever made"""

MIN_RUNWAY_HOURS = 2
"""more than a deposit under a tight budget lasts: it is topped up while everything goes wrong"""
WARNING_HOURS = 24
"""for which credit is minted"""
LOOKS = 60
"""seconds between two looks inside a replica"""
MEASURED = {"api": "OpenAI", "minTokensPerSecond": 20, "repeatEverySeconds": 600}
"""what every workload is measured by, unless somebody edits it"""
SLOW_SEED, STRICT_SEED = 2, 0
"""which seed of eight has a machine that becomes slow in the calm, and a threshold that nothing meets"""
MOVING_SEED = 3
"""which seed of eight has the sources of its secrets edited"""
MAX_LEASES = 5
MAX_NEW = 12
MAX_PRICE = MicroUSD(20_000_000)


def image(letter: str) -> str:
    """Return an image reference; its letter tells images apart."""
    return f"registry.example/acme/model@sha256:{letter * 64}"


GOOD, NEWER, CRASHING, MISSING = image("a"), image("b"), image("c"), image("d")
WORKING = (GOOD, NEWER)


def providers(chance: random.Random) -> Sequence[MemoryProvider]:
    """Return six providers: all have h100 or a100, some both."""
    found = []
    for number, models in enumerate((("h100",), ("h100", "a100"), ("a100",), ("h100",)) * 2):
        found.append(
            MemoryProvider(
                id=f"akash1provider{number}",
                host=f"provider{number}.example",
                region=("eu-west", "us-east")[number % 2],
                price_per_hour=MicroUSD(900_000 + 50_000 * number),
                gpus=tuple(ProviderGpu(vendor="nvidia", model=model) for model in models),
                bid_delay=timedelta(seconds=1 + chance.random() * 6),
                lease_delay=timedelta(seconds=chance.random() * 3),
                start_delay=timedelta(seconds=1 + chance.random() * 10),
                capacity=chance.choice((2, 100)),
            )
        )
    return found


def account(*, chain: bool = False) -> Object:
    """Return the account that pays; one on the chain mints what it lacks."""
    backend: Object = {"type": "Console", "console": {"apiKeySecretRef": {"name": "key"}}}
    if chain:
        settings = {
            "keySecretRef": {"name": "key"},
            "autoMint": True,
            "outcomeHorizonSeconds": 120,
        }
        backend = {"type": "Chain", "chain": settings}
    return {
        "apiVersion": API_VERSION,
        "kind": ACCOUNT.kind,
        "metadata": {"name": ACCOUNT_NAME},
        "spec": {
            "default": True,
            "adoption": "Allow",
            "backend": backend,
            "limits": {
                "maxPricePerHour": "20",
                "maxLeases": MAX_LEASES,
                "maxNewLeasesPer10Minutes": MAX_NEW,
            },
            "treasury": {
                "depositHours": 1,
                "minRunwayHours": MIN_RUNWAY_HOURS,
                "warningHours": WARNING_HOURS,
            },
        },
    }


def policy() -> Object:
    """Return a policy that every provider satisfies."""
    return {
        "apiVersion": API_VERSION,
        "kind": POLICY.kind,
        "metadata": {"name": "anyone", "namespace": NAMESPACE},
        "spec": {"maxPricePerHour": "2.50"},
    }


def egress_policy() -> Object:
    """Return an egress policy that people edit."""
    return {
        "apiVersion": API_VERSION,
        "kind": EGRESS.kind,
        "metadata": {"name": "hub", "namespace": NAMESPACE},
        "spec": {"allow": [{"host": "hub.example", "ports": [443]}]},
    }


def rotating_secrets() -> list[Object]:
    """Return one secret for each replica, and one for each workload; both rotate fast."""
    rotation = {"everySeconds": 200, "graceSeconds": 0, "jitterPercent": 20}
    specs: dict[str, Object] = {
        "own": {"scope": "Lease", "rotation": rotation},
        "shared": {
            "source": {"type": "SecretRef", "secretRef": {"name": "given", "key": "key"}},
            "scope": "Workload",
            "rotation": rotation,
        },
    }
    return [
        {
            "apiVersion": API_VERSION,
            "kind": ROTATING.kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        for name, spec in specs.items()
    ]


def sources(name: str) -> tuple[Object, ...]:
    """Return where a secret may come from, as edits of its source, which is one of them."""
    bare: Object = {"generate": None, "secretRef": None, "webhook": None}
    made_up: Object = bare | {"type": "Generate"}
    if name == "own":
        urls = [{"url": f"https://mint{number}.example/v1"} for number in range(2)]
        return (made_up, *(bare | {"type": "Webhook", "webhook": each} for each in urls))
    return (
        made_up,
        *(
            bare | {"type": "SecretRef", "secretRef": {"name": each, "key": "key"}}
            for each in ("given", "given2")
        ),
    )


def workload(name: str, chance: random.Random) -> Object:
    """Return a workload of up to two replicas."""
    models = chance.choice((("h100",), ("a100", "h100"), ("none-such", "h100")))
    spec: Object = {
        "image": GOOD,
        "port": 8000,
        "resources": {
            "cpu": "4",
            "memory": "16Gi",
            "gpu": {"models": [{"model": each} for each in models]},
        },
        "replicas": chance.choice((1, 1, 2)),
        "spread": chance.choice(("Provider", "Region", "None")),
        "health": {"startupGraceSeconds": 90},
        "benchmark": dict(MEASURED),
        "traffic": {"drainSeconds": chance.choice((0, 10))},
        "deletionPolicy": "Orphan" if chance.random() < 0.05 else "Delete",
    }
    if chance.random() < 0.3:
        spec["providerPolicyRef"] = {"name": "anyone"}
    if chance.random() < 0.5:
        spec["budget"] = {"maxPricePerHour": "1.30"}
    spec |= {"trust": "Unverified"} if chance.random() < 0.3 else _verified(chance)
    return {
        "apiVersion": API_VERSION,
        "kind": WORKLOAD.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _verified(chance: random.Random) -> Object:
    """What a spec has only with the agent in the container."""
    found: Object = {"trust": "Verified", "metrics": {"path": "/metrics"}}
    if chance.random() < 0.5:
        drift = chance.choice(("Alert", "Replace"))
        found["integrity"] = {"paths": ["/app/**"], "everySeconds": LOOKS, "onDrift": drift}
    if chance.random() < 0.5:
        found["egressPolicyRef"] = {"name": "hub"}
    found["secrets"] = [
        {"rotatingSecretRef": {"name": name}, "file": f"{name}.txt", "onRotate": "None"}
        for name in ("own", "shared")
        if chance.random() < 0.5
    ]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that somebody does at a time (seconds from the start)."""

    at: float
    what: str
    draw: float
    """uniform in [0, 1): picks the victim"""


DEEDS = (
    "scale",
    "scale",
    "edit image",
    "edit image",
    "edit image",
    "edit in place",
    "bad edit",
    "crashing image",
    "missing image",
    "delete workload",
    "create workload",
    "create workload",
    "delete lease object",
    "strip finalizer",
    "kill provider",
    "kill provider",
    "revive provider",
    "close lease",
    "reclaim",
    "slow provider",
    "sick container",
    "restart container",
    "weak machine",
    "copied container",
    "foreign container",
    "swapped file",
    "intruder",
    "stale answers",
    "edit egress",
    "edit egress",
    "rotate",
    "rotate",
    "change source",
    "no bids",
    "lose account key",
    "start operator",
    "start operator",
    "stop operator",
    "orphan",
)


def adoptions(seed: int, seconds: float) -> list[Deed]:
    """Return, for one seed in four, what is started by hand and given to Garrison while it is chaos.

    In half of them somebody then takes an adopted lease's object away by force.
    """
    chance = random.Random(seed + 2_000_003)
    if seed % 4 != 1:
        return []
    times = (chance.random() * seconds for _ in range(chance.randint(1, 2)))
    found = [Deed(at=each, what="adopt", draw=chance.random()) for each in times]
    if seed % 8 == 1:
        later = max(each.at for each in found) + 60 + chance.random() * 120
        found.append(Deed(at=later, what="remove by force", draw=chance.random()))
    return found


def slowdowns(seed: int, seconds: float) -> list[Deed]:
    """Return, for one seed in eight, when somebody has replicas measured every minute from early on.

    A machine that holds a replica then becomes slow; in half of them it is a threshold that no machine
    meets, for as long as it is chaos.
    """
    chance = random.Random(seed + 3_000_017)
    if seed % 8 != SLOW_SEED:
        return []
    often = Deed(at=chance.random() * 30, what="measure often", draw=chance.random())
    what = "slow host" if seed % 16 == SLOW_SEED else "raise threshold"
    when = 60 + chance.random() * (seconds / 2)
    return [often, Deed(at=when, what=what, draw=chance.random())]


def moves(seed: int, seconds: float) -> list[Deed]:
    """Return, for one seed in eight, when somebody has secrets come from elsewhere."""
    chance = random.Random(seed + 4_000_037)
    if seed % 8 != MOVING_SEED:
        return []
    times = sorted(40 + chance.random() * (seconds - 40) for _ in range(chance.randint(2, 4)))
    return [Deed(at=each, what="move source", draw=chance.random()) for each in times]


def script(chance: random.Random, seconds: float) -> list[Deed]:
    """Return the deeds of a seed, in order."""
    count = chance.randint(3, 14)
    found = [
        Deed(at=chance.random() * seconds, what=chance.choice(DEEDS), draw=chance.random())
        for _ in range(count)
    ]
    return sorted(found, key=lambda each: each.at)
