"""The market through the Console API: a managed wallet behind an API key.

A deployment's number is chosen here and recorded before the call, as on the chain: ``POST /v1/tx`` signs
the very message. Where the API refuses that (another service, a key without the right), it numbers the
deployment itself, and the marker alone finds it again after a crash.

Three things that the API does not give are made up for here.

The manifest is returned once, by the create. It is kept in memory and sent back verbatim; after a
restart it is made again from the order (see ``orders``), with the same hash.

The marker (the group's name) is not in the account's own listing, only in Console's database, which
lags. Which deployments are open is taken from the account's listing, the names from the database; an
open deployment whose name is not known yet makes the listing fail rather than look incomplete.

The account's address is its managed wallet's; where that is not told, it is read off the account's
deployments, and "" before the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from akash_proto.schema.akash_base_deposit_v1_pb2 import balance, grant
from garrison.adapters.akash.answers import (
    BALANCE,
    CREATED,
    DEPLOYMENT,
    DEPLOYMENTS,
    LIST,
    Created,
    DeploymentEntry,
    DeploymentPage,
    understood,
)
from garrison.adapters.akash.chain import messages
from garrison.adapters.akash.client import ConsoleClient, rejection
from garrison.adapters.akash.managed import ManagedWallet, UnsignedError
from garrison.adapters.akash.markers import Markers
from garrison.adapters.akash.memo import Memo
from garrison.adapters.akash.numbering import Numbering, number_of
from garrison.adapters.akash.orders import manifest_text, sdl_text
from garrison.adapters.akash.pricing import BLOCKS_PER_HOUR, from_dollars, to_dollars
from garrison.adapters.akash.reading import (
    bids_of,
    deployment_of,
    is_open,
    priced,
    providers_of,
)
from garrison.api.money import MicroUSD
from garrison.errors import NotFoundError, RejectedError, UnavailableError, UnknownOutcomeError
from garrison.ports.clock import Clock
from garrison.ports.market import (
    Balance,
    Bid,
    Deployment,
    DeploymentState,
    EndpointFact,
    MarketTraits,
    Order,
    ProviderFact,
)

PAGE = 100
MAX_PAGES = 100
MAX_REREADS = 3
UNSIGNED_SECONDS = 3600.0
"""How long an API that signs no messages is not asked to again."""
SOURCES = (grant, balance)
"""Console's wallets hold nothing: what an account may spend is granted to it."""
_ENTRIES: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[Any, ...])


class ConsoleMarket:
    """One account at the Console API (``ports.market.Market``)."""

    def __init__(self, *, client: ConsoleClient, clock: Clock, outcome_horizon: timedelta) -> None:
        self._client = client
        self._wallet = ManagedWallet(client)
        self._numbering = Numbering(clock)
        self._unsigned_until = 0.0
        self._traits = MarketTraits(
            chooses_id=True, outcome_horizon=outcome_horizon, escrow_lags=True
        )
        self._markers = Markers(client)
        self._manifests: Memo[str] = Memo(256)
        self._owner = ""

    @property
    def traits(self) -> MarketTraits:
        """Return that the caller picks the id, and how long a lost create is looked up."""
        return self._traits

    def propose_id(self) -> str | None:
        """Return a number from the clock, None while the API is known to sign no messages."""
        return self._numbering.next() if self._signs() else None

    async def create(self, order: Order, deployment_id: str | None) -> Deployment:
        """Post the order, under ``deployment_id`` where the API signs messages.

        Raises AlreadyExistsError when the number is taken. Where the API signs none, nothing was done
        under that number, and the deployment has another, which only its marker tells.
        """
        if deployment_id is not None and self._signs():
            try:
                return await self._create_as(deployment_id, order)
            except UnsignedError:
                self._leave_unsigned()
        return await self._create(order)

    async def _create_as(self, deployment_id: str, order: Order) -> Deployment:
        number = number_of(deployment_id)
        if number is None:
            raise RejectedError(f"{deployment_id!r} is no deployment number; choose a positive one")
        message = messages.create(
            order,
            owner=await self._wallet.address(),
            dseq=number,
            blocks=BLOCKS_PER_HOUR,
            deposit=int(order.deposit),
            sources=SOURCES,
        )
        await self._wallet.sign(message, f"order {number}")
        return self._ordered(str(number), order)

    async def _create(self, order: Order) -> Deployment:
        data = {"sdl": sdl_text(order), "deposit": to_dollars(order.deposit)}
        created = _created(await self._client.write("POST", "/v1/deployments", {"data": data}))
        if created.manifest:
            self._manifests.keep(created.dseq, created.manifest)
        return self._ordered(created.dseq, order)

    def _ordered(self, deployment_id: str, order: Order) -> Deployment:
        self._markers.learn(deployment_id, order.marker)
        return Deployment(
            id=deployment_id,
            marker=order.marker,
            state=DeploymentState.ACTIVE,
            escrow=order.deposit,
        )

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment; its marker is "" while Console's database does not have it."""
        entry = await self._entry(deployment_id)
        if entry is None:
            return None
        marker = await self._markers.one(self._owner, deployment_id)
        return deployment_of(entry, marker or "")

    async def _entry(self, deployment_id: str) -> DeploymentEntry | None:
        if number_of(deployment_id) is None:
            return None
        try:
            raw = await self._client.get(f"/v1/deployments/{deployment_id}")
        except NotFoundError:
            return None
        entry = understood(DEPLOYMENT, raw, f"deployment {deployment_id}").data
        self._owner = entry.deployment.id.owner
        return entry

    async def open_deployments(self) -> Sequence[Deployment]:
        """Return every open deployment, its leases for other coins left out.

        Raises UnavailableError while one's marker is unknown.
        """
        entries = [each for each in await self._listing() if is_open(each)]
        if not entries:
            return ()
        self._owner = entries[0].deployment.id.owner
        numbers = [each.deployment.id.dseq for each in entries]
        markers = await self._markers.all(self._owner, numbers)
        return tuple(
            deployment_of(
                replace(each, leases=priced(each.leases)), markers[each.deployment.id.dseq]
            )
            for each in entries
        )

    async def bids(self, deployment_id: str) -> Sequence[Bid]:
        """Return the bids of the newest order."""
        try:
            raw = await self._client.get("/v1/bids", {"dseq": deployment_id})
        except NotFoundError:
            return ()
        bids = bids_of(understood(LIST, raw, f"the bids for {deployment_id}").data)
        return tuple(each for each in bids if each.deployment == deployment_id)

    async def accept(self, bid: Bid, order: Order) -> None:
        """Create the lease; Console also sends the manifest, and repeats nothing it has done.

        Raises RejectedError when the bid or the deployment is gone.
        """
        lease = {
            "dseq": bid.deployment,
            "gseq": bid.gseq,
            "oseq": bid.oseq,
            "provider": bid.provider,
        }
        manifest = self.manifest(bid.deployment, order)
        body = {"manifest": manifest, "leases": [lease]}
        try:
            await self._client.write("POST", "/v1/leases", body)
        except NotFoundError as error:
            raise RejectedError(f"the bid of {bid.provider} is gone: {error}") from error

    async def close(self, deployment_id: str) -> None:
        """Close a deployment; one that is closed or unknown is left as it is."""
        if number_of(deployment_id) is None:
            return
        try:
            await self._client.write("DELETE", f"/v1/deployments/{deployment_id}")
        except NotFoundError:
            return
        self._manifests.drop(deployment_id)

    async def deposit(self, deployment_id: str, amount: MicroUSD) -> None:
        """Add to a deployment's escrow. Raises RejectedError for an unknown or closed one.

        The call made for this is deprecated, so it is the second choice.
        """
        if self._signs():
            try:
                return await self._top_up(deployment_id, amount)
            except UnsignedError:
                self._leave_unsigned()
        data = {"dseq": deployment_id, "deposit": to_dollars(amount)}
        try:
            await self._client.write("POST", "/v1/deposit-deployment", {"data": data})
        except NotFoundError as error:
            raise RejectedError(f"deployment {deployment_id} is not open: {error}") from error
        return None

    async def _top_up(self, deployment_id: str, amount: MicroUSD) -> None:
        entry = await self._entry(deployment_id)
        if entry is None or not is_open(entry):
            raise RejectedError(f"deployment {deployment_id} is not open; order a new one")
        owner = await self._wallet.address()
        message = messages.top_up(
            signer=owner,
            owner=owner,
            dseq=int(deployment_id),
            amount=int(amount),
            sources=SOURCES,
        )
        await self._wallet.sign(message, f"deposit to {deployment_id}")

    async def balance(self) -> Balance:
        """Return the wallet's balance and what lies in escrow."""
        body = understood(BALANCE, await self._client.get("/v1/balances"), "the balance").data
        escrowed = from_dollars(body.deployments) if body.deployments is not None else None
        address = await self._address()
        return Balance(available=from_dollars(body.balance), escrowed=escrowed, address=address)

    async def _address(self) -> str:
        if not self._owner and self._signs():
            try:
                self._owner = await self._wallet.address()
            except UnsignedError:
                self._leave_unsigned()
        return self._owner

    def _signs(self) -> bool:
        return asyncio.get_running_loop().time() >= self._unsigned_until

    def _leave_unsigned(self) -> None:
        self._unsigned_until = asyncio.get_running_loop().time() + UNSIGNED_SECONDS

    def endpoints(self) -> Sequence[EndpointFact]:
        """Return nothing: there are no nodes."""
        return ()

    async def providers(self) -> Sequence[ProviderFact]:
        """Return the providers that Console lists."""
        raw = await self._client.get("/v1/providers")
        entries = understood(_ENTRIES, raw, "the providers")
        return providers_of(entries)

    def manifest(self, deployment_id: str, order: Order) -> str:
        """Return the manifest to hand to the provider: Console's own words, else made again."""
        return self._manifests.get(deployment_id) or manifest_text(order)

    async def _listing(self) -> Sequence[DeploymentEntry]:
        """Return all listed deployments; pages are read again when the listing changed between."""
        for _ in range(MAX_REREADS):
            found = await self._pages()
            if found is not None:
                return found
        raise UnavailableError("the account's deployments change faster than they can be listed")

    async def _pages(self) -> Sequence[DeploymentEntry] | None:
        found: dict[str, DeploymentEntry] = {}
        skip = 0
        total: int | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(skip)
            if total is not None and page.pagination.total != total:
                return None
            total = page.pagination.total
            found.update((each.deployment.id.dseq, each) for each in page.deployments)
            skip += len(page.deployments)
            if not page.pagination.has_more or not page.deployments:
                return tuple(found.values())
        raise UnavailableError(
            f"the account has more than {MAX_PAGES * PAGE} deployments; close what is not needed"
        )

    async def _page(self, skip: int) -> DeploymentPage:
        params = {"skip": str(skip), "limit": str(PAGE)}
        raw = await self._client.get("/v1/deployments", params)
        return understood(DEPLOYMENTS, raw, "the deployments").data


def _created(raw: Any) -> Created:
    """Return what was created; an answer that does not say is an unknown outcome."""
    try:
        created = CREATED.validate_python(raw).data
    except ValidationError as error:
        raise UnknownOutcomeError(
            "the Console API took the order and its answer names no deployment; it is looked up"
        ) from error
    if created.sign_tx is not None and created.sign_tx.code != 0:
        raise rejection(
            f"the chain refused the order with code {created.sign_tx.code}: "
            f"{created.sign_tx.raw_log[:300]}"
        )
    return created
