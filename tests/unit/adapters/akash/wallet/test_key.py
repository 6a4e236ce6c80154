"""Keys: derived as BIP 39 and BIP 32 say, signing as the chain wants, showing nothing."""

from __future__ import annotations

import copy
import hashlib
import pickle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.akash.wallet.address import address_of, is_address
from garrison.adapters.akash.wallet.derivation import ORDER, derive, public_key, steps_of
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.errors import InvalidSpecError

WORDS = "abandon " * 11 + "about"
ADDRESS = "akash19rl4cm2hmr8afy4kldpxz3fka4jguq0a3mq6x0"
HEX = "c4a48e2fce1481cd3294b4490f6678090ea98d3d0e5cd984558ab0968741b104"

# BIP 32, test vector 1.
SEED = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
CHAIN = [
    ("m/0'", "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea"),
    ("m/0'/1", "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"),
    ("m/0'/1/2h", "cbce0d719ecf7431d88e6a89fa1483e02e35092af60c042b1df2ff59fa424dca"),
    ("m/0'/1/2H/2", "0f479245fb19a38a1954c5c7c0ebab2f9bdfd96a17563ef28a6a4b1a2a764ef4"),
    (
        "m/0'/1/2'/2/1000000000",
        "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8",
    ),
]


@pytest.mark.parametrize(("path", "expected"), CHAIN)
def test_derivation_follows_the_vectors_of_bip_32(path: str, expected: str) -> None:
    assert f"{derive(SEED, steps_of(path)):064x}" == expected


@pytest.mark.parametrize(
    "path", ["", "m", "44'/118'", "m/", "m/x", "m/0''", "m/-1", "m/2147483648", "m" + "/0" * 17]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(InvalidSpecError):
        steps_of(path)


def test_words_and_digits_give_the_same_account() -> None:
    assert LocalSigner(PrivateKey.from_words(WORDS)).address == ADDRESS
    assert LocalSigner(PrivateKey.from_hex(HEX)).address == ADDRESS
    spaced = f"\n {WORDS.replace(' ', '  ').upper()} \n"
    assert LocalSigner(PrivateKey.from_words(spaced)).address == ADDRESS


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "has 0 words"),
        ("abandon " * 11, "has 11 words"),
        ("abandon " * 12, "checksum"),
        ("abandon " * 11 + "sekret", "checksum"),
    ],
)
def test_wrong_words_are_refused_without_being_shown(words: str, says: str) -> None:
    with pytest.raises(InvalidSpecError, match=says) as raised:
        PrivateKey.from_words(words)
    assert "sekret" not in str(raised.value)
    assert "abandon" not in str(raised.value)


@pytest.mark.parametrize("digits", ["", "00" * 32, f"{ORDER:064x}", HEX[:-1], "zz" * 32, HEX + "0"])
def test_wrong_digits_are_refused_without_being_shown(digits: str) -> None:
    with pytest.raises(InvalidSpecError) as raised:
        PrivateKey.from_hex(digits)
    assert not digits or digits not in str(raised.value)


def test_a_key_shows_nothing_and_stays_where_it_is() -> None:
    key = PrivateKey.from_hex(HEX)
    signer = LocalSigner(key)
    for shown in (repr(key), str(key), f"{key}", f"{[key]!r}", f"{signer!r}"):
        assert HEX[:8] not in shown
    assert repr(key) == "***"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            copied(key)


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=ORDER - 1))
def test_signatures_verify_repeat_and_have_a_low_s(message: bytes, number: int) -> None:
    key = PrivateKey(number)
    signature = key.sign(message)
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    assert len(signature) == 64
    assert 0 < s <= ORDER // 2
    assert signature == key.sign(message)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.public)
    public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


def test_a_signature_is_the_one_of_rfc_6979() -> None:
    """A vector of the ecdsa literature: key 1, message "Satoshi Nakamoto"."""
    assert PrivateKey(1).sign(b"Satoshi Nakamoto").hex() == (
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    )


@given(st.integers(min_value=1, max_value=ORDER - 1))
def test_addresses_are_addresses(number: int) -> None:
    address = address_of(public_key(number))
    assert is_address(address)
    assert not is_address(address[:-1] + ("q" if address[-1] != "q" else "p"))


@pytest.mark.parametrize(
    "text",
    ["", "akash1", "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4", ADDRESS + "q", "akash1ő"],
)
def test_other_text_is_no_address(text: str) -> None:
    assert not is_address(text)


def test_hashes_of_the_platform_are_there() -> None:
    assert hashlib.new("ripemd160", b"").hexdigest() == "9c1185a5c5e9fc54612808977ee8f548b2258d31"
