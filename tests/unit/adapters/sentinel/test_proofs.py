"""What a container must prove before anything is signed for it or handed to it, each proof on its own.

TLS proves the key of a connection; these proofs tie it to this lease, this instance and these nonces.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from garrison.adapters.sentinel.certificates import (
    Signer,
    Subject,
    new_authority,
    new_key,
    pem,
    server_certificate,
)
from garrison.errors import AuthError
from garrison.ports.identity import LeaseIdentity, bootstrap_id, lease_id
from tests.unit.adapters.sentinel.machine import INSTANCE, Machine, Shown, request
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, OTHER, Trust, trust


async def shown(found: Trust, uri: str, signer: Signer | None = None) -> Shown:
    """A certificate of the lease authority, or of somebody else's."""
    key, now = new_key(), found.clock.now()
    by = signer or (await found.leases.current()).signer
    subject = Subject(uri=uri, until=now + timedelta(hours=1))
    return pem(server_certificate(by, key.public_key(), subject, now)), key


def spoiled(csr: bytes) -> bytes:
    """The same request under a signature that is not its key's."""
    return csr[:-1] + bytes([csr[-1] ^ 1])


async def enrolled(machine: Machine) -> str:
    """The instance that is enrolled."""
    client = machine.client()
    async with machine.serving() as door:
        done = await client.enrol(door)
        await client.close()
    return done.instance


async def refused(machine: Machine, says: str) -> None:
    async with machine.serving() as door:
        with pytest.raises(AuthError, match=says) as error:
            await machine.client().enrol(door)
    assert error.value.reason == "IdentityRefused"


async def test_a_container_that_proves_everything_is_enrolled() -> None:
    assert await enrolled(Machine()) == INSTANCE


async def test_a_hello_is_proved_by_the_key_of_the_connection() -> None:
    await refused(Machine(proves=new_key()), "the sentinel's proof is wrong")


async def test_a_hello_of_yesterday_is_refused() -> None:
    await refused(Machine(nonce="f" * 64), "the sentinel's proof is wrong")


async def test_an_enrolment_of_yesterday_is_refused() -> None:
    class Recorded(Machine):
        """Says a fresh hello, and has nothing but an old enrolment."""

        def _answer(self, path: str, body: bytes) -> bytes:
            self.nonce = "f" * 64 if path == "/v1/enrol" else ""
            return super()._answer(path, body)

    await refused(Recorded(), "the enrolment's proof is wrong")


async def test_a_request_is_signed_by_the_key_that_it_is_for() -> None:
    await refused(Machine(csr=spoiled(request(new_key()))), "not signed by its key")


async def test_a_renewal_is_for_the_key_that_is_enrolled() -> None:
    found = trust()
    mine = await shown(found, lease_id(DOMAIN, LEASE))
    assert await enrolled(Machine(trust=found, shows=mine, csr=request(mine[1]))) == INSTANCE
    await refused(Machine(trust=found, shows=mine), "a renewal asks for another key")


@pytest.mark.parametrize("lease", [LEASE, OTHER], ids=["a second bootstrap", "another lease"])
async def test_a_lease_s_authority_vouches_for_this_lease_only(lease: LeaseIdentity) -> None:
    found = trust()
    uri = bootstrap_id(DOMAIN, LEASE) if lease is LEASE else lease_id(DOMAIN, OTHER)
    theirs = await shown(found, uri)
    await refused(Machine(trust=found, shows=theirs), "bootstrap key is not|not this lease")


async def test_nobody_else_vouches_for_a_lease() -> None:
    found = trust()
    theirs = await shown(found, lease_id(DOMAIN, LEASE), new_authority("x", found.clock.now()))
    await refused(Machine(trust=found, shows=theirs), "certificate verify failed")
