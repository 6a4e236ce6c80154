"""What is escrowed where, as an account shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from garrison.api.account import EscrowStatus
from garrison.api.lease import Lease
from garrison.api.money import parse_dollars, shown_dollars
from garrison.ports.market import Deployment, DeploymentState

MAX_ESCROWS = 100


def escrows(deployments: Iterable[Deployment], leases: Sequence[Lease]) -> tuple[EscrowStatus, ...]:
    """Return what is left in each open deployment, by id; those that the market is silent about not."""
    owners = {
        each.status.deployment.id: each for each in leases if each.status.deployment is not None
    }
    found = [
        _escrow(each, shown_dollars(each.escrow), owners.get(each.id))
        for each in deployments
        if each.state is DeploymentState.ACTIVE and each.escrow is not None
    ]
    return tuple(sorted(found, key=lambda each: each.deployment)[:MAX_ESCROWS])


def steady(
    old: tuple[EscrowStatus, ...], new: tuple[EscrowStatus, ...]
) -> tuple[EscrowStatus, ...]:
    """Return the old ones until a tenth of the money has moved: a status is no ticker."""
    if [_place(each) for each in old] != [_place(each) for each in new]:
        return new
    before = [parse_dollars(each.left) for each in old]
    now = [parse_dollars(each.left) for each in new]
    moved = sum(abs(a - b) for a, b in zip(before, now, strict=True))
    return new if moved * 10 >= max(sum(before), 1) else old


def _escrow(deployment: Deployment, left: str, owner: Lease | None) -> EscrowStatus:
    held = max(deployment.leases, key=lambda each: (each.gseq, each.oseq), default=None)
    return EscrowStatus(
        deployment=deployment.id[:253],
        lease=f"{owner.meta.namespace}/{owner.meta.name}" if owner is not None else None,
        provider=held.provider[:253] if held is not None else None,
        left=left,
    )


def _place(each: EscrowStatus) -> tuple[str, str | None, str | None]:
    return each.deployment, each.lease, each.provider
