"""A replica at any point of its life, as a step sees it."""

from __future__ import annotations

from typing import Any

from garrison.api.account import AccountStatus, Grant
from garrison.api.lease import (
    DeploymentStatus,
    EndpointStatus,
    Intent,
    TimingStatus,
)
from garrison.core.health import Track
from garrison.core.lifecycle import (
    Observation,
)
from garrison.ports.market import (
    ForwardedPort,
    ServiceStatus,
)
from garrison.ports.probe import BenchmarkFigures, ProbeOutcome
from tests.builders import (
    LEASE_UID,
    NOW,
    account,
    deployment,
    lease,
    market_lease,
    observation,
)

MARKER = deployment().marker
RECORD = DeploymentStatus(id="100", marker=MARKER, ordered_at=NOW)
PORT = ServiceStatus(
    available=1, ports=(ForwardedPort(host="p1.example", port=8000, external_port=31000),)
)
ENDPOINT = EndpointStatus(host="p1.example", port=31000)
HEALTHY = Track(probed_at=NOW, healthy_at=NOW, outcome=ProbeOutcome.HEALTHY)
FIGURES = BenchmarkFigures(
    model="m", requests=4, time_to_first_token_ms=120, millitokens_per_second=65_000
)


def granted(attempt: int = 0, price: str = "2") -> AccountStatus:
    grant = Grant(
        lease=LEASE_UID,
        namespace="prod",
        name="chat-1",
        attempt=attempt,
        price_per_hour=price,
        at=NOW,
    )
    return AccountStatus(grants=(grant,))


def create_intent(token: str = "mine") -> Intent:
    return Intent(action="CreateDeployment", token=token, at=NOW, marker=MARKER)


def lease_intent(token: str = "mine") -> Intent:
    return Intent(
        action="CreateLease",
        token=token,
        at=NOW,
        marker=MARKER,
        deployment="100",
        provider="p1",
        gseq=1,
        oseq=1,
        price_per_hour="1.50",
    )


def see(phase: str, *, status: dict[str, Any] | None = None, **fields: Any) -> Observation:
    fields.setdefault("account", account(granted()))
    return observation(lease(phase, **(status or {})), **fields)


def leased(phase: str, **status: Any) -> dict[str, Any]:
    return {
        "deployment": RECORD,
        "provider": "p1",
        "gseq": 1,
        "oseq": 1,
        "endpoint": ENDPOINT,
        "timings": (TimingStatus(phase=phase, at=NOW),),
        **status,
    }


def serving(phase: str, **fields: Any) -> Observation:
    status = fields.pop("status", {})
    fields.setdefault("deployment", deployment(market_lease()))
    return see(phase, status=leased(phase, **status), **fields)
