"""What a tenant does in the market."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market import ids, refusal
from akash_sandbox.market.bank import ESCROW, UACT
from akash_sandbox.market.bid import Bid, BidState
from akash_sandbox.market.book import Book
from akash_sandbox.market.decimals import UNIT, floor, text
from akash_sandbox.market.deployment import (
    Deployment,
    DeploymentState,
    Group,
    GroupState,
    post_order,
    with_bid,
    with_group,
    with_lease,
    with_orders,
)
from akash_sandbox.market.escrow import EscrowState, Refund, Source
from akash_sandbox.market.lease import CloseReason, Lease, LeaseKey, LeaseState
from akash_sandbox.market.order import Order, OrderState

Json = dict[str, Any]

BALANCE = (Source.BALANCE,)


class TenantSide:
    """Deployments and leases. Every operation takes the time; refusals raise RefusalError."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def create(
        self,
        now: float,
        owner: str,
        *,
        groups: Sequence[Json],
        manifest_hash: str,
        deposit: int,
        denom: str = UACT,
        sources: Sequence[Source] = BALANCE,
        dseq: str = "",
        signer: str = "",
        reclamation: int | None = None,
    ) -> Deployment:
        """Post a deployment, one order per group; without ``dseq`` the market picks one."""
        book, height = self._book, self._book.blocks.height(now)
        self._check_unused(owner, dseq)
        self._check(groups, deposit, reclamation)
        deployment = Deployment(
            owner=owner,
            dseq=dseq or self._fresh_dseq(now, owner),
            state=DeploymentState.ACTIVE,
            hash=manifest_hash,
            created_at=height,
            posted=now,
            groups=_opened(groups),
            escrow=escrows.opened((), height),
            reclamation=reclamation,
        )
        deployment = self._announced(deployment, now)
        paid = book.purse.collect(
            now,
            signer=signer or owner,
            denom=denom,
            amount=deposit,
            sources=sources,
            scope="deployment",
            height=height,
        )
        return book.keep(replace(deployment, escrow=escrows.opened(paid, height)))

    def update(self, owner: str, dseq: str, manifest_hash: str) -> Deployment:
        """Change the manifest's hash, the only thing that can change."""
        deployment = self._book.find(owner, dseq)
        if not deployment.is_active:
            raise refusal.deployment_closed()
        if deployment.hash == manifest_hash:
            raise refusal.same_hash()
        changed = replace(deployment, hash=manifest_hash)
        self._tell_hash("EventDeploymentUpdated", changed)
        return self._book.keep(changed)

    def close(self, now: float, owner: str, dseq: str) -> Deployment:
        """Close a deployment with all its leases; what is left of the deposits goes back."""
        deployment = self._active(now, owner, dseq)
        height = self._book.blocks.height(now)
        for group in deployment.groups:
            deployment = self._book.end_group(deployment, group.gseq, height)
        account, refunds = escrows.close(deployment.escrow)
        self._book.purse.give_back(owner, refunds)
        self._book.events.typed(
            f"{ids.DEPLOYMENT}EventDeploymentClosed", id=ids.deployment(deployment)
        )
        for group in deployment.groups:
            if group.state is not GroupState.CLOSED:
                deployment = self._told_group(
                    deployment, group.gseq, GroupState.CLOSED, "EventGroupClosed"
                )
        ended = replace(
            deployment,
            escrow=replace(account, settled_at=height),
            state=DeploymentState.CLOSED,
        )
        return self._book.keep(ended)

    def deposit(
        self,
        now: float,
        owner: str,
        dseq: str,
        amount: int,
        *,
        denom: str = UACT,
        sources: Sequence[Source] = BALANCE,
        signer: str = "",
    ) -> Deployment:
        """Add to a deployment's escrow; what is paid into an overdrawn one pays the debt only.

        The chain settles nothing here: an escrow that ran out may still look open.
        """
        deployment = self._book.get(owner, dseq)
        if deployment is None:
            raise refusal.account_not_found()
        if deployment.escrow.state is EscrowState.CLOSED:
            raise refusal.account_closed()
        paid = self._book.purse.collect(
            now,
            signer=signer or owner,
            denom=denom,
            amount=amount,
            sources=sources,
            scope="deployment",
            height=self._book.blocks.height(now),
        )
        if deployment.escrow.state is EscrowState.OPEN:
            account = escrows.added(deployment.escrow, paid)
            return self._book.keep(replace(deployment, escrow=account))
        return self._book.keep(self._repaid(deployment, paid))

    def lease(self, now: float, key: LeaseKey) -> Lease:
        """Turn an open bid into the order's one lease; the first of the other bids is lost."""
        deployment, bid = self._bid(key)
        if bid.state is not BidState.OPEN:
            raise refusal.bid_not_open()
        order = deployment.order(key.gseq, key.oseq)
        if order is None or order.state is not OrderState.OPEN:
            raise refusal.order_not_open()
        deployment = self._book.settle(now, deployment)
        if not deployment.is_active:
            raise refusal.deployment_closed()
        height = self._book.blocks.height(now)
        lease = Lease(
            gseq=key.gseq,
            oseq=key.oseq,
            provider=key.provider,
            state=LeaseState.ACTIVE,
            price=bid.price,
            gpu_key=bid.gpu_key,
            created_at=height,
            leased=now,
            window_seconds=bid.window_seconds,
        )
        leased = replace(
            deployment,
            leases=(*deployment.leases, lease),
            escrow=replace(deployment.escrow, settled_at=height),
        )
        self._book.keep(self._taken(leased, bid, order, height))
        self._book.events.typed(
            f"{ids.MARKET}EventLeaseCreated",
            id=ids.bid(deployment, key.gseq, key.oseq, key.provider),
            price={"denom": UACT, "amount": text(bid.price)},
        )
        return lease

    def close_lease(self, now: float, key: LeaseKey) -> Deployment:
        """End a lease; its group is listed again with the next oseq."""
        deployment, lease = open_lease(self._book, now, key)
        height = self._book.blocks.height(now)
        order = deployment.order(key.gseq, key.oseq)
        deployment = self._book.end_lease(
            deployment, lease, height, LeaseState.CLOSED, CloseReason.OWNER
        )
        if order is not None:
            deployment = self._book.end_order(deployment, order, height)
        if deployment.is_active and deployment.group(key.gseq).state is GroupState.OPEN:
            deployment = self._posted(deployment, key.gseq, now)
        return self._book.keep(deployment)

    # -- groups

    def close_group(self, now: float, owner: str, dseq: str, gseq: int) -> Deployment:
        """End a group for good; the deployment stays open."""
        deployment = self._active(now, owner, dseq)
        return self._halted(now, deployment, gseq, GroupState.CLOSED)

    def pause_group(self, now: float, owner: str, dseq: str, gseq: int) -> Deployment:
        """End a group's lease and order until it is started again."""
        deployment = self._active(now, owner, dseq)
        return self._halted(now, deployment, gseq, GroupState.PAUSED)

    def start_group(self, now: float, owner: str, dseq: str, gseq: int) -> Deployment:
        """List a paused group again with the next oseq."""
        deployment = self._active(now, owner, dseq)
        match group(deployment, gseq).state:
            case GroupState.PAUSED:
                pass
            case GroupState.OPEN:
                raise refusal.group_open()
            case _:
                raise refusal.group_closed()
        deployment = self._told_group(deployment, gseq, GroupState.OPEN, "EventGroupStarted")
        return self._book.keep(self._posted(deployment, gseq, now))

    def _halted(
        self, now: float, deployment: Deployment, gseq: int, state: GroupState
    ) -> Deployment:
        found = group(deployment, gseq).state
        if found is state is GroupState.PAUSED:
            raise refusal.group_paused()
        if found not in (GroupState.OPEN, GroupState.PAUSED):
            raise refusal.group_closed()
        event = "EventGroupPaused" if state is GroupState.PAUSED else "EventGroupClosed"
        deployment = self._told_group(deployment, gseq, state, event)
        height = self._book.blocks.height(now)
        return self._book.keep(self._book.end_group(deployment, gseq, height))

    # -- inside

    def _check_unused(self, owner: str, dseq: str) -> None:
        if dseq and self._book.get(owner, dseq) is not None:
            raise refusal.deployment_exists()

    def _check(self, groups: Sequence[Json], deposit: int, reclamation: int | None) -> None:
        terms = self._book.terms
        for spec in groups:
            for unit in spec["resources"]:
                if unit["price"]["denom"] != UACT:
                    raise refusal.wrong_denom(unit["price"]["denom"])
        if deposit < terms.least_deposit:
            raise refusal.deposit_too_low(deposit, terms.least_deposit)
        if reclamation is not None and reclamation < terms.least_reclamation_seconds:
            raise refusal.reclamation_too_short()
        if reclamation is not None and reclamation > terms.greatest_reclamation_seconds:
            raise refusal.reclamation_too_long()
        names = [str(spec["name"]) for spec in groups]
        for name in names:
            if names.count(name) > 1:
                raise refusal.duplicate_group(name)

    def _fresh_dseq(self, now: float, owner: str) -> str:
        dseq = int(now * 1000)
        while self._book.get(owner, str(dseq)) is not None:
            dseq += 1
        return str(dseq)

    def _active(self, now: float, owner: str, dseq: str) -> Deployment:
        deployment = self._book.find(owner, dseq)
        if deployment.is_active:
            deployment = self._book.settle(now, deployment)
        if not deployment.is_active:
            raise refusal.deployment_closed()
        return deployment

    def _bid(self, key: LeaseKey) -> tuple[Deployment, Bid]:
        deployment = self._book.get(key.owner, key.dseq)
        bid = deployment.bid(key.gseq, key.oseq, key.provider) if deployment is not None else None
        if deployment is None or bid is None:
            raise refusal.bid_not_found()
        return deployment, bid

    def _taken(self, deployment: Deployment, bid: Bid, order: Order, height: int) -> Deployment:
        """As on the chain, the rivals after the first stay open (akash-network/support#441)."""
        rivals = [
            each
            for each in deployment.bids
            if (each.gseq, each.oseq) == (bid.gseq, bid.oseq)
            and each.state is BidState.OPEN
            and each.provider != bid.provider
        ]
        if rivals:
            first = min(rivals, key=lambda each: each.provider)
            deployment = self._book.end_bid(deployment, first, BidState.LOST, height)
        deployment = with_bid(deployment, replace(bid, state=BidState.ACTIVE))
        return with_orders(deployment, lambda o: o == order, OrderState.ACTIVE)

    def _repaid(self, deployment: Deployment, paid: Sequence[escrows.Deposit]) -> Deployment:
        amount = sum(part.balance for part in paid if part.denom == UACT)
        account, used = escrows.repaid(deployment.escrow, amount)
        for lease in deployment.leases:
            deployment = self._pay_debt(deployment, lease, used)
        left = used
        refunds = []
        for part in paid:
            taken = min(left, part.balance) if part.denom == UACT else 0
            left -= taken
            rest = floor(part.balance - taken)
            refunds.append(
                Refund(owner=part.owner, source=part.source, denom=part.denom, amount=rest)
            )
        # Coins of another kind than rent is paid in lay there all the time.
        account, others = escrows.close(account)
        self._book.purse.give_back(deployment.owner, [*refunds, *others])
        return replace(deployment, escrow=account)

    def _pay_debt(self, deployment: Deployment, lease: Lease, used: int) -> Deployment:
        """Give a lease's provider its share of a debt that was paid."""
        debt = deployment.escrow.debt
        share = lease.unsettled * used // debt if debt else 0
        if not share:
            return deployment
        whole = floor(share)
        self._book.bank.send(ESCROW, lease.provider, UACT, whole)
        changed = replace(
            lease,
            unsettled=lease.unsettled - share,
            withdrawn=lease.withdrawn + whole,
            balance=lease.balance + share - whole * UNIT,
        )
        return with_lease(deployment, changed)

    def _announced(self, deployment: Deployment, now: float) -> Deployment:
        self._tell_hash("EventDeploymentCreated", deployment)
        for each in deployment.groups:
            deployment = self._posted(deployment, each.gseq, now)
        return deployment

    def _posted(self, deployment: Deployment, gseq: int, now: float) -> Deployment:
        posted = post_order(deployment, gseq, self._book.blocks.height(now), now)
        key = ids.order(posted, gseq, posted.orders[-1].oseq)
        self._book.events.typed(f"{ids.MARKET}EventOrderCreated", id=key)
        return posted

    def _told_group(
        self, deployment: Deployment, gseq: int, state: GroupState, event: str
    ) -> Deployment:
        self._book.events.typed(f"{ids.DEPLOYMENT}{event}", id=ids.group(deployment, gseq))
        return with_group(deployment, gseq, state)

    def _tell_hash(self, event: str, deployment: Deployment) -> None:
        shown = base64.b64encode(bytes.fromhex(deployment.hash)).decode()
        self._book.events.typed(
            f"{ids.DEPLOYMENT}{event}", hash=shown, id=ids.deployment(deployment)
        )


def _opened(specs: Sequence[Json]) -> tuple[Group, ...]:
    return tuple(
        Group(gseq=gseq, state=GroupState.OPEN, spec=spec) for gseq, spec in enumerate(specs, 1)
    )


def group(deployment: Deployment, gseq: int) -> Group:
    """Return a group; raises RefusalError when there is none."""
    if not 1 <= gseq <= len(deployment.groups):
        raise refusal.group_not_found()
    return deployment.group(gseq)


def found_lease(book: Book, key: LeaseKey) -> tuple[Deployment, Lease]:
    """Return a lease that is open as far as the book knows; raises RefusalError."""
    deployment = book.get(key.owner, key.dseq)
    lease = deployment.lease(key.gseq, key.oseq, key.provider) if deployment is not None else None
    if deployment is None or lease is None:
        raise refusal.lease_not_found()
    if not lease.is_open:
        raise refusal.lease_not_active()
    return deployment, lease


def open_lease(book: Book, now: float, key: LeaseKey) -> tuple[Deployment, Lease]:
    """Return a lease that is open when it is settled up to now; raises RefusalError."""
    found_lease(book, key)
    book.settle(now, book.find(key.owner, key.dseq))
    return found_lease(book, key)
