"""Keys from a seed: BIP 32 along the path of BIP 44.

Forty lines of our own: the packages that do it either bring twenty others along, or are tied to a
build of libsecp256k1 that there is not for every Python. Held to the vectors of BIP 32.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from garrison.errors import InvalidSpecError

HARDENED = 1 << 31
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of secp256k1's group (SEC 2)."""
MAX_STEPS = 16
_STEP = re.compile(r"(0|[1-9][0-9]{0,9})(['hH]?)")


def steps_of(path: str) -> tuple[int, ...]:
    """Return the child numbers of a path such as ``m/44'/118'/0'/0/0``. Raises InvalidSpecError."""
    head, *rest = path.split("/")
    found = [_STEP.fullmatch(each) for each in rest]
    if head != "m" or not 0 < len(rest) <= MAX_STEPS or None in found:
        raise InvalidSpecError(
            f"{path[:100]!r} is not a derivation path; write it like m/44'/118'/0'/0/0"
        )
    steps = [int(each[1]) + HARDENED * bool(each[2]) for each in found if each is not None]
    if any(int(each[1]) >= HARDENED for each in found if each is not None):
        raise InvalidSpecError(f"a number in the derivation path {path[:100]!r} is too large")
    return tuple(steps)


def derive(seed: bytes | bytearray, steps: Sequence[int]) -> int:
    """Return the private key at the end of the path, from 1 to the group's order less 1.

    Raises InvalidSpecError for one of the seeds, fewer than one in 2^127, that have no such key.
    """
    key, chain = _split(hmac.digest(b"Bitcoin seed", seed, "sha512"), 0)
    for step in steps:
        key, chain = _child(key, chain, step)
    return key


def public_key(key: int) -> bytes:
    """Return the compressed public key, 33 bytes."""
    point = ec.derive_private_key(key, ec.SECP256K1()).public_key()
    return point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _child(key: int, chain: bytes, step: int) -> tuple[int, bytes]:
    parent = b"\0" + key.to_bytes(32, "big") if step >= HARDENED else public_key(key)
    return _split(hmac.digest(chain, parent + step.to_bytes(4, "big"), "sha512"), key)


def _split(digest: bytes, parent: int) -> tuple[int, bytes]:
    left = int.from_bytes(digest[:32], "big")
    key = (left + parent) % ORDER
    if left >= ORDER or key == 0:
        raise InvalidSpecError("no key can be derived from these words; make a new wallet")
    return key, digest[32:]
