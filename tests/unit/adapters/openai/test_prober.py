"""Probes and benchmarks against servers that behave, and that do not."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from akash_sandbox.tls import Authority
from garrison.adapters.openai.prober import HttpProber
from garrison.errors import UnavailableError
from garrison.ports.identity import ClientIdentity, LeaseIdentity, Peer
from garrison.ports.probe import BenchmarkAsk, Destination, ProbeOutcome
from tests.unit.adapters.openai.model_server import ModelServer
from tests.unit.adapters.serving import (
    LOOPBACK,
    Handler,
    answering,
    closed_port,
    flooding,
    hanging,
    resetting,
    serve,
    serve_handler,
)


def at(port: int) -> Destination:
    return Destination(host="replica.example", address=LOOPBACK, port=port)


@pytest.mark.parametrize(
    ("handler", "outcome"),
    [
        (answering(200, "ok"), ProbeOutcome.HEALTHY),
        (answering(204), ProbeOutcome.HEALTHY),
        (flooding, ProbeOutcome.HEALTHY),
        (answering(302, headers={"Location": "/ok"}), ProbeOutcome.BAD_STATUS),
        (answering(503, "loading"), ProbeOutcome.BAD_STATUS),
        (hanging, ProbeOutcome.TIMED_OUT),
        (resetting, ProbeOutcome.REFUSED),
    ],
)
async def test_outcomes(handler: Handler, outcome: ProbeOutcome) -> None:
    async with serve_handler(handler) as port:
        result = await HttpProber().probe(at(port), "/health", timeout_seconds=0.5)
    assert result.outcome is outcome
    assert bool(result.message) is (outcome is not ProbeOutcome.HEALTHY)


async def test_nothing_listens() -> None:
    result = await HttpProber().probe(at(closed_port()), "/health", timeout_seconds=1)
    assert result.outcome is ProbeOutcome.REFUSED
    assert "GET /health at replica.example" in result.message


class Trusting:
    """Client identities that accept what the system trusts."""

    async def context(self, _peer: Peer) -> ssl.SSLContext:
        return ssl.create_default_context()

    async def client(self, *_details: object) -> ClientIdentity:
        raise NotImplementedError

    console = client


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain HTTP", "another certificate"])
async def test_what_answers_in_a_replica_s_place_is_told_from_a_sick_one(
    is_plain: bool, tmp_path: Path
) -> None:
    tls = Authority(tmp_path).server_context("other", ["replica.example"])
    lease = LeaseIdentity(uid="1", namespace="prod", workload="chat")
    peer = Peer(lease=lease, key="00")
    async with serve_handler(answering(200, "ok"), None if is_plain else tls) as port:
        result = await HttpProber(Trusting()).probe(at(port), "/", timeout_seconds=5, peer=peer)
    assert result.outcome is ProbeOutcome.REFUSED
    assert "no TLS with the replica" in result.message
    assert "SSLContext" not in result.message


@pytest.mark.parametrize(("path", "seen"), [("/a/b?x=1", "/a/b?x=1"), ("health", "/health")])
async def test_the_screened_address_is_dialled_under_the_hosts_name(path: str, seen: str) -> None:
    requests: list[tuple[str, str]] = []

    async def record(request: web.Request) -> web.Response:
        requests.append((request.headers["Host"], request.path_qs))
        return web.Response()

    async with serve_handler(record) as port:
        await HttpProber().probe(at(port), path, timeout_seconds=1)
        assert requests == [(f"replica.example:{port}", seen)]


async def test_figures() -> None:
    server = ModelServer(pause=0.01)
    ask = BenchmarkAsk(model=None, requests=3, max_tokens=8)
    async with serve(server.app()) as port:
        figures = await HttpProber().benchmark(at(port), ask)
    assert (figures.model, figures.requests) == ("acme/small", 3)
    assert 0 <= figures.time_to_first_token_ms < 5_000
    assert 0 < figures.millitokens_per_second <= 100_000
    prompts = [body["messages"][0]["content"] for body in server.bodies]
    assert len(set(prompts)) == 4, "one warm-up, and no prompt twice"
    assert server.bodies[0]["ignore_eos"] is True
    assert server.bodies[0]["max_tokens"] == 8


async def test_chunks_are_counted_when_the_server_does_not() -> None:
    server = ModelServer(reports_usage=False)
    ask = BenchmarkAsk(model="m", requests=1, max_tokens=4)
    async with serve(server.app()) as port:
        figures = await HttpProber().benchmark(at(port), ask)
    assert figures.millitokens_per_second > 0


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("knows_ignore_eos", [True, False])
async def test_the_form_that_the_server_knows_is_found(
    *, chat: bool, knows_ignore_eos: bool
) -> None:
    server = ModelServer(chat=chat, knows_ignore_eos=knows_ignore_eos)
    ask = BenchmarkAsk(model="m", requests=2, max_tokens=4)
    async with serve(server.app()) as port:
        await HttpProber().benchmark(at(port), ask)
    assert len(server.bodies) == 3
    assert all(("messages" in body) is chat for body in server.bodies)
    assert all(("ignore_eos" in body) is knows_ignore_eos for body in server.bodies)


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (ModelServer(usage=10**9), "1000000000 tokens"),
        (ModelServer(tokens=1), "1 tokens"),
        (ModelServer(tokens=0, reports_usage=False), "no text"),
        (ModelServer(pause=0.2), "within 0.5 s"),
    ],
)
async def test_useless_answers_are_failures(server: ModelServer, message: str) -> None:
    ask = BenchmarkAsk(model="m", requests=1, max_tokens=8, timeout_seconds=0.5)
    async with serve(server.app()) as port:
        with pytest.raises(UnavailableError, match=message):
            await HttpProber().benchmark(at(port), ask)


@pytest.mark.parametrize(
    "handler",
    [answering(500, "boom"), answering(404), answering(200, "{}"), hanging, resetting, flooding],
)
@pytest.mark.parametrize("model", ["m", None])
async def test_broken_servers_are_failures(handler: Handler, model: str | None) -> None:
    ask = BenchmarkAsk(model=model, requests=1, max_tokens=8, timeout_seconds=0.5)
    async with serve_handler(handler) as port:
        with pytest.raises(UnavailableError, match=r"replica\.example"):
            await HttpProber().benchmark(at(port), ask)


async def test_nobody_to_benchmark() -> None:
    ask = BenchmarkAsk(model="m", requests=1)
    with pytest.raises(UnavailableError, match="cannot be benchmarked"):
        await HttpProber().benchmark(at(closed_port()), ask)
