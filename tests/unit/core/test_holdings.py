"""What is escrowed where."""

from __future__ import annotations

from garrison.api.account import EscrowStatus
from garrison.api.lease import DeploymentStatus
from garrison.api.money import MicroUSD
from garrison.core.holdings import MAX_ESCROWS, escrows
from garrison.ports.market import Deployment, DeploymentState
from tests.builders import NOW, lease, market_lease


def found(number: str, **fields: object) -> Deployment:
    base = {"id": number, "marker": "m", "state": DeploymentState.ACTIVE, "escrow": MicroUSD(1)}
    return Deployment(**{**base, **fields})  # type: ignore[arg-type]


def test_each_open_deployment_with_its_lease_and_provider() -> None:
    mine = lease("Ready", deployment=DeploymentStatus(id="100", marker="m", ordered_at=NOW))
    shown = escrows(
        [
            found("200", escrow=MicroUSD(2_500_000)),
            found("100", leases=(market_lease(provider="p1"),), escrow=MicroUSD(10**30)),
            found("300", state=DeploymentState.CLOSED),
            found("400", escrow=None),
        ],
        [mine, lease(name="chat-2")],
    )
    assert shown == (
        EscrowStatus(deployment="100", lease="prod/chat-1", provider="p1", left="9999999.999999"),
        EscrowStatus(deployment="200", left="2.50"),
    )


def test_the_list_is_bounded() -> None:
    assert len(escrows([found(str(number)) for number in range(1000)], [])) == MAX_ESCROWS
