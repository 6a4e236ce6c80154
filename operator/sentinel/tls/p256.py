"""P-256 keys and ECDSA signatures in plain Python (FIPS 186-5, RFC 6979).

Not constant time: for one key at start-up, where whoever could time it can read memory as well.
Field elements are integers; points are Jacobian, those of the table affine. Multiplication is by a
comb of four teeth (Lim and Lee, CRYPTO 1994): a quarter of the doublings.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Tuple  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.tls import der

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_TEETH = (
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
    (
        0x0FA822BC2811AAA58492592E326E25DE29493BAAAD651F7E90E75CB48E14DB63,
        0xBFF44AE8F5DBA80D6F4AD4BCB3DF188B34B1A65050FE82F5E41124545F462EE7,
    ),
    (
        0x447D739BEEDB5E67FB982FD588C6766EFC35FF7DC297EAC357C84FC9D789BD85,
        0x2D4825AB834131EEE12E9D953A4AAFF73D349B95A7FAE5000C7E33C972E25B32,
    ),
    (
        0xA6D39677A78492762736FF8344315FC596439591A3C6B94A6CF20FFB313728BE,
        0x674F84749B0B881666B8BABD2D27ECDF824A920C2284059BF2BAB833C357F5F4,
    ),
)
"""The generator, and 2**64, 2**128 and 2**192 times it: x and y."""
_CURVE = der.oid("1.2.840.10045.3.1.7")
_ALGORITHM = der.sequence(der.oid("1.2.840.10045.2.1"), _CURVE)
_Point = Tuple[int, int, int]  # noqa: UP006
_Affine = Tuple[int, int]  # noqa: UP006
_INFINITY: _Point = (0, 1, 0)


class Key(NamedTuple):
    """A private key: ``scalar``, and ``public``, its point in uncompressed form (65 bytes)."""

    scalar: int
    public: bytes

    def __repr__(self) -> str:
        """Show the public half only."""
        return f"Key(public={self.public.hex()})"

    def spki(self) -> bytes:
        """Return the public key as SubjectPublicKeyInfo (RFC 5480)."""
        return der.sequence(_ALGORITHM, der.bits(self.public))

    def pem(self) -> str:
        """Return the private key as PKCS #8 (RFC 5958)."""
        inner = der.sequence(
            der.integer(1),
            der.tlv(der.OCTETS, self.scalar.to_bytes(32, "big")),
            der.tlv(0xA1, der.bits(self.public)),
        )
        return der.pem(
            "PRIVATE KEY", der.sequence(der.integer(0), _ALGORITHM, der.tlv(der.OCTETS, inner))
        )

    def sign(self, message: bytes) -> bytes:
        """Return the deterministic ECDSA-SHA256 signature of ``message``, DER."""
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        for nonce in _nonces(self.scalar, digest):
            r = _multiply(nonce)[0] % N
            blind = _random_scalar()  # inverse and product run on blinded values
            s = pow(nonce * blind, -1, N) * blind * (digest + r * self.scalar) % N
            if r and s:
                return der.sequence(der.integer(r), der.integer(s))
        raise AssertionError("the candidates never end")


def generate() -> Key:
    """Return a fresh key."""
    return key_of(_random_scalar())


def _random_scalar() -> int:
    """Return a number from 1 to N - 1, of 64 bits more than needed (FIPS 186-5, A.2.1)."""
    return int.from_bytes(os.urandom(40), "big") % (N - 1) + 1


def key_of(scalar: int) -> Key:
    """Return the key of a private scalar. Raises ValueError outside 1 to N - 1."""
    if not 0 < scalar < N:
        raise ValueError("a P-256 private key lies between 1 and the curve's order")
    x, y = _multiply(scalar)
    return Key(scalar, b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))


def load(text: str) -> Key:
    """Return the key in PKCS #8 or SEC 1 PEM ``text``. Raises DerError."""
    for block in der.pem_blocks(text, "PRIVATE KEY"):
        fields = der.only(block, der.SEQUENCE).children()
        if len(fields) < 3 or fields[1].whole != _ALGORITHM or fields[2].tag != der.OCTETS:
            raise der.DerError("the private key is not a P-256 key")
        return _sec1(fields[2].content)
    for block in der.pem_blocks(text, "EC PRIVATE KEY"):
        return _sec1(block)
    raise der.DerError("no private key in PEM form (PRIVATE KEY or EC PRIVATE KEY)")


def _sec1(block: bytes) -> Key:
    fields = der.only(block, der.SEQUENCE).children()
    if len(fields) < 2 or fields[1].tag != der.OCTETS:
        raise der.DerError("the private key is not in SEC 1 form")
    curves = [field.content for field in fields if field.tag == 0xA0]
    if curves and curves != [_CURVE]:
        raise der.DerError("the private key is not a P-256 key")
    try:
        return key_of(int.from_bytes(fields[1].content, "big"))
    except ValueError as error:
        raise der.DerError(str(error)) from error


def _nonces(scalar: int, digest: int) -> Iterator[int]:
    """Yield the candidates of RFC 6979, section 3.2, with HMAC-SHA256."""
    message = scalar.to_bytes(32, "big") + (digest % N).to_bytes(32, "big")
    key, value = bytes(32), b"\1" * 32
    for tag in (b"\0", b"\1"):
        key = _mac(key, value + tag + message)
        value = _mac(key, value)
    while True:
        value = _mac(key, value)
        candidate = int.from_bytes(value, "big")
        if 0 < candidate < N:
            yield candidate
        key = _mac(key, value + b"\0")
        value = _mac(key, value)


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _multiply(scalar: int) -> _Affine:
    """Return ``scalar`` times the generator; the same operations for each scalar."""
    table = _table()
    sum_ = _INFINITY
    for column in range(63, -1, -1):
        sum_ = _double(sum_)
        bits = scalar >> column
        digit = bits & 1 | bits >> 63 & 2 | bits >> 126 & 4 | bits >> 189 & 8
        added = _add(sum_, table[digit or 1])
        sum_ = added if digit else sum_
    return _affine(sum_)


@lru_cache(1)
def _table() -> list[_Affine]:
    """Return the sum of teeth for each of the 16 choices; the first, of none, is not used."""
    table = [_TEETH[0]]
    for x, y in _TEETH:
        table += [(x, y), *(_affine(_add((*each, 1), (x, y))) for each in table[1:])]
    return table


def _affine(point: _Point) -> _Affine:
    x, y, z = point
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * inverse * inverse * inverse % P


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not y:
        return _INFINITY
    delta, gamma = z * z % P, y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    y3 = (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P
    return x3, y3, ((y + z) ** 2 - gamma - delta) % P


def _add(one: _Point, two: _Affine) -> _Point:
    x1, y1, z1 = one
    x2, y2 = two
    if not z1:
        return x2, y2, 1
    a = z1 * z1 % P
    h, r = (x2 * a - x1) % P, (y2 * a * z1 - y1) % P
    if not h:
        return _INFINITY if r else _double(one)
    hh = h * h % P
    hhh, v = h * hh % P, x1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - y1 * hhh) % P, z1 * h % P
