"""Who gets through to whom, over real TLS: only the one server that is meant, only with an identity."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography import x509

from garrison.adapters.sentinel.certificates import (
    Signer,
    Subject,
    client_certificate,
    fingerprint,
    key_pem,
    new_authority,
    new_key,
    pem,
    pinned_client,
    pinned_server,
    public_key,
    server_certificate,
)
from garrison.adapters.sentinel.channel import Channel
from garrison.adapters.sentinel.identities import context_of, domain_of
from garrison.errors import AuthError
from garrison.ports.identity import (
    ClientIdentity,
    LeaseIdentity,
    Peer,
    bootstrap_id,
    client_id,
    client_turn,
    lease_dns,
    lease_id,
    operator_id,
)
from garrison.ports.probe import Destination
from garrison.ports.sentinel import Door
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, OTHER, Trust, trust


@contextlib.asynccontextmanager
async def server(certificate: str, key: str, clients: str) -> AsyncIterator[int]:
    """An echo server that takes certificates of ``clients`` only, as a sentinel does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=clients)
    handle = os.memfd_create("server")
    os.write(handle, (certificate + key).encode())
    context.load_cert_chain(f"/proc/self/fd/{handle}")
    os.close(handle)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            writer.write(await reader.readexactly(4))
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def said(port: int, context: ssl.SSLContext) -> bytes:
    """What comes back; raises what TLS raises."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"ping")
        answer = await reader.read(4)
        if not answer:
            raise ConnectionResetError("closed without an answer")
        return answer
    finally:
        writer.close()


async def certified(
    found: Trust, lease: LeaseIdentity, uri: str, dns: tuple[str, ...] = ()
) -> tuple[str, str, str]:
    """Certificate, key and pin that the lease authority gives."""
    signer = (await found.leases.current()).signer
    return signed(signer, Subject(uri=uri, dns=dns, until=found.clock.now() + timedelta(hours=1)))


def signed(signer: Signer, subject: Subject) -> tuple[str, str, str]:
    key = new_key()
    now = subject.until - timedelta(hours=1)
    certificate = server_certificate(signer, key.public_key(), subject, now)
    return pem(certificate), key_pem(key), fingerprint(key.public_key())


async def clients(found: Trust) -> str:
    return (await found.operator.current()).bundle


async def test_a_client_reaches_the_lease_it_means() -> None:
    found = trust()
    certificate, key, pin = await certified(
        found, LEASE, lease_id(DOMAIN, LEASE), (lease_dns(LEASE),)
    )
    context = await found.identities.context(Peer(lease=LEASE, key=pin))
    async with server(certificate, key, await clients(found)) as port:
        assert await said(port, context) == b"ping"


@pytest.mark.parametrize("case", ["other lease", "bootstrap", "other key", "operator's authority"])
async def test_no_other_server_is_accepted(case: str) -> None:
    found = trust()
    _, _, pin = await certified(found, LEASE, lease_id(DOMAIN, LEASE))
    match case:
        case "other lease":
            certificate, key, pin = await certified(found, OTHER, lease_id(DOMAIN, OTHER))
        case "bootstrap":
            certificate, key, pin = await certified(found, LEASE, bootstrap_id(DOMAIN, LEASE))
        case "other key":
            certificate, key, _ = await certified(found, LEASE, lease_id(DOMAIN, LEASE))
        case _:
            signer = (await found.operator.current()).signer
            until = found.clock.now() + timedelta(hours=1)
            certificate, key, pin = signed(
                signer, Subject(uri=lease_id(DOMAIN, LEASE), until=until)
            )
    context = await found.identities.context(Peer(lease=LEASE, key=pin))
    async with server(certificate, key, await clients(found)) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await said(port, context)


@pytest.mark.parametrize("case", ["a server's certificate", "another installation's client"])
async def test_no_other_client_is_accepted(case: str) -> None:
    found = trust()
    certificate, key, pin = await certified(found, LEASE, lease_id(DOMAIN, LEASE))
    peer = Peer(lease=LEASE, key=pin)
    if case == "a server's certificate":
        stolen, stolen_key, _ = await certified(found, OTHER, lease_id(DOMAIN, OTHER))
        identity = ClientIdentity(
            certificate=stolen,
            key=stolen_key,
            lease_authorities=(await found.leases.current()).bundle,
        )
    else:
        identity = await stranger(found)
    async with server(certificate, key, await clients(found)) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await said(port, context_of(identity, peer, DOMAIN))


async def stranger(found: Trust) -> ClientIdentity:
    """The right name, signed by somebody else's authority."""
    now, key = found.clock.now(), new_key()
    subject = Subject(uri=client_id(DOMAIN, "prod", "chat"), until=now + timedelta(hours=1))
    certificate = client_certificate(new_authority("x", now), key.public_key(), subject, now)
    return ClientIdentity(
        certificate=pem(certificate),
        key=key_pem(key),
        lease_authorities=(await found.leases.current()).bundle,
    )


async def test_the_lease_authority_cannot_name_another_trust_domain() -> None:
    found = trust()
    uri = f"spiffe://garrison-ffffffff/lease/{LEASE.uid}"
    certificate, key, pin = await certified(found, LEASE, uri)
    context = await found.identities.context(Peer(lease=LEASE, key=pin))
    async with server(certificate, key, await clients(found)) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
            await said(port, context)


async def test_an_identity_from_a_secret_knows_its_trust_domain() -> None:
    found = trust()
    identity = await found.identities.client("prod", "chat", client_turn(found.clock.now()))
    assert domain_of(identity) == DOMAIN
    assert identity.key not in repr(identity)


async def spoken(found: Trust, port: int, certificate: str) -> None:
    """What the operator asks of a control port; ``certificate`` is the bootstrap's. Raises."""
    own = new_key()
    identity = ClientIdentity(
        certificate=pem(pinned_client(own, operator_id(DOMAIN), found.clock.now())),
        key=key_pem(own),
        lease_authorities=(await found.leases.current()).bundle + certificate,
    )
    door = Door(
        lease=LEASE,
        destination=Destination(host="p.example", address="127.0.0.1", port=port),
        bootstrap=fingerprint(public_key(x509.load_pem_x509_certificate(certificate.encode()))),
        digest="",
    )
    async with Channel(door, identity, DOMAIN) as channel:
        await channel.call("GET", "/v1/status")


@pytest.mark.parametrize("uri", [lease_id(DOMAIN, LEASE), bootstrap_id(DOMAIN, LEASE)])
async def test_a_bootstrap_s_key_signs_nothing(uri: str) -> None:
    found = trust()
    now, key = found.clock.now(), new_key()
    bootstrap = pinned_server(key, bootstrap_id(DOMAIN, LEASE), now)
    signer = Signer(certificate=bootstrap, key=key)
    forged, forged_key, _ = signed(signer, Subject(uri=uri, until=now + timedelta(hours=1)))
    async with server(forged, forged_key, pem(bootstrap)) as port:
        with pytest.raises(AuthError, match="invalid CA certificate"):
            await spoken(found, port, pem(bootstrap))


async def test_a_bootstrap_is_taken_as_itself_only() -> None:
    found = trust()
    now, key, other = found.clock.now(), new_key(), new_key()
    mine, another = (
        pem(pinned_server(each, bootstrap_id(DOMAIN, LEASE), now)) for each in (key, other)
    )
    async with server(mine, key_pem(key), mine) as port:
        with pytest.raises(AuthError, match="self-signed"):
            await spoken(found, port, another)
