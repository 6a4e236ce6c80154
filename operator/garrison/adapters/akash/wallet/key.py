"""A private key that does not show itself."""

from __future__ import annotations

import re
import unicodedata
from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

from garrison.adapters.akash.wallet.derivation import ORDER, derive, steps_of
from garrison.errors import InvalidSpecError

PATH = "m/44'/118'/0'/0/0"
"""Where Akash wallets keep their first account (coin type 118)."""
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_LENGTHS = (12, 15, 18, 21, 24)
_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


class PrivateKey:
    """A secp256k1 key, held by OpenSSL, which wipes it when the last reference goes.

    It prints as ``***`` and can be neither copied nor pickled. What Python cannot wipe is the text that
    it was read from: the words or the hex digits stay in memory until that memory is used again.
    """

    __slots__ = ("_key", "_public")

    def __init__(self, number: int) -> None:
        self._key = ec.derive_private_key(number, ec.SECP256K1())
        self._public = self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.CompressedPoint
        )

    @classmethod
    def from_words(cls, words: str, path: str = PATH) -> PrivateKey:
        """Return the key of a BIP 39 mnemonic (English, no passphrase) at a BIP 44 path.

        Raises InvalidSpecError, which says nothing of the words, when they are not a mnemonic.
        """
        steps = steps_of(path)
        seed = bytearray(Mnemonic.to_seed(_checked(words)))
        try:
            return cls(derive(seed, steps))
        finally:
            seed[:] = bytes(len(seed))

    @classmethod
    def from_hex(cls, digits: str) -> PrivateKey:
        """Return the key written as 64 hex digits. Raises InvalidSpecError, which shows none."""
        found = _HEX.fullmatch(digits.strip())
        number = int(found[1], 16) if found else 0
        if not 0 < number < ORDER:
            raise InvalidSpecError(
                "the private key is not 64 hex digits of a secp256k1 key; export it with "
                "`akash keys export NAME --unarmored-hex --unsafe`"
            )
        return cls(number)

    @property
    def public(self) -> bytes:
        """Return the compressed public key, 33 bytes."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return r and s, 64 bytes, over the message's SHA-256: RFC 6979, s in the lower half."""
        r, s = decode_dss_signature(self._key.sign(message, _ALGORITHM))
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")

    def __repr__(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a private key is neither copied nor pickled")


def _checked(words: str) -> str:
    normal = " ".join(unicodedata.normalize("NFKD", words).lower().split())
    count = len(normal.split(" ")) if normal else 0
    if count not in _LENGTHS:
        raise InvalidSpecError(
            f"the mnemonic has {count} words; a wallet's has 12, 15, 18, 21 or 24, in one line"
        )
    if not Mnemonic("english").check(normal):
        raise InvalidSpecError(
            "the mnemonic's words or their order are wrong (BIP 39 checksum, English words); "
            "copy it again from the wallet"
        )
    return normal
