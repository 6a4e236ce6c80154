"""Authorities: made once, shared by operators, renewed with an overlap, never written when given."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from garrison.adapters.sentinel.authority import LEASE_CA, OPERATOR_CA, Authority
from garrison.adapters.sentinel.certificates import key_pem, new_authority, pem
from garrison.adapters.sentinel.tenure import LIFE, OVERLAP, PREPARE_BEFORE_END
from garrison.api.meta import SECRET
from garrison.errors import InvalidSpecError
from tests.unit.adapters.sentinel.trust import SYSTEM, Hand, Trust, cluster, trust


def subject(authority: Authority) -> int:
    return authority.signer.certificate.serial_number


async def after(found: Trust, wait: timedelta) -> Authority:
    """What an operator that is started later finds."""
    found.clock.move(wait)
    return await trust(found.kube, found.clock).operator.current()


async def test_two_operators_share_one_authority() -> None:
    first = trust()
    one = await first.operator.current()
    two = await trust(first.kube, first.clock).operator.current()
    assert subject(one) == subject(two)
    assert await first.kube.get(SECRET, SYSTEM, OPERATOR_CA) is not None


async def test_the_two_authorities_are_not_one() -> None:
    found = trust()
    operator, leases = await found.operator.current(), await found.leases.current()
    assert operator.signer.key.private_numbers() != leases.signer.key.private_numbers()
    assert not set(operator.trusted) & set(leases.trusted)


async def test_a_successor_is_trusted_before_it_signs_and_the_old_one_after_it_does() -> None:
    found = trust()
    old = await found.operator.current()
    before = await after(found, LIFE - PREPARE_BEFORE_END - timedelta(days=1))
    assert before.trusted == old.trusted
    prepared = await after(found, timedelta(days=2))
    assert subject(prepared) == subject(old)
    assert len(prepared.trusted) == 2
    promoted = await after(found, OVERLAP)
    assert subject(promoted) != subject(old)
    assert set(promoted.trusted) == set(prepared.trusted)
    ended = await after(found, PREPARE_BEFORE_END)
    assert subject(ended) == subject(promoted)


async def test_an_authority_that_was_there_before_is_used_and_never_written() -> None:
    kube, clock = cluster(), Hand()
    given = new_authority("acme", clock.now() - LIFE + timedelta(days=3))
    text = {
        "tls.crt": pem(given.certificate),
        "tls.key": key_pem(given.key),
        "ca.crt": pem(given.certificate),
    }
    data = {key: base64.b64encode(each.encode()).decode() for key, each in text.items()}
    await kube.create(SECRET, {"metadata": {"name": LEASE_CA, "namespace": SYSTEM}, "data": data})
    used = await trust(kube, clock).leases.current()
    assert subject(used) == given.certificate.serial_number
    kept = await kube.get(SECRET, SYSTEM, LEASE_CA)
    assert kept is not None
    assert kept["data"] == data


@pytest.mark.parametrize("broken", ["tls.crt", "tls.key", "rsa"])
async def test_an_unusable_secret_is_named_with_the_remedy(broken: str) -> None:
    kube, clock = cluster(), Hand()
    given = new_authority("acme", clock.now())
    text = {"tls.crt": pem(given.certificate), "tls.key": key_pem(given.key)}
    if broken == "rsa":
        text["tls.key"] = (
            rsa.generate_private_key(65537, 2048)
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode()
        )
    else:
        text[broken] = "nonsense"
    data = {key: base64.b64encode(each.encode()).decode() for key, each in text.items()}
    await kube.create(SECRET, {"metadata": {"name": LEASE_CA, "namespace": SYSTEM}, "data": data})
    with pytest.raises(InvalidSpecError, match=f"{SYSTEM}/{LEASE_CA}") as caught:
        await trust(kube, clock).leases.current()
    assert "BEGIN" not in str(caught.value)


async def test_the_lease_authority_is_held_to_lease_names() -> None:
    certificate = (await trust().leases.current()).signer.certificate
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert names.value.permitted_subtrees
