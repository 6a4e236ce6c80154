"""Accounts as the chain numbers them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from bech32 import bech32_decode, convertbits
from cryptography.hazmat.primitives.asymmetric import ec

PREFIX = "akash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """``public_key`` is base64 of 33 bytes, "" before the account's first transaction."""

    address: str
    number: int
    sequence: int = 0
    public_key: str = ""

    @property
    def key(self) -> ec.EllipticCurvePublicKey | None:
        """The public key, None before the chain knows it."""
        return public_key(base64.b64decode(self.public_key)) if self.public_key else None


class Accounts:
    """All accounts that ever had coins."""

    def __init__(self, accounts: dict[str, Account] | None = None) -> None:
        self.by_address = dict(accounts or {})

    def get(self, address: str) -> Account | None:
        return self.by_address.get(address)

    def opened(self, address: str, key: bytes = b"") -> Account:
        """Return the account of an address, made now if there was none."""
        found = self.by_address.get(address)
        if found is None:
            shown = base64.b64encode(key).decode()
            found = Account(address=address, number=len(self.by_address), public_key=shown)
            self.by_address[address] = found
        return found

    def signed(self, address: str, key: bytes, *, ordered: bool) -> Account:
        """Return the account after a transaction of its own."""
        found = self.by_address[address]
        changed = replace(
            found,
            sequence=found.sequence + ordered,
            public_key=found.public_key or base64.b64encode(key).decode(),
        )
        self.by_address[address] = changed
        return changed

    def keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Return the public keys that the chain knows, by address."""
        known = ((a.address, a.key) for a in self.by_address.values())
        return {address: key for address, key in known if key is not None}


def public_key(point: bytes) -> ec.EllipticCurvePublicKey | None:
    """Return a compressed secp256k1 key, None for other bytes."""
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), point)
    except ValueError:
        return None


def payload(address: str) -> bytes | None:
    """Return the bytes of a bech32 address, None for anything else."""
    prefix, words = bech32_decode(address)
    if prefix != PREFIX or words is None:
        return None
    found = convertbits(words, 5, 8, False)
    return bytes(found) if found is not None and len(found) in (20, 32) else None


def raw(address: str) -> str:
    """Return an address as some of the chain's texts have it: its very bytes."""
    return (payload(address) or b"").decode(errors="surrogateescape")
