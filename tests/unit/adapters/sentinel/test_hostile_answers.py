"""Whatever a machine that has the bootstrap answers, the operator's client ends in an error of the tree.

An exception of another kind would end the pass instead, so the lease would never be found unreachable.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.adapters.sentinel.bootstrap import Pins
from garrison.adapters.sentinel.certificates import (
    fingerprint,
    key_pem,
    new_key,
    pem,
    pinned_client,
    pinned_server,
)
from garrison.adapters.sentinel.client import SentinelClient
from garrison.errors import GarrisonError
from garrison.ports.identity import bootstrap_id, operator_id
from garrison.ports.probe import Destination
from garrison.ports.sentinel import Door
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, trust

DEEP = b'{"a":' * 100_000
INSTANCE = "0" * 32
HELLO = {
    "instance": INSTANCE,
    "lease": LEASE.uid,
    "nonce": "1" * 32,
    "protocol": 1,
    "sentinel": "2" * 64,
}
Answers = Mapping[str, bytes]
"""The body of each path's answer; {} for the others."""


class Machine:
    """A machine with the bootstrap of its lease: it says hello as it must, unless it is told not to."""

    def __init__(self, answers: Answers, hello: Mapping[str, Any]) -> None:
        self._answers = answers
        self._hello = hello
        self.key, self.own = new_key(), new_key()
        now = trust().clock.now()
        self.certificate = pem(pinned_server(self.key, bootstrap_id(DOMAIN, LEASE), now))
        self.operator = pem(pinned_client(self.own, operator_id(DOMAIN), now))

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Door]:
        """Its control port, as the operator knows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        handle = os.memfd_create("machine")
        os.write(handle, (self.certificate + key_pem(self.key)).encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
        os.close(handle)
        listening = await asyncio.start_server(self._served, "127.0.0.1", 0, ssl=context)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            yield Door(
                lease=LEASE,
                destination=Destination(host="p.example", address="127.0.0.1", port=port),
                bootstrap=fingerprint(self.key.public_key()),
                digest="",
            )

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = head.partition("content-length:")[2].partition("\r\n")[0].strip() or "0"
                body = await reader.readexactly(int(length))
                raw = self._answer(head.split()[1], body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(raw), raw))
                await writer.drain()
        writer.close()

    def _answer(self, path: str, body: bytes) -> bytes:
        if path in self._answers:
            return self._answers[path]
        return self._greeting(body) if path == "/v1/hello" else b"{}"

    def _greeting(self, body: bytes) -> bytes:
        ours, theirs = json.loads(body)["nonce"], HELLO["nonce"]
        text = f"garrison-hello-v1\n{LEASE.uid}\n{INSTANCE}\n{ours}\n{theirs}"
        proof = self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        return json.dumps({**self._hello, "proof": base64.b64encode(proof).decode()}).encode()


def client(machine: Machine) -> SentinelClient:
    found = trust()
    pins = Pins(
        bootstrap=machine.certificate, certificate=machine.operator, key=key_pem(machine.own)
    )
    return SentinelClient(
        pins=lambda _: pins,
        operator=found.operator,
        leases=found.leases,
        clock=found.clock,
        domain=DOMAIN,
    )


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
    machine = Machine({}, hello)
    async with machine.serving() as door:
        with pytest.raises(GarrisonError):
            await client(machine).look(door)


@pytest.mark.parametrize("text", TEXTS, ids=lambda each: repr(each[:12]))
@pytest.mark.parametrize(("path", "call"), CALLS)
async def test_an_answer_that_is_no_sense(path: str, call: Call, text: bytes) -> None:
    machine = Machine({path: text}, HELLO)
    async with machine.serving() as door:
        with pytest.raises(GarrisonError):
            await call(client(machine), replace(door, key="k"))


@pytest.mark.parametrize("csr", ["", "nonsense", "\ud800", 7, None, [], BROKEN])
async def test_a_request_that_is_no_sense(csr: object) -> None:
    text = json.dumps({"csr": csr, "proof": ""}).encode()
    machine = Machine({"/v1/enrol": text}, HELLO)
    async with machine.serving() as door:
        with pytest.raises(GarrisonError):
            await client(machine).enrol(door)
