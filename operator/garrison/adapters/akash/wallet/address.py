"""Account addresses: RIPEMD-160 of SHA-256 of the compressed public key, in bech32 (BIP 173)."""

from __future__ import annotations

import hashlib

from bech32 import bech32_decode, bech32_encode, convertbits

PREFIX = "akash"
_LENGTHS = (20, 32)


def address_of(public_key: bytes) -> str:
    """Return the address of a compressed public key (33 bytes)."""
    digest = hashlib.new("ripemd160", hashlib.sha256(public_key).digest()).digest()
    words = convertbits(digest, 8, 5)
    if words is None:
        raise AssertionError("bytes always convert to groups of five bits")
    return bech32_encode(PREFIX, words)


def is_address(text: str) -> bool:
    """Return whether a text is an account's or a module's address with the right checksum."""
    prefix, words = bech32_decode(text)
    if prefix != PREFIX or words is None:
        return False
    payload = convertbits(words, 5, 8, False)
    return payload is not None and len(payload) in _LENGTHS
