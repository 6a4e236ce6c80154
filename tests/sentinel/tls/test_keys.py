"""Keys, signatures and requests against `cryptography` (OpenSSL)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.tls import certificate, der, p256
from tests.sentinel.pki import SERVER, Authority

SCALARS = st.integers(min_value=1, max_value=p256.N - 1)
TEETH = [2**64, 2**128, 2**192, 2**64 + 1, 2**192 + 2**128 + 2**64 + 1, 2**64 - 1]
EDGES = [1, 2, 3, 15, 16, 17, *TEETH, 2**252, p256.N // 2, p256.N - 2, p256.N - 1]


def _reference(scalar: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(scalar, ec.SECP256R1())


def _public(scalar: int) -> bytes:
    return (
        _reference(scalar)
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )


@pytest.mark.parametrize("scalar", EDGES)
def test_edges_have_openssls_public_keys(scalar: int) -> None:
    assert p256.key_of(scalar).public == _public(scalar)


@settings(max_examples=60, deadline=None)
@given(SCALARS, st.binary(max_size=200))
def test_any_key_signs_as_openssl_does(scalar: int, message: bytes) -> None:
    key = p256.key_of(scalar)
    reference = _reference(scalar)
    assert key.public == _public(scalar)
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    reference.public_key().verify(key.sign(message), message, ec.ECDSA(hashes.SHA256()))
    try:
        assert key.sign(message) == reference.sign(message, algorithm)
    except UnsupportedAlgorithm:  # OpenSSL older than 3.2
        return


def test_the_vector_of_rfc_6979_appendix_a25() -> None:
    key = p256.key_of(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    r, s = der.only(key.sign(b"sample"), der.SEQUENCE).children()
    assert r.content.lstrip(b"\0").hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    )
    assert s.content.lstrip(b"\0").hex().upper() == (
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )


@pytest.mark.parametrize(
    "shape", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_both_forms_of_private_keys_are_read(shape: serialization.PrivateFormat) -> None:
    reference = ec.generate_private_key(ec.SECP256R1())
    text = reference.private_bytes(
        serialization.Encoding.PEM, shape, serialization.NoEncryption()
    ).decode()
    assert p256.load(text).scalar == reference.private_numbers().private_value


def test_openssl_reads_a_generated_key() -> None:
    key = p256.generate()
    loaded = serialization.load_pem_private_key(key.pem().encode(), password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.private_numbers().private_value == key.scalar


def test_a_key_does_not_show_its_private_half() -> None:
    key = p256.generate()
    assert str(key.scalar) not in repr(key)
    assert f"{key.scalar:x}" not in str(key)


def test_keys_of_another_curve_are_refused() -> None:
    text = Authority("any").issue(curve=ec.SECP384R1()).key
    with pytest.raises(der.DerError, match="P-256"):
        p256.load(text)


@pytest.mark.parametrize("scalar", [0, p256.N, -1])
def test_scalars_outside_the_group_are_refused(scalar: int) -> None:
    with pytest.raises(ValueError, match="between 1"):
        p256.key_of(scalar)


@pytest.mark.parametrize("dotted", ["1.2.840.10045.3.1.7", "2.5.29.17", "1.3.127", "1.3.128.16384"])
def test_object_identifiers(dotted: str) -> None:
    encoded = der.oid(dotted)
    usage = x509.ObjectIdentifier(dotted)
    reference = x509.ExtendedKeyUsage([usage]).public_bytes()
    assert reference == der.sequence(encoded)


def test_a_request_carries_both_names_and_verifies() -> None:
    key = p256.generate()
    uri, dns = "spiffe://garrison-0a1b2c3d/lease/l-1", "l-1.chat.prod.lease.garrison.internal"
    request = x509.load_der_x509_csr(certificate.request(key, "l-1", uri=uri, dns=dns))
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    assert names.get_values_for_type(x509.DNSName) == [dns]
    spki = request.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert spki == key.spki()


@pytest.mark.parametrize("hours", [12, 24 * 400, 24 * 365 * 60])
def test_a_certificate_is_read_as_cryptography_reads_it(hours: int) -> None:
    issued = Authority("lease").issue("spiffe://td/lease/a", "x://b", usage=SERVER, hours=hours)
    reference = issued.parsed()
    read = certificate.parse(issued.certificate)
    assert read.not_after == int(reference.not_valid_after_utc.timestamp())
    assert read.uris == ("spiffe://td/lease/a", "x://b")
    assert read.spki == reference.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    fingerprint = hashes.Hash(hashes.SHA256())
    fingerprint.update(read.spki)
    assert read.pin() == fingerprint.finalize().hex()


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_way(blob: bytes) -> None:
    for label, read in (
        ("CERTIFICATE", certificate.parse),
        ("PRIVATE KEY", p256.load),
        ("EC PRIVATE KEY", p256.load),
    ):
        with pytest.raises(der.DerError):
            read(der.pem(label, blob))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_certificate_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(der.pem_blocks(_DAMAGED, "CERTIFICATE")[0])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        certificate.parse(der.pem("CERTIFICATE", bytes(whole)))
    except der.DerError:
        return


_DAMAGED = Authority("lease").issue("spiffe://td/lease/a", usage=SERVER).certificate
