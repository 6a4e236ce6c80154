"""Client identities by the operator's authority, and contexts that accept one lease's key only."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.adapters.handshake import Check
from garrison.adapters.sentinel.authority import Authority, AuthorityStore
from garrison.adapters.sentinel.certificates import (
    Subject,
    client_certificate,
    fingerprint,
    key_pem,
    new_key,
    public_key,
    uris,
)
from garrison.adapters.sentinel.tls import client_context
from garrison.errors import AuthError
from garrison.ports.clock import Clock
from garrison.ports.identity import (
    ClientIdentity,
    Peer,
    client_id,
    client_until,
    console_id,
    lease_id,
)

LIFE = timedelta(hours=24)
RENEW_AFTER = timedelta(hours=8)
MEMORY = 10_000


class CertificateIdentities:
    """Implements ``Identities``; contexts are renewed three times in their certificate's life."""

    def __init__(
        self, *, operator: AuthorityStore, leases: AuthorityStore, clock: Clock, domain: str
    ) -> None:
        self._operator = operator
        self._leases = leases
        self._clock = clock
        self._domain = domain
        self._contexts: dict[Peer, tuple[datetime, ssl.SSLContext]] = {}

    async def client(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return a fresh client identity of a workload that is good until the turn after next."""
        uri = client_id(self._domain, namespace, workload)
        return await self._issued(uri, client_until(turn))

    async def console(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return the same for a person who looks inside."""
        uri = console_id(self._domain, namespace, workload)
        return await self._issued(uri, client_until(turn))

    async def context(self, peer: Peer) -> ssl.SSLContext:
        """Return a context that speaks as the workload's client and accepts only the peer."""
        now = self._clock.now()
        known = self._contexts.get(peer)
        if known is not None and now - known[0] < RENEW_AFTER:
            return known[1]
        if len(self._contexts) > MEMORY:
            self._contexts.clear()
        uri = client_id(self._domain, peer.lease.namespace, peer.lease.workload)
        made = context_of(await self._issued(uri, now + LIFE), peer, self._domain)
        self._contexts[peer] = (now, made)
        return made

    async def _issued(self, uri: str, until: datetime) -> ClientIdentity:
        authority = await self._operator.current()
        trusted: Authority = await self._leases.current()
        key = new_key()
        certificate = client_certificate(
            authority.signer, key.public_key(), Subject(uri=uri, until=until), self._clock.now()
        )
        return ClientIdentity(
            certificate=authority.presented(certificate),
            key=key_pem(key),
            lease_authorities=trusted.bundle,
        )


def context_of(identity: ClientIdentity, peer: Peer, domain: str) -> ssl.SSLContext:
    """Return a context for one peer with a client identity, such as one read from a Secret."""
    return client_context(
        certificate=identity.certificate,
        key=identity.key,
        trusted=identity.lease_authorities,
        check=_only(lease_id(domain, peer.lease), peer.key),
    )


def domain_of(identity: ClientIdentity) -> str:
    """Return the trust domain that a client identity belongs to. Raises AuthError without one."""
    found = uris(x509.load_pem_x509_certificate(identity.certificate.encode()))
    scheme, _, rest = (found[0] if len(found) == 1 else "").partition("://")
    if scheme != "spiffe" or not rest:
        raise AuthError("the client certificate names no SPIFFE id; read the Secret again")
    return rest.partition("/")[0]


def _only(uri: str, pin: str) -> Check:
    def check(certificate: x509.Certificate) -> None:
        found = uris(certificate)
        if found != (uri,):
            raise ssl.SSLCertVerificationError(f"the certificate is for {found}, not for {uri}")
        if fingerprint(_key(certificate)) != pin:
            raise ssl.SSLCertVerificationError(f"the key of {uri} is not the enrolled one")

    return check


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    try:
        return public_key(certificate)
    except AuthError as error:
        raise ssl.SSLCertVerificationError(str(error)) from None
