"""The market through the Console API: a managed wallet behind an API key.

Three things that the API does not give are made up for here.

The manifest is returned once, by the create. It is kept in memory and sent back verbatim; after a
restart it is made again from the order (see ``orders``), with the same hash.

The marker (the group's name) is not in the account's own listing, only in Console's database, which
lags. Which deployments are open is taken from the account's listing, the names from the database; an
open deployment whose name is not known yet makes the listing fail rather than look incomplete.

The account's address is not said by any call that needs the key alone; it is read off the account's
deployments, and "" before the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

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
from garrison.adapters.akash.client import ConsoleClient, rejection
from garrison.adapters.akash.markers import Markers
from garrison.adapters.akash.memo import Memo
from garrison.adapters.akash.orders import manifest_text, sdl_text
from garrison.adapters.akash.pricing import from_dollars, to_dollars
from garrison.adapters.akash.reading import bids_of, deployment_of, is_open, providers_of
from garrison.api.money import MicroUSD
from garrison.errors import NotFoundError, RejectedError, UnavailableError, UnknownOutcomeError
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
_ENTRIES: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[Any, ...])


class ConsoleMarket:
    """One account at the Console API (``ports.market.Market``)."""

    def __init__(self, *, client: ConsoleClient, outcome_horizon: timedelta) -> None:
        self._client = client
        self._traits = MarketTraits(
            chooses_id=False, outcome_horizon=outcome_horizon, escrow_lags=True
        )
        self._markers = Markers(client)
        self._manifests: Memo[str] = Memo(256)
        self._owner = ""

    @property
    def traits(self) -> MarketTraits:
        """Return that the market picks the id, and how long a lost create is looked up."""
        return self._traits

    def propose_id(self) -> str | None:
        """Return None: Console numbers the deployments."""
        return None

    async def create(self, order: Order, deployment_id: str | None) -> Deployment:
        """Post the order. ``deployment_id`` must be None, else RejectedError."""
        if deployment_id is not None:
            raise RejectedError("the Console API chooses deployment ids; none can be asked for")
        data = {"sdl": sdl_text(order), "deposit": to_dollars(order.deposit)}
        created = _created(await self._client.write("POST", "/v1/deployments", {"data": data}))
        self._markers.learn(created.dseq, order.marker)
        if created.manifest:
            self._manifests.keep(created.dseq, created.manifest)
        return Deployment(
            id=created.dseq,
            marker=order.marker,
            state=DeploymentState.ACTIVE,
            escrow=order.deposit,
        )

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment; its marker is "" while Console's database does not have it."""
        if not _is_number(deployment_id):
            return None
        try:
            raw = await self._client.get(f"/v1/deployments/{deployment_id}")
        except NotFoundError:
            return None
        entry = understood(DEPLOYMENT, raw, f"deployment {deployment_id}").data
        self._owner = entry.deployment.id.owner
        marker = await self._markers.one(self._owner, deployment_id)
        return deployment_of(entry, marker or "")

    async def open_deployments(self) -> Sequence[Deployment]:
        """Return every open deployment. Raises UnavailableError while one's marker is unknown."""
        entries = [each for each in await self._listing() if is_open(each)]
        if not entries:
            return ()
        self._owner = entries[0].deployment.id.owner
        numbers = [each.deployment.id.dseq for each in entries]
        markers = await self._markers.all(self._owner, numbers)
        return tuple(deployment_of(each, markers[each.deployment.id.dseq]) for each in entries)

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
        if not _is_number(deployment_id):
            return
        try:
            await self._client.write("DELETE", f"/v1/deployments/{deployment_id}")
        except NotFoundError:
            return
        self._manifests.drop(deployment_id)

    async def deposit(self, deployment_id: str, amount: MicroUSD) -> None:
        """Add to a deployment's escrow. Raises RejectedError for an unknown or closed one."""
        data = {"dseq": deployment_id, "deposit": to_dollars(amount)}
        try:
            await self._client.write("POST", "/v1/deposit-deployment", {"data": data})
        except NotFoundError as error:
            raise RejectedError(f"deployment {deployment_id} is not open: {error}") from error

    async def balance(self) -> Balance:
        """Return the wallet's balance and what lies in escrow."""
        body = understood(BALANCE, await self._client.get("/v1/balances"), "the balance").data
        escrowed = from_dollars(body.deployments) if body.deployments is not None else None
        return Balance(available=from_dollars(body.balance), escrowed=escrowed, address=self._owner)

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


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 20
