"""Account addresses: bech32 with the prefix ``akash`` (BIP 173)."""

from __future__ import annotations

from collections.abc import Sequence

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PREFIX = "akash"


def address(payload: bytes) -> str:
    """Return the address of a 20-byte key hash."""
    words = _words(payload)
    checksum = _polymod([*_expanded(), *words, *[0] * 6]) ^ 1
    tail = [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{_PREFIX}1{''.join(_ALPHABET[word] for word in (*words, *tail))}"


def _words(payload: bytes) -> list[int]:
    count = -(-len(payload) * 8 // 5)
    bits = int.from_bytes(payload, "big") << (count * 5 - len(payload) * 8)
    return [bits >> 5 * (count - 1 - i) & 31 for i in range(count)]


def _expanded() -> list[int]:
    return [ord(c) >> 5 for c in _PREFIX] + [0] + [ord(c) & 31 for c in _PREFIX]


def _polymod(values: Sequence[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate(_GENERATORS):
            checksum ^= generator if top >> i & 1 else 0
    return checksum
