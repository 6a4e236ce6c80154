"""Who signs: a key in this process, or one day a device or a service elsewhere."""

from __future__ import annotations

from typing import Protocol

from garrison.adapters.akash.wallet.address import address_of
from garrison.adapters.akash.wallet.key import PrivateKey


class Signer(Protocol):
    """An account that can sign. Signing may mean a network call."""

    @property
    def address(self) -> str: ...

    @property
    def public_key(self) -> bytes:
        """Return the compressed public key, 33 bytes."""

    async def sign(self, message: bytes) -> bytes:
        """Return r and s, 64 bytes with s in the lower half, over the message's SHA-256."""


class LocalSigner:
    """Signs with a key in this process (``Signer``)."""

    __slots__ = ("_address", "_key")

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self._address = address_of(key.public)

    @property
    def address(self) -> str:
        """Return the account's address."""
        return self._address

    @property
    def public_key(self) -> bytes:
        """Return the compressed public key, 33 bytes."""
        return self._key.public

    async def sign(self, message: bytes) -> bytes:
        """Return the signature over the message's SHA-256."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"LocalSigner({self._address})"
