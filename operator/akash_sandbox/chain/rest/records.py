"""Queries of providers, audits and certificates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from akash_sandbox.chain.chain import View
from akash_sandbox.chain.rest.answers import account_address, answer, not_found
from akash_sandbox.chain.rest.pages import page
from akash_sandbox.market.records import Audit, Certificate, Pairs, Record

Json = dict[str, Any]


class RecordQueries:
    """The handlers."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        audits = "/akash/audit/v1/audit/attributes"
        return [
            web.get("/akash/provider/v1beta4/providers", self._providers),
            web.get("/akash/provider/v1beta4/providers/{owner}", self._provider),
            web.get(f"{audits}/list", self._audits),
            web.get(f"{audits}/{{owner}}/list", self._audits_of),
            web.get(f"{audits}/{{auditor}}/{{owner}}", self._audit),
            web.get("/akash/provider/v1/auditor/{auditor}/list", self._audits_by),
            web.get("/akash/cert/v1/certificates/list", self._certificates),
        ]

    async def _providers(self, request: web.Request) -> web.Response:
        found = sorted(self._view().state.records.providers, key=lambda p: p.owner)
        return answer(page(request.query, found, _provider, "providers"))

    async def _provider(self, request: web.Request) -> web.Response:
        owner = account_address(request.match_info["owner"])
        found = [p for p in self._view().state.records.providers if p.owner == owner]
        if not found:
            raise not_found("provider", 3, "invalid provider: address not found")
        return answer({"provider": _provider(found[0])})

    async def _audits(self, request: web.Request) -> web.Response:
        return answer(page(request.query, self._view().state.records.audits, _muddled, "providers"))

    async def _audits_by(self, request: web.Request) -> web.Response:
        auditor = account_address(request.match_info["auditor"], "auditor")
        found = [a for a in self._view().state.records.audits if a.auditor == auditor]
        return answer(page(request.query, found, _muddled, "providers"))

    async def _audits_of(self, request: web.Request) -> web.Response:
        owner = account_address(request.match_info["owner"])
        return self._audited([a for a in self._view().state.records.audits if a.owner == owner])

    async def _audit(self, request: web.Request) -> web.Response:
        pair = (request.match_info["auditor"], request.match_info["owner"])
        audits = self._view().state.records.audits
        return self._audited([a for a in audits if (a.auditor, a.owner) == pair])

    async def _certificates(self, request: web.Request) -> web.Response:
        asked = {n: request.query.get(f"filter.{n}", "") for n in ("owner", "serial", "state")}
        found = [
            c
            for c in self._view().state.records.certificates
            if asked["owner"] in ("", c.owner)
            and asked["serial"] in ("", c.serial)
            and asked["state"] in ("", c.state.value)
        ]
        return answer(page(request.query, found, _certificate, "certificates"))

    def _audited(self, found: list[Audit]) -> web.Response:
        if not found:
            raise not_found("audit", 1, "provider not found: address not found")
        return answer({"providers": [_audit(a) for a in found], "pagination": None})


def _pairs(attributes: Pairs) -> list[Json]:
    return [{"key": key, "value": value} for key, value in attributes]


def _provider(record: Record) -> Json:
    return {
        "owner": record.owner,
        "host_uri": record.host_uri,
        "attributes": _pairs(record.attributes),
        "info": {"email": record.email, "website": record.website},
    }


def _audit(audit: Audit) -> Json:
    return {
        "owner": audit.owner,
        "auditor": audit.auditor,
        "attributes": _pairs(audit.attributes),
    }


def _muddled(audit: Audit) -> Json:
    """Return an audit as the lists over all providers do: the node reads its store wrongly.

    The last attribute's bytes come out as the owner, and nothing else does.
    """
    key, value = audit.attributes[-1] if audit.attributes else ("", "")
    owner = f"\n{chr(len(key))}{key}\x12{chr(len(value))}{value}"
    return {"owner": owner, "auditor": "", "attributes": []}


def _certificate(found: Certificate) -> Json:
    certificate = {"state": found.state.value, "cert": found.cert, "pubkey": found.pubkey}
    return {"certificate": certificate, "serial": found.serial}
