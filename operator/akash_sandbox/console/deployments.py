"""Deployments, bids and leases of the account."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aiohttp import web

from akash_sandbox.console import shapes
from akash_sandbox.console.bodies import (
    CreateBody,
    DepositBody,
    DseqQuery,
    LeaseId,
    LeasesBody,
    Page,
    body,
    path_dseq,
    query,
)
from akash_sandbox.console.problem import ProblemError
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.lease import Lease, LeaseKey
from akash_sandbox.sdl.compile import Compiled, compile_sdl
from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.venue import Venue

Json = dict[str, Any]

_MICRO = 1_000_000


class Deployments:
    """The handlers of /v1/deployments, /v1/bids, /v1/leases and /v1/deposit-deployment."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/v1/deployments", self._create),
            web.get("/v1/deployments", self._list),
            web.get("/v1/deployments/{dseq}", self._get),
            web.delete("/v1/deployments/{dseq}", self._close),
            web.get("/v1/bids", self._bids_by_query),
            web.get("/v1/bids/{dseq}", self._bids_by_path),
            web.post("/v1/leases", self._lease),
            web.post("/v1/deposit-deployment", self._deposit),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        asked = (await body(request, CreateBody)).data
        compiled = _compiled(asked.sdl)
        created = self._venue.tenant.create(
            self._venue.now(),
            self._owner,
            groups=compiled.groups,
            manifest_hash=compiled.hash.hex(),
            deposit=round(asked.deposit * _MICRO),
            reclamation=compiled.reclamation,
        )
        await self._venue.advance()
        data = {
            "dseq": created.dseq,
            "manifest": compiled.manifest_text,
            "signTx": {"code": 0, "transactionHash": _tx_hash(created), "rawLog": ""},
        }
        return web.json_response({"data": data}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        page = query(request, Page)
        found = [d for d in self._venue.book.of(self._owner) if d.is_active]
        shown = found[page.skip : page.skip + page.limit]
        pagination = {
            "total": len(found),
            "skip": page.skip,
            "limit": page.limit,
            "hasMore": page.skip + page.limit < len(found),
        }
        listed = [self._whole(d, live=False) for d in shown]
        return web.json_response({"data": {"deployments": listed, "pagination": pagination}})

    async def _get(self, request: web.Request) -> web.Response:
        return self._answer(self._find(path_dseq(request)))

    async def _close(self, request: web.Request) -> web.Response:
        dseq = path_dseq(request)
        if self._find(dseq).is_active:
            self._venue.tenant.close(self._venue.now(), self._owner, dseq)
            await self._venue.commit()
        return web.json_response({"data": {"success": True}})

    async def _bids_by_query(self, request: web.Request) -> web.Response:
        return self._bids(query(request, DseqQuery).dseq)

    async def _bids_by_path(self, request: web.Request) -> web.Response:
        return self._bids(path_dseq(request))

    async def _lease(self, request: web.Request) -> web.Response:
        asked = await body(request, LeasesBody)
        keys = [self._key(lease) for lease in asked.leases]
        manifest = _manifest(asked.manifest)
        for key in keys:
            self._take(key)
        await self._venue.commit()
        for key in keys:
            self._send_manifest(key, manifest)
        await self._venue.commit()
        return self._answer(self._find(keys[0].dseq))

    async def _deposit(self, request: web.Request) -> web.Response:
        asked = (await body(request, DepositBody)).data
        amount = round(asked.deposit * _MICRO)
        dseq, now = self._find(asked.dseq).dseq, self._venue.now()
        changed = self._venue.tenant.deposit(now, self._owner, dseq, amount)
        await self._venue.commit()
        return self._answer(changed)

    @property
    def _owner(self) -> str:
        return self._venue.account.address

    def _find(self, dseq: str) -> Deployment:
        return self._venue.book.find(self._owner, dseq)

    def _key(self, asked: LeaseId) -> LeaseKey:
        return LeaseKey(
            owner=self._owner,
            dseq=asked.dseq,
            gseq=asked.gseq,
            oseq=asked.oseq,
            provider=asked.provider,
        )

    def _bids(self, dseq: str) -> web.Response:
        found = self._venue.book.get(self._owner, dseq)
        bids = [] if found is None else [shapes.bid(found, b) for b in found.bids]
        return web.json_response({"data": bids})

    def _take(self, key: LeaseKey) -> None:
        """Lease, unless an earlier request of the same client did."""
        existing = self._find(key.dseq).lease(key.gseq, key.oseq, key.provider)
        if existing is None or not existing.is_open:
            self._venue.tenant.lease(self._venue.now(), key)

    def _send_manifest(self, key: LeaseKey, manifest: list[Json]) -> None:
        venue = self._venue
        provider = venue.book.providers[key.provider]
        fault = venue.faults.http(provider.name)
        if venue.faults.provider(provider.name).dead or fault.status:
            raise ProblemError(503, f"Provider {key.provider} is temporarily unavailable")
        if not venue.accept_manifest(self._find(key.dseq), key.provider, manifest):
            raise ProblemError(400, "manifest version validation failed")

    def _answer(self, found: Deployment) -> web.Response:
        return web.json_response({"data": self._whole(found, live=True)})

    def _whole(self, found: Deployment, *, live: bool) -> Json:
        leases = [shapes.lease(found, lease) for lease in found.leases]
        if live:
            for shape, lease in zip(leases, found.leases, strict=True):
                shape["status"] = self._live(found, lease)
        return {
            "deployment": shapes.deployment(found),
            "leases": leases,
            "escrow_account": shapes.escrow_account(found),
        }

    def _live(self, found: Deployment, lease: Lease) -> Json | None:
        """Return what the lease's provider says now, None when it does not answer."""
        provider = self._venue.book.providers.get(lease.provider)
        if provider is None or self._venue.faults.provider(provider.name).dead:
            return None
        status = self._venue.lease_status(found, lease)
        return status and {**status, "ips": {}, "services": _listed(status)}


def _listed(status: Json) -> Json:
    """Return the services with a list of URIs where the gateway says null."""
    return {name: {**s, "uris": s["uris"] or []} for name, s in status["services"].items()}


def _compiled(sdl: str) -> Compiled:
    try:
        compiled = compile_sdl(sdl)
    except SdlError as error:
        raise ProblemError(400, f"Invalid SDL: {error}") from error
    # The Console rents in its own currency, whatever the document says.
    for group in compiled.groups:
        for unit in group["resources"]:
            unit["price"]["denom"] = "uact"
    return compiled


def _manifest(text: str) -> list[Json]:
    try:
        manifest = json.loads(text)
    except ValueError as error:
        raise ProblemError(400, f"manifest is not JSON: {error}") from error
    if not isinstance(manifest, list) or not manifest:
        raise ProblemError(400, "invalid manifest: manifest is empty")
    return manifest


def _tx_hash(created: Deployment) -> str:
    return hashlib.sha256(f"create {created.dseq}".encode()).hexdigest().upper()
