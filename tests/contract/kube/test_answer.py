"""What the API server's refusals mean, and what no answer at all means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from garrison.adapters.kube.answer import Answer
from garrison.adapters.kube.client import KubeClient, connect
from garrison.adapters.kube.connection import Connection
from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    ConflictError,
    GarrisonError,
    InvalidSpecError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    TransientError,
    UnavailableError,
)
from tests.contract.kube.berth import BERTH, berth

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _answer(code: int, body: Any, **headers: str) -> Answer:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    return Answer(request="GET /apis", code=code, headers=named, data=data)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", RejectedError),
        (401, "Unauthorized", AuthError),
        (403, "Forbidden", AuthError),
        (404, "NotFound", NotFoundError),
        (405, "MethodNotAllowed", RejectedError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (413, "RequestEntityTooLarge", RejectedError),
        (415, "UnsupportedMediaType", RejectedError),
        (422, "Invalid", InvalidSpecError),
        (429, "TooManyRequests", RateLimitedError),
        (500, "InternalError", UnavailableError),
        (503, "ServiceUnavailable", UnavailableError),
        (504, "Timeout", UnavailableError),
    ],
)
def test_every_refusal_has_its_error(code: int, reason: str, expected: type[GarrisonError]) -> None:
    error = _answer(code, {"reason": reason, "message": "why it is so"}).error()
    assert type(error) is expected
    assert "GET /apis: why it is so" in str(error)


def test_a_terminating_namespace_is_told_from_a_missing_right() -> None:
    causes = [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
    error = _answer(403, {"reason": "Forbidden", "details": {"causes": causes}}).error()
    assert type(error) is RejectedError
    assert error.reason == "NamespaceTerminating"


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("soon", None), ("", None)])
def test_the_wait_that_a_server_asks_for_is_kept(text: str, seconds: float | None) -> None:
    error = _answer(429, {"reason": "TooManyRequests"}, Retry_After=text).error()
    assert isinstance(error, TransientError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"\xff"])
def test_a_successful_answer_without_an_object_is_nonsense(data: bytes) -> None:
    with pytest.raises(UnavailableError, match="GET /apis"):
        _answer(200, data).json()


def test_a_refusal_without_a_status_shows_how_it_starts() -> None:
    assert "Bad gateway" in str(_answer(502, b"<h1>Bad gateway</h1>").error())


@asynccontextmanager
async def _server(handler: Handler, patience: float = 5) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = KubeClient(Connection(Configuration(host=url), patience))
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


async def test_a_silent_server_is_unavailable() -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with _server(hang, patience=0.05) as client:
        with pytest.raises(UnavailableError, match="no answer within"):
            await client.create(BERTH, berth("one", "default"))


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    client = KubeClient(Connection(Configuration(host="http://127.0.0.1:9")))
    try:
        with pytest.raises(UnavailableError, match="GET /apis"):
            await client.list(BERTH)
    finally:
        await client.close()


async def test_a_list_that_expires_between_pages_starts_again() -> None:
    answers = [
        web.json_response({"items": [berth("old", "a")], "metadata": {"continue": "x"}}),
        web.json_response({"reason": "Expired"}, status=410),
        web.json_response({"items": [berth("new", "a")], "metadata": {"continue": "y"}}),
        web.json_response({"items": [berth("newer", "a")], "metadata": {}}),
    ]

    async def expire(_request: web.Request) -> web.Response:
        return answers.pop(0)

    async with _server(expire) as client:
        listed = await client.list(BERTH)
    assert [each["metadata"]["name"] for each in listed] == ["new", "newer"]


async def test_a_list_that_always_expires_is_unavailable() -> None:
    async def expire(_request: web.Request) -> web.Response:
        return web.json_response({"reason": "Expired"}, status=410)

    async with _server(expire) as client:
        with pytest.raises(UnavailableError, match="expired"):
            await client.list(BERTH)


async def test_calls_run_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def meet(_request: web.Request) -> web.Response:
        await both.wait()
        return web.json_response(berth("one", "default"))

    async with _server(meet) as client:
        await asyncio.gather(*(client.get(BERTH, "default", "one") for _ in range(2)))


async def test_a_kubeconfig_that_is_missing_is_rejected() -> None:
    with pytest.raises(RejectedError, match="no-such-file"):
        await connect("no-such-file")
