"""The tenant's account key, kept in the state folder; the Console signs with it for the tenant."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from akash_sandbox.bech32 import address
from akash_sandbox.files import write_private

# secp256k1's group order; the network takes signatures with s in the lower half only.
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ALGORITHM = ec.ECDSA(hashes.SHA256())


class AccountKey:
    """A secp256k1 key with its address."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.point = point = self.public.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        digest = hashlib.new("ripemd160", hashlib.sha256(point).digest()).digest()
        self.address = address(digest)

    def sign(self, message: bytes) -> bytes:
        """Return the raw 64-byte low-s signature of the message's SHA-256."""
        r, s = decode_dss_signature(self._key.sign(message, _ALGORITHM))
        return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")

    def hex(self) -> str:
        """Return the private key as 64 hex digits, as wallets of the network import it."""
        return f"{self._key.private_numbers().private_value:064x}"

    def pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def verifies(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Return whether a raw 64-byte signature is the key's over the message."""
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > _ORDER // 2:
        return False
    try:
        public.verify(encode_dss_signature(r, s), message, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


def new_key() -> AccountKey:
    return AccountKey(ec.generate_private_key(ec.SECP256K1()))


def load_or_create(path: Path) -> AccountKey:
    """Return the account key of this file, made on the first start."""
    if not path.exists():
        write_private(path, new_key().pem())
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path}: holds a {type(key).__name__}, not a secp256k1 key; remove it")
    return AccountKey(key)
