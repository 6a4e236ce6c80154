"""Who asks a gateway, and whether that one may."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from akash_sandbox import jwt
from akash_sandbox.gateway.answers import RefusedError, empty, message, number
from akash_sandbox.gateway.clients import Doorkeeper
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.lease import Lease
from akash_sandbox.market.provider import Provider
from akash_sandbox.venue import Venue

_AMBIGUOUS = "auth: ambiguous authentication. may not use mTLS and JWT at the same time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A lease of the caller, with its deployment."""

    deployment: Deployment
    lease: Lease


class Access:
    """Checks the tokens that come to one provider's gateway (AEP-64), or the client's certificate."""

    def __init__(self, venue: Venue, provider: Provider, doorkeeper: Doorkeeper) -> None:
        self._venue = venue
        self._provider = provider
        self._doorkeeper = doorkeeper

    def owner(
        self, request: web.Request, scope: str | None, dseq: str, gseq: int = 0, oseq: int = 0
    ) -> str:
        """Return the account whose token permits ``scope``; raises RefusedError.

        A certificate permits everything, and only what is its owner's own.
        """
        certified = self._certified(request)
        if certified is not None:
            return certified
        try:
            claims = jwt.verify(_token(request), self._venue.public_keys(), self._venue.now())
        except jwt.TokenError as error:
            raise RefusedError(message(error.status, str(error))) from error
        provider = self._provider.id
        if not jwt.allows(claims, provider=provider, scope=scope, dseq=dseq, gseq=gseq, oseq=oseq):
            raise RefusedError(message(401, "unauthorized access"))
        return str(claims["iss"])

    def _certified(self, request: web.Request) -> str | None:
        """Return whose certificate the client showed; raises RefusedError."""
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        if der is None:
            return None
        if "Authorization" in request.headers:
            raise RefusedError(message(400, _AMBIGUOUS))
        owner = self._doorkeeper.owner(der, self._venue.now())
        if owner is None:
            raise RefusedError(message(401, "unauthorized access"))
        return owner

    def lease(self, request: web.Request, scope: str | None) -> Leased:
        """Return the lease of the path, which has its manifest; raises RefusedError (404)."""
        found = self.running(request, scope)
        if found is None:
            raise RefusedError(empty(404))
        return found

    def running(self, request: web.Request, scope: str | None) -> Leased | None:
        """Return the lease of the path, None when it is not here; raises RefusedError."""
        dseq = number(request, "dseq")
        gseq, oseq = int(number(request, "gseq")), int(number(request, "oseq"))
        owner = self.owner(request, scope, dseq, gseq, oseq)
        found = self._venue.deployment(owner, dseq)
        lease = found and found.lease(gseq, oseq, self._provider.id)
        if not found or not lease or self._venue.lease_status(found, lease) is None:
            return None
        return Leased(deployment=found, lease=lease)


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization")
    if header is None:
        raise jwt.TokenError("unauthorized access", 401)
    kind, _, token = header.partition(" ")
    if kind != "Bearer":
        raise jwt.TokenError("invalid authorization header", 400)
    return token
