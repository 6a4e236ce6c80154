"""The market on the chain itself, paid from a wallet that only its owner holds.

The caller chooses a deployment's number and records it before anything is sent, so that whatever
happens to an answer can be looked up by that number.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.message import Message

from akash_proto.schema.akash_base_deposit_v1_pb2 import Source, balance, grant
from garrison.adapters.akash.chain import messages
from garrison.adapters.akash.chain.composing import TIMEOUT
from garrison.adapters.akash.chain.directory import ProviderDirectory
from garrison.adapters.akash.chain.health import MAX_AGE
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import MAX_WAIT, Outbox
from garrison.adapters.akash.chain.pace import Pace
from garrison.adapters.akash.chain.purse import Purse
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.akash.chain.watch import Watch
from garrison.adapters.akash.numbering import Numbering, number_of
from garrison.adapters.akash.orders import manifest_text
from garrison.adapters.akash.reading import bids_of
from garrison.api.money import MicroUSD
from garrison.errors import NotFoundError, RejectedError
from garrison.ports.clock import Clock
from garrison.ports.market import (
    Balance,
    Bid,
    Deployment,
    DeploymentState,
    EndpointFact,
    LeaseState,
    MarketTraits,
    Order,
    ProviderFact,
)

BIDS = "/akash/market/v1beta5/bids/list"
OUTCOME_HORIZON = MAX_WAIT + TIMEOUT + MAX_AGE + timedelta(seconds=15)
"""The longest from a create to its block (waiting, then the timeout), and how old a node's word may be."""


class ChainMarket:
    """One account on the chain (``ports.market.Market``).

    ``granter``, when not "", pays deposits before the account does; refunds go back to it.
    """

    def __init__(
        self,
        *,
        nodes: Nodes,
        pace: Pace,
        watch: Watch,
        outbox: Outbox,
        terms: TermsReader,
        purse: Purse,
        directory: ProviderDirectory,
        clock: Clock,
        address: str,
        granter: str = "",
        outcome_horizon: timedelta = OUTCOME_HORIZON,
    ) -> None:
        self._nodes = nodes
        self._pace = pace
        self._watch = watch
        self._outbox = outbox
        self._terms = terms
        self._purse = purse
        self._directory = directory
        self._numbering = Numbering(clock)
        self._address = address
        self._sources: tuple[Source, ...] = (grant, balance) if granter else (balance,)
        self._traits = MarketTraits(chooses_id=True, outcome_horizon=outcome_horizon)

    @property
    def traits(self) -> MarketTraits:
        """Return that the caller picks the id, and how long a lost create is looked up."""
        return self._traits

    def propose_id(self) -> str | None:
        """Return a number from the clock, in milliseconds, as wallets do; never one twice."""
        return self._numbering.next()

    async def create(self, order: Order, deployment_id: str | None) -> Deployment:
        """Post the order under a number. Raises AlreadyExistsError when the number is taken."""
        number = _number(deployment_id)
        terms = await self._terms.terms()
        deposit = max(int(order.deposit), terms.least_deposit)
        message = messages.create(
            order,
            owner=self._address,
            dseq=number,
            blocks=await self._pace.blocks_per_hour(),
            deposit=deposit,
            sources=self._sources,
        )
        await self._send(message, f"order {number}")
        return Deployment(
            id=str(number),
            marker=order.marker,
            state=DeploymentState.ACTIVE,
            escrow=MicroUSD(deposit),
        )

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment in whatever state, None when the chain does not know it."""
        known = number_of(deployment_id) is not None
        return await self._watch.one(deployment_id) if known else None

    async def open_deployments(self) -> Sequence[Deployment]:
        """Return every open deployment of the account."""
        return await self._watch.all()

    async def bids(self, deployment_id: str) -> Sequence[Bid]:
        """Return the bids of the newest order."""
        if number_of(deployment_id) is None:
            return ()
        params = {"filters.owner": self._address, "filters.dseq": deployment_id}
        entries = await self._nodes.pages(BIDS, params, "bids")
        bids = bids_of(entries, await self._pace.blocks_per_hour(), self._address)
        return tuple(each for each in bids if each.deployment == deployment_id)

    async def accept(self, bid: Bid, order: Order) -> None:
        """Create the lease for a bid; the manifest goes to the provider afterwards.

        Raises RejectedError when the bid or the deployment is gone.
        """
        del order
        what = f"lease {bid.deployment} with {bid.provider}"
        try:
            await self._send(messages.lease(bid, owner=self._address), what)
        except NotFoundError as error:
            raise RejectedError(f"the bid is gone: {error}") from error
        except RejectedError:
            if not await self._is_leased(bid):
                raise

    async def close(self, deployment_id: str) -> None:
        """Close a deployment; one that is closed or unknown is left as it is."""
        found = await self.deployment(deployment_id)
        if found is None or found.state == DeploymentState.CLOSED:
            return
        number = int(deployment_id)
        try:
            await self._send(messages.close(owner=self._address, dseq=number), f"close {number}")
        except NotFoundError:
            return
        except RejectedError:
            if not await self._is_closed(deployment_id):
                raise

    async def deposit(self, deployment_id: str, amount: MicroUSD) -> None:
        """Add to a deployment's escrow. Raises RejectedError for an unknown or closed one.

        What is put into an overdrawn one would pay its debt and keep nothing open.
        """
        found = await self.deployment(deployment_id)
        if found is None or found.state == DeploymentState.CLOSED:
            raise RejectedError(f"deployment {deployment_id} is not open; order a new one")
        if found.leases and found.escrow == 0:
            raise RejectedError(
                f"the escrow of deployment {deployment_id} ran out, and what is added would only pay "
                "its debt; order a new one"
            )
        message = messages.top_up(
            signer=self._address,
            owner=self._address,
            dseq=int(deployment_id),
            amount=int(amount),
            sources=self._sources,
        )
        await self._send(message, f"deposit to {deployment_id}")

    async def balance(self) -> Balance:
        """Return what can be deposited, what fees can be paid from, and what is left in escrow."""
        deployments = await self._watch.all()
        escrowed = sum(each.escrow or 0 for each in deployments)
        terms = await self._terms.terms()
        funds = await self._purse.funds(terms.gas_price.denom)
        return Balance(
            available=funds.available,
            fees=funds.fees,
            until=funds.until,
            escrowed=MicroUSD(escrowed),
            address=self._address,
        )

    async def providers(self) -> Sequence[ProviderFact]:
        """Return the providers registered on the chain; it does not know which are alive."""
        return await self._directory.all()

    def manifest(self, deployment_id: str, order: Order) -> str:
        """Return the manifest to hand to the provider: the one whose hash the chain has."""
        del deployment_id
        return manifest_text(order)

    def endpoints(self) -> Sequence[EndpointFact]:
        """Return how the nodes fare."""
        return self._nodes.endpoints()

    async def _send(self, message: Message, what: str) -> None:
        try:
            await self._outbox.send(message, what)
        finally:
            self._watch.forget()

    async def _is_leased(self, bid: Bid) -> bool:
        found = await self.deployment(bid.deployment)
        wanted = (bid.provider, bid.gseq, bid.oseq)
        leases = found.leases if found is not None else ()
        return any(
            (each.provider, each.gseq, each.oseq) == wanted and each.state != LeaseState.CLOSED
            for each in leases
        )

    async def _is_closed(self, deployment_id: str) -> bool:
        found = await self.deployment(deployment_id)
        return found is None or found.state == DeploymentState.CLOSED


def _number(deployment_id: str | None) -> int:
    number = number_of(deployment_id or "")
    if number is None:
        raise RejectedError(
            f"{deployment_id!r} is no deployment number; on the chain the caller chooses one"
        )
    return number
