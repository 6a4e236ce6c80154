"""Queries of deployments, orders, bids, leases and escrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from akash_sandbox.chain.chain import View
from akash_sandbox.chain.rest import shapes
from akash_sandbox.chain.rest.answers import (
    INVALID,
    QueryError,
    account_address,
    answer,
    not_found,
)
from akash_sandbox.chain.rest.pages import has_offset, page
from akash_sandbox.console import shapes as common
from akash_sandbox.market.book import Terms
from akash_sandbox.market.deployment import Deployment, DeploymentState

Json = dict[str, Any]
Query = Mapping[str, str]

_DEPLOYMENT = "/akash/deployment/v1beta4"
_MARKET = "/akash/market/v1beta5"
_ESCROW = "/akash/escrow/v1/types"
_STATES = [DeploymentState.ACTIVE, DeploymentState.CLOSED]


class MarketQueries:
    """The handlers; each looks at the view of its node."""

    def __init__(self, view: Callable[[], View], terms: Terms) -> None:
        self._view = view
        self._terms = terms

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(f"{_DEPLOYMENT}/deployments/list", self._deployments),
            web.get(f"{_DEPLOYMENT}/deployments/info", self._deployment),
            web.get(f"{_DEPLOYMENT}/groups/info", self._group),
            web.get(f"{_DEPLOYMENT}/params", self._deployment_params),
            web.get(f"{_MARKET}/orders/list", self._orders),
            web.get(f"{_MARKET}/orders/info", self._order),
            web.get(f"{_MARKET}/bids/list", self._bids),
            web.get(f"{_MARKET}/bids/info", self._bid),
            web.get(f"{_MARKET}/leases/list", self._leases),
            web.get(f"{_MARKET}/leases/info", self._lease),
            web.get(f"{_MARKET}/params", self._market_params),
            web.get(f"{_ESCROW}/accounts", self._accounts),
            web.get(f"{_ESCROW}/payments", self._payments),
        ]

    async def _deployments(self, request: web.Request) -> web.Response:
        query = request.query
        if has_offset(query) and not query.get("filters.state"):
            raise QueryError(
                INVALID,
                "invalid request parameters. if offset is set, filter.state must be provided",
            )
        found = [d for d in self._found(query) if _is(query, "state", d.state.value)]
        found.sort(key=lambda d: (_STATES.index(d.state), d.owner, int(d.dseq)))
        return answer(page(query, found, shapes.deployment, "deployments"))

    async def _deployment(self, request: web.Request) -> web.Response:
        return answer(shapes.deployment(self._one(request.query)))

    async def _group(self, request: web.Request) -> web.Response:
        found = self._one(request.query)
        gseq = _seq(request.query, "gseq")
        if not 1 <= gseq <= len(found.groups):
            raise not_found("deployment", 14, "Group not found")
        return answer({"group": shapes.group(found, found.group(gseq))})

    async def _orders(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            (d, o)
            for d in self._found(query)
            for o in d.orders
            if _is_seq(query, o.gseq, o.oseq) and _is(query, "state", o.state.value)
        ]
        return answer(page(query, found, lambda pair: shapes.order(*pair), "orders"))

    async def _order(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._maybe(query)
        order = found.order(_seq(query, "gseq"), _seq(query, "oseq")) if found else None
        if found is None or order is None:
            raise not_found("market", 15, "invalid order: order not found")
        return answer({"order": shapes.order(found, order)})

    async def _bids(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            (d, b)
            for d in self._found(query)
            for b in d.bids
            if _is_seq(query, b.gseq, b.oseq)
            if _is(query, "state", b.state.value) and _is(query, "provider", b.provider)
        ]
        return answer(page(query, found, lambda pair: shapes.bid(*pair), "bids"))

    async def _bid(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._maybe(query)
        key = (_seq(query, "gseq"), _seq(query, "oseq"), query.get("id.provider", ""))
        bid = found.bid(*key) if found else None
        if found is None or bid is None:
            raise not_found("market", 18, "invalid bid: bid not found")
        return answer(shapes.bid(found, bid))

    async def _leases(self, request: web.Request) -> web.Response:
        query = request.query
        found = [
            (d, lease)
            for d in self._found(query)
            for lease in d.leases
            if _is_seq(query, lease.gseq, lease.oseq)
            if _is(query, "state", lease.state.value) and _is(query, "provider", lease.provider)
        ]
        return answer(page(query, found, lambda pair: shapes.lease(*pair), "leases"))

    async def _lease(self, request: web.Request) -> web.Response:
        query = request.query
        found = self._maybe(query)
        key = (_seq(query, "gseq"), _seq(query, "oseq"), query.get("id.provider", "-"))
        lease = found.lease(*key) if found else None
        if found is None or lease is None:
            raise not_found("market", 20, "invalid lease: lease not found")
        return answer(shapes.lease(found, lease))

    async def _deployment_params(self, _request: web.Request) -> web.Response:
        least = str(self._terms.least_deposit)
        deposits = [{"denom": denom, "amount": least} for denom in ("uakt", "uact")]
        return answer({"params": {"min_deposits": deposits}})

    async def _market_params(self, _request: web.Request) -> web.Response:
        terms, least = self._terms, str(self._terms.least_bid_deposit)
        params = {
            "bid_min_deposit": {"denom": "uakt", "amount": least},
            "order_max_bids": terms.bids_per_order,
            "bid_min_deposits": [{"denom": d, "amount": least} for d in ("uact", "uakt")],
            "min_reclamation_window": f"{terms.least_reclamation_seconds}s",
            "max_reclamation_window": f"{terms.greatest_reclamation_seconds}s",
        }
        return answer({"params": params})

    async def _accounts(self, request: web.Request) -> web.Response:
        found = [
            d
            for d in self._view().state.deployments.values()
            if _within(request.query, d) and _state(request.query, d.escrow.state.value)
        ]
        return answer(page(request.query, found, common.escrow_account, "accounts"))

    async def _payments(self, request: web.Request) -> web.Response:
        found = [
            payment
            for d in self._view().state.deployments.values()
            if _within(request.query, d)
            for payment in (common.payment(d, lease) for lease in d.leases)
            if _state(request.query, payment["state"]["state"])
        ]
        return answer(page(request.query, found, lambda payment: payment, "payments"))

    def _found(self, query: Query) -> Iterator[Deployment]:
        owner = query.get("filters.owner", "")
        if owner:
            account_address(owner)
        for deployment in self._view().state.deployments.values():
            if _is(query, "owner", deployment.owner) and _is(query, "dseq", deployment.dseq):
                yield deployment

    def _maybe(self, query: Query) -> Deployment | None:
        owner = account_address(query.get("id.owner", ""))
        return self._view().state.deployments.get(f"{owner}/{query.get('id.dseq', '')}")

    def _one(self, query: Query) -> Deployment:
        found = self._maybe(query)
        if found is None:
            raise not_found("deployment", 4, "Deployment not found")
        return found


def _is(query: Query, name: str, value: str) -> bool:
    return query.get(f"filters.{name}", "") in ("", "0", value)


def _is_seq(query: Query, gseq: int, oseq: int) -> bool:
    return _is(query, "gseq", str(gseq)) and _is(query, "oseq", str(oseq))


def _seq(query: Query, name: str) -> int:
    text = query.get(f"id.{name}", "0")
    if not text.isascii() or not text.isdigit():
        raise QueryError(INVALID, f"type mismatch, parameter: id.{name}")
    return int(text)


def _within(query: Query, found: Deployment) -> bool:
    """Return whether an account's name begins as asked; names have their scope before them."""
    return f"deployment/{found.id}".startswith(query.get("xid", ""))


def _state(query: Query, state: str) -> bool:
    return query.get("state", "") in ("", state)
