"""The search for planted secrets finds them however they are written down, at every offset."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable

import pytest

from tests.spellings import is_held, spellings

SECRET = "planted-secret->>>???-4b1d"
"""in base64 it has digits that differ between the two alphabets"""
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda raw: raw,
    "base64": base64.b64encode,
    "URL-safe base64": base64.urlsafe_b64encode,
    "wrapped base64": base64.encodebytes,
    "base64 wrapped in JSON": lambda raw: json.dumps(base64.encodebytes(raw).decode()).encode(),
    "base64 in a PEM of Windows": lambda raw: base64.encodebytes(raw).replace(b"\n", b"\r\n"),
    "hex": lambda raw: raw.hex().encode(),
    "upper-case hex": lambda raw: raw.hex().upper().encode(),
    "wrapped hex": lambda raw: "\n".join(textwrap.wrap(raw.hex(), 16)).encode(),
}


@pytest.mark.parametrize("after", range(3))
@pytest.mark.parametrize("how", ENCODERS)
def test_a_secret_is_found_at_every_offset(how: str, after: int) -> None:
    whole = {before: b"\xff" * before + SECRET.encode() + b"\xff" * after for before in range(80)}
    encode = ENCODERS[how]
    assert [before for before, raw in whole.items() if not is_held(SECRET, encode(raw))] == []


@pytest.mark.parametrize("how", ENCODERS)
def test_another_secret_is_not_found(how: str) -> None:
    data = ENCODERS[how](b"xx" + SECRET.encode().swapcase() + b"xx")
    assert not is_held(SECRET, data)


@pytest.mark.parametrize("length", range(12, 18))
def test_no_spelling_is_so_short_that_anything_has_it(length: int) -> None:
    assert all(len(each) >= length for each in spellings("x" * length))
