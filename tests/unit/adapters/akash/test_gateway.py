"""A provider's gateway, honest and not."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from akash_sandbox.tls import Authority
from garrison.adapters.akash.gateway import ProviderGateway
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import ConsoleIssuer, LeaseTokens
from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.net.screen import NetScreen
from garrison.errors import (
    NotFoundError,
    RejectedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.market import ForwardedPort, LeaseTarget, Order
from tests.unit.adapters.akash.console_api import ConsoleApi, console
from tests.unit.adapters.orders import order
from tests.unit.adapters.serving import (
    Handler,
    answering,
    closed_port,
    flooding,
    hanging,
    resetting,
    serve_handler,
)

HOST = "frost.example"
TARGET = LeaseTarget(deployment="77", gseq=1, oseq=2, provider="akash1frost", host_uri="")
STATUS = {
    "services": {"replica": {"name": "replica", "available": 1, "total": 1, "uris": None}},
    "forwarded_ports": {
        "replica": [
            {"host": HOST, "port": 8000, "externalPort": 30001, "proto": "TCP", "name": "replica"},
            {"host": HOST, "port": 53, "externalPort": 30002, "proto": "UDP", "name": "replica"},
        ]
    },
    "ips": None,
}


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class Desk:
    """A gateway, the target at the served port, and the Console API that signs its tokens."""

    def __init__(self, gateway: ProviderGateway, port: int, api: ConsoleApi) -> None:
        self.gateway = gateway
        self.target = replace(TARGET, host_uri=f"https://{HOST}:{port}")
        self.api = api
        self.clock = ManualClock()


@asynccontextmanager
async def desk(
    handler: Handler,
    authority: Authority,
    *,
    allow_private: bool = True,
    certified: str = HOST,
    bundle: Path | None = None,
) -> AsyncIterator[Desk]:
    server = authority.server_context("gateway", [certified])
    trusted = (bundle or authority.ca_file).read_text()
    api = ConsoleApi()
    async with serve_handler(handler, server) as port, console(api) as client:
        clock = ManualClock()
        gateway = ProviderGateway(
            tokens=LeaseTokens(issuer=ConsoleIssuer(client), clock=clock),
            screen=NetScreen(lookup=loopback),
            context=client_context(trusted),
            manifest=_manifest,
            allow_private=allow_private,
            status_timeout=aiohttp.ClientTimeout(total=0.5),
        )
        found = Desk(gateway, port, api)
        found.clock = clock
        try:
            yield found
        finally:
            await gateway.close()


def _manifest(deployment: str, _order: Order) -> str:
    return f'["manifest of {deployment}"]'


class Recorder:
    """Answers with a status and keeps what was asked."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.status = status
        self.body = body
        self.seen: list[tuple[str, str, str, str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        headers = request.headers
        self.seen.append(
            (request.method, request.path, headers["Authorization"], headers["Host"], text)
        )
        return web.Response(status=self.status, text=json.dumps(self.body))


async def test_manifest_goes_out_with_a_narrow_token(authority: Authority) -> None:
    recorder = Recorder()
    async with desk(recorder.answer, authority) as it:
        await it.gateway.send_manifest(it.target, order())
        port = it.target.host_uri.rpartition(":")[2]
        (token,) = it.api.asked("POST", "/v1/create-jwt-token")
    path = "/deployment/77/manifest"
    assert recorder.seen == [
        ("PUT", path, "Bearer token-1", f"{HOST}:{port}", '["manifest of 77"]')
    ]
    permission = {
        "provider": "akash1frost",
        "access": "granular",
        "deployments": [
            {
                "dseq": 77,
                "gseq": 1,
                "oseq": 2,
                "scope": ["send-manifest", "status"],
                "services": ["replica"],
            }
        ],
    }
    assert token["data"]["leases"] == {"access": "granular", "permissions": [permission]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, NotFoundError),
        (422, RejectedError),
        (500, UnavailableError),
        (503, UnavailableError),
        (401, UnavailableError),
        (302, UnavailableError),
    ],
)
async def test_manifest_refusals(
    status: int, expected: type[Exception], authority: Authority
) -> None:
    async with desk(answering(status, "no lease\n"), authority) as it:
        with pytest.raises(expected, match=f"answered {status}: no lease"):
            await it.gateway.send_manifest(it.target, order())


async def test_status_has_the_tcp_ports(authority: Authority) -> None:
    recorder = Recorder(body=STATUS)
    async with desk(recorder.answer, authority) as it:
        status = await it.gateway.status(it.target)
    assert recorder.seen[0][:2] == ("GET", "/lease/77/1/2/status")
    assert status is not None
    assert status.available == 1
    assert status.ports == (ForwardedPort(host=HOST, port=8000, external_port=30001),)


async def test_no_manifest_yet(authority: Authority) -> None:
    async with desk(answering(404), authority) as it:
        assert await it.gateway.status(it.target) is None


@pytest.mark.parametrize("body", [{}, {"services": None, "forwarded_ports": None}])
async def test_a_status_without_our_service(body: Any, authority: Authority) -> None:
    async with desk(Recorder(body=body).answer, authority) as it:
        status = await it.gateway.status(it.target)
    assert status is not None
    assert (status.available, status.ports) == (0, ())


@pytest.mark.parametrize(
    "body",
    [
        5,
        {"services": {"replica": {"available": "many"}}},
        {"services": {"replica": {"available": -1}}},
        {"forwarded_ports": {"replica": [{"host": HOST, "port": 1, "externalPort": 70000}]}},
        {"forwarded_ports": {"replica": [{"host": "h" * 300, "port": 1, "externalPort": 7}]}},
    ],
)
async def test_an_impossible_status_is_unavailable(body: Any, authority: Authority) -> None:
    async with desk(Recorder(body=body).answer, authority) as it:
        with pytest.raises(UnavailableError, match="not understood"):
            await it.gateway.status(it.target)


@pytest.mark.parametrize("handler", [hanging, resetting, flooding, answering(200, "<html>")])
async def test_broken_gateways_are_unavailable(handler: Handler, authority: Authority) -> None:
    async with desk(handler, authority) as it:
        with pytest.raises(UnavailableError):
            await it.gateway.status(it.target)


async def test_nobody_listens(authority: Authority) -> None:
    async with desk(answering(), authority) as it:
        target = replace(it.target, host_uri=f"https://{HOST}:{closed_port()}")
        with pytest.raises(UnavailableError):
            await it.gateway.status(target)


async def test_tokens_are_kept_until_they_end_or_are_refused(authority: Authority) -> None:
    recorder = Recorder(body=STATUS)
    async with desk(recorder.answer, authority) as it:
        await it.gateway.status(it.target)
        await it.gateway.status(it.target)
        it.clock.advance(timedelta(minutes=9))
        await it.gateway.status(it.target)
        recorder.status = 401
        with pytest.raises(UnavailableError):
            await it.gateway.status(it.target)
        recorder.status = 200
        await it.gateway.status(it.target)
        await it.gateway.status(replace(it.target, deployment="78"))
    used = [authorization for _, _, authorization, _, _ in recorder.seen]
    assert used == [f"Bearer token-{n}" for n in (1, 1, 2, 2, 3, 4)]


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    recorder = Recorder()
    async with desk(recorder.answer, authority, certified="other.example") as it:
        with pytest.raises(UnavailableError, match="certificate"):
            await it.gateway.send_manifest(it.target, order())
    assert recorder.seen == []


async def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    recorder = Recorder()
    async with desk(recorder.answer, authority, bundle=Authority(tmp_path).ca_file) as it:
        with pytest.raises(UnavailableError, match="certificate"):
            await it.gateway.send_manifest(it.target, order())
    assert recorder.seen == []


async def test_private_addresses_need_the_accounts_permission(authority: Authority) -> None:
    async with desk(answering(), authority, allow_private=False) as it:
        with pytest.raises(UnsafeDestinationError):
            await it.gateway.status(it.target)
        assert it.api.seen == [], "no token is signed for an address that is not dialled"


@pytest.mark.parametrize(
    "uri",
    ["", "http://frost.example:8443", "https://", "https://u@frost.example", "https://a:b:c", "x"],
)
async def test_other_addresses_are_refused(uri: str, authority: Authority) -> None:
    async with desk(answering(), authority) as it:
        with pytest.raises(UnsafeDestinationError, match="only https"):
            await it.gateway.status(replace(it.target, host_uri=uri))


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "[2606:4700::1111]", "134744072", "0x8.8.8.8", "8.8.2056", "gate.local", "9."],
)
async def test_a_gateway_without_a_name_is_refused(host: str, authority: Authority) -> None:
    recorder = Recorder(body=STATUS)
    async with desk(recorder.answer, authority, allow_private=False) as it:
        with pytest.raises(UnsafeDestinationError, match="only public host names"):
            await it.gateway.status(replace(it.target, host_uri=f"https://{host}:8443"))
        assert it.api.seen == [], "no token is signed for it"


def test_contexts_verify_names_and_certificates(authority: Authority) -> None:
    context = client_context(authority.ca_file.read_text())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
