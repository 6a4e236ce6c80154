"""Whatever a machine that has the bootstrap answers, the operator's client ends in an error of the tree.

An exception of another kind would end the pass instead, so the lease would never be found unreachable.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from garrison.adapters.sentinel.client import SentinelClient
from garrison.errors import GarrisonError
from garrison.ports.sentinel import Door
from tests.unit.adapters.sentinel.machine import HELLO, Machine

NOT_TLS = r"^(?!.*(CERTIFICATE|SSL))"
"""It is the answer that is refused, not the connection."""
DEEP = b'{"a":' * 100_000


def without(field: str) -> Mapping[str, Any]:
    return {name: value for name, value in HELLO.items() if name != field}


ODD: tuple[object, ...] = (None, 7, [], {}, "", "\ud800" * 32, "x" * 1000)
HELLOS: list[Mapping[str, Any]] = [without(each) for each in HELLO] + [
    {**HELLO, name: value} for name in HELLO for value in ODD
]
TEXTS = [DEEP, b"[" * 100_000, b"[]", b"7", b"nonsense", b"\xff\xfe", b"1" * 5000, b"null"]
BROKEN = """-----BEGIN CERTIFICATE REQUEST-----
AAAA
-----END CERTIFICATE REQUEST-----
"""
Call = Callable[[SentinelClient, Door], Awaitable[object]]
CALLS: list[tuple[str, Call]] = [
    ("/v1/hello", lambda found, door: found.look(door)),
    ("/v1/status", lambda found, door: found.look(door)),
    ("/v1/enrol", lambda found, door: found.enrol(door)),
    ("/v1/hello", lambda found, door: found.enrol(door)),
    ("/v1/status", lambda found, door: found.seal(door, "x")),
    ("/v1/seal", lambda found, door: found.seal(door, "x")),
]


@pytest.mark.parametrize("hello", HELLOS)
async def test_a_hello_that_lacks_something(hello: Mapping[str, Any]) -> None:
    machine = Machine(hello=hello)
    async with machine.serving() as door:
        with pytest.raises(GarrisonError, match=NOT_TLS):
            await machine.client().look(door)


@pytest.mark.parametrize("text", TEXTS, ids=lambda each: repr(each[:12]))
@pytest.mark.parametrize(("path", "call"), CALLS)
async def test_an_answer_that_is_no_sense(path: str, call: Call, text: bytes) -> None:
    machine = Machine(answers={path: text})
    async with machine.serving() as door:
        with pytest.raises(GarrisonError, match=NOT_TLS):
            await call(machine.client(), replace(door, key="k"))


@pytest.mark.parametrize("csr", ["", "nonsense", "\ud800", 7, None, [], BROKEN])
async def test_a_request_that_is_no_sense(csr: object) -> None:
    text = json.dumps({"csr": csr, "proof": ""}).encode()
    machine = Machine(answers={"/v1/enrol": text})
    async with machine.serving() as door:
        with pytest.raises(GarrisonError, match=NOT_TLS):
            await machine.client().enrol(door)
