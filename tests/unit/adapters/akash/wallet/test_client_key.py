"""The key that an account shows in TLS: its own, always the same, and shown nowhere else."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from garrison.adapters.akash.wallet.client_key import LIFETIME, ClientKey
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIGNER = LocalSigner(PrivateKey(7))


async def test_an_account_has_one_key() -> None:
    first, again = await ClientKey.of(SIGNER), await ClientKey.of(SIGNER)
    other = await ClientKey.of(LocalSigner(PrivateKey(8)))
    assert first.public_pem == again.public_pem != other.public_pem
    assert again.owns(first.certificate(NOW))
    assert not other.owns(first.certificate(NOW))


async def test_a_certificate_is_what_a_gateway_looks_for() -> None:
    key = await ClientKey.of(SIGNER)
    made = key.certificate(NOW)
    made.verify_directly_issued_by(made)
    for name in (made.subject, made.issuer):
        assert name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == SIGNER.address
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert made.not_valid_before_utc < NOW < made.not_valid_after_utc == NOW + LIFETIME
    later = key.certificate(NOW + timedelta(milliseconds=1))
    assert later.serial_number > made.serial_number
    assert key.public_pem.startswith(b"-----BEGIN EC PUBLIC KEY-----")


async def test_it_does_not_show_itself() -> None:
    key = await ClientKey.of(SIGNER)
    assert f"{key!r} {key}" == "*** ***"
    with pytest.raises(TypeError):
        pickle.dumps(key)
