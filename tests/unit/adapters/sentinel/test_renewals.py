"""Authorities that somebody else renews: everybody who is up to date accepts everybody, at any hour."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from garrison.adapters.sentinel.authority import LEASE_CA, OPERATOR_CA, OVERLAP, Authority
from garrison.adapters.sentinel.certificates import (
    Signer,
    Subject,
    new_key,
    server_certificate,
)
from garrison.adapters.sentinel.tenure import LIFE, PREPARE_BEFORE_END
from garrison.adapters.sentinel.tenure import OVERLAP as WAIT
from garrison.api.meta import SECRET
from garrison.errors import InvalidSpecError
from garrison.ports.identity import client_turn, lease_dns, lease_id
from tests.unit.adapters.sentinel.given import issued, put
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, SYSTEM, Trust, trust

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
QUARTER = 90 * DAY
SENTINEL_AGE, CLIENT_AGE = 6 * HOUR, 12 * HOUR
"""What a sentinel and a client were told last is at most this old."""


def serial(found: Authority) -> int:
    return found.signer.certificate.serial_number


async def later(found: Trust, wait: timedelta) -> Authority:
    """What an operator that is started after a while finds."""
    found.clock.move(wait)
    return await trust(found.kube, found.clock).leases.current()


async def given_quarterly() -> tuple[Trust, Signer, Signer]:
    """An authority of 90 days that was renewed after 60, and noticed; with both."""
    found = trust()
    old = issued("acme", found.clock.now(), QUARTER)
    await put(found.kube, LEASE_CA, old)
    await later(found, timedelta())
    found.clock.move(60 * DAY)
    new = issued("acme", found.clock.now(), QUARTER)
    await put(found.kube, LEASE_CA, new)
    await later(found, timedelta())
    return found, old, new


async def test_what_is_renewed_is_trusted_at_once_and_signs_two_days_later() -> None:
    found, old, new = await given_quarterly()
    noticed = await later(found, WAIT - HOUR)
    assert serial(noticed) == old.certificate.serial_number
    assert len(noticed.trusted) == 2
    signs = await later(found, HOUR)
    assert serial(signs) == new.certificate.serial_number
    assert set(signs.trusted) == set(noticed.trusted)
    ended = await later(found, 30 * DAY)
    assert len(ended.trusted) == 1


async def test_a_renewal_at_the_last_moment_does_not_wait() -> None:
    found = trust()
    await put(found.kube, LEASE_CA, issued("acme", found.clock.now(), QUARTER))
    await later(found, QUARTER - 12 * HOUR)
    new = issued("acme", found.clock.now(), QUARTER)
    await put(found.kube, LEASE_CA, new)
    assert serial(await later(found, timedelta())) == new.certificate.serial_number


async def test_what_is_renewed_again_meanwhile_waits_anew_and_all_are_trusted() -> None:
    found, old, _ = await given_quarterly()
    found.clock.move(DAY)
    newest = issued("acme", found.clock.now(), QUARTER)
    await put(found.kube, LEASE_CA, newest)
    waits = await later(found, timedelta())
    assert serial(waits) == old.certificate.serial_number
    assert len(waits.trusted) == 3
    assert serial(await later(found, WAIT - HOUR)) == old.certificate.serial_number
    assert serial(await later(found, HOUR)) == newest.certificate.serial_number


async def test_what_is_taken_back_in_time_never_signs() -> None:
    found, old, _ = await given_quarterly()
    await put(found.kube, LEASE_CA, old)
    await later(found, timedelta())
    assert serial(await later(found, 2 * WAIT)) == old.certificate.serial_number


async def test_a_secret_that_is_missing_for_a_while_changes_nothing() -> None:
    found, old, _ = await given_quarterly()
    await found.kube.delete(SECRET, SYSTEM, LEASE_CA)
    assert serial(await later(found, HOUR)) == old.certificate.serial_number
    assert await found.kube.get(SECRET, SYSTEM, LEASE_CA) is None


async def test_an_authority_that_ended_is_named_with_the_remedy() -> None:
    found = trust()
    await put(found.kube, LEASE_CA, issued("acme", found.clock.now(), QUARTER))
    await later(found, timedelta())
    with pytest.raises(InvalidSpecError, match=f"{SYSTEM}/{LEASE_CA} ended .* renew it"):
        await later(found, QUARTER)


async def test_the_given_secret_is_never_written_and_its_former_key_is_dropped() -> None:
    found, _, new = await given_quarterly()
    before = await found.kube.get(SECRET, SYSTEM, LEASE_CA)
    await later(found, WAIT)
    assert await found.kube.get(SECRET, SYSTEM, LEASE_CA) == before
    kept = await found.kube.get(SECRET, SYSTEM, LEASE_CA + OVERLAP)
    assert kept is not None
    assert set(kept["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert before is not None
    assert kept["data"]["tls.key"] == before["data"]["tls.key"]
    assert serial(await later(found, timedelta())) == new.certificate.serial_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What a sentinel or a client holds: its chain, and whom it trusts."""

    chain: tuple[x509.Certificate, ...]
    trusts: tuple[x509.Certificate, ...]


def read(text: str) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(text.encode()))


async def sentinel(found: Trust) -> Holder:
    """What an enrolment gives."""
    leases, operator = await found.leases.current(), await found.operator.current()
    subject = Subject(
        uri=lease_id(DOMAIN, LEASE),
        dns=(lease_dns(LEASE),),
        until=found.clock.now() + 12 * HOUR,
    )
    certificate = server_certificate(
        leases.signer, new_key().public_key(), subject, found.clock.now()
    )
    return Holder(chain=read(leases.presented(certificate)), trusts=read(operator.bundle))


async def client(found: Trust) -> Holder:
    """What a workload's clients are given for two turns."""
    turn = client_turn(found.clock.now())
    identity = await found.identities.client(LEASE.namespace, LEASE.workload, turn)
    return Holder(chain=read(identity.certificate), trusts=read(identity.lease_authorities))


def meet(server: Holder, caller: Holder, at: datetime) -> None:
    """Let each check the other. Raises VerificationError."""
    policy = PolicyBuilder().time(at)
    clients = policy.store(Store(list(server.trusts))).build_client_verifier()
    clients.verify(caller.chain[0], list(caller.chain[1:]))
    *links, last = server.chain
    for link, issuer in zip(links, server.chain[1:], strict=True):
        link.verify_directly_issued_by(issuer)
    alive = [
        each for each in caller.trusts if each.not_valid_before_utc <= at < each.not_valid_after_utc
    ]
    if not any(issued_by(last, each) for each in alive):
        raise VerificationError("nobody who is trusted leads to the server's certificate")


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether it is so; the library's own verifier knows no name constraints of URIs."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, InvalidSignature):
        return False
    return True


Renewal = Callable[[Trust], Coroutine[None, None, None]]


async def roots(found: Trust) -> None:
    """Both authorities are roots of their own, renewed."""
    for name in (OPERATOR_CA, LEASE_CA):
        await put(found.kube, name, issued("acme", found.clock.now(), 12 * DAY))


def intermediates() -> Renewal:
    """Both are renewed under roots that stay."""
    held: dict[str, Signer] = {}

    async def renew(found: Trust) -> None:
        now = found.clock.now()
        for name in (OPERATOR_CA, LEASE_CA):
            root = held.setdefault(name, issued(f"root of {name}", now, 900 * DAY))
            await put(found.kube, name, issued("acme", now, 12 * DAY, root), root)

    return renew


async def own(_found: Trust) -> None:
    """Garrison's own are renewed by themselves."""


@pytest.mark.parametrize(
    ("renew", "starts"),
    [(roots, timedelta()), (intermediates(), timedelta()), (own, LIFE - PREPARE_BEFORE_END - DAY)],
    ids=["given roots", "given intermediates", "own"],
)
async def test_nobody_is_refused_at_any_hour(renew: Renewal, starts: timedelta) -> None:
    found = trust()
    await renew(found)
    await trust(found.kube, found.clock).operator.current()
    await trust(found.kube, found.clock).leases.current()
    found.clock.move(starts)
    sentinels: deque[Holder] = deque(maxlen=1 + SENTINEL_AGE // (3 * HOUR))
    clients: deque[Holder] = deque(maxlen=CLIENT_AGE // (3 * HOUR))
    signers = set()
    for step in range(20 * 8):  # every three hours of twenty days
        if step in (40, 104):
            await renew(found)
        sentinels.append(await sentinel(found))
        clients.append(await client(found))
        signers.add(serial(await found.operator.current()))
        for server in (sentinels[0], sentinels[-1]):
            for caller in (clients[0], clients[-1]):
                meet(server, caller, found.clock.now())
        found.clock.move(3 * HOUR)
    assert len(signers) > 1


async def test_that_check_notices_a_successor_that_signs_too_early() -> None:
    found = trust()
    server, caller = await sentinel(found), await client(found)
    meet(server, caller, found.clock.now())
    other = trust(clock=found.clock)
    with pytest.raises(VerificationError):
        meet(server, await client(other), found.clock.now())
    with pytest.raises(VerificationError):
        meet(await sentinel(other), caller, found.clock.now())
