"""How answers and broken connections of the Console API become errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from garrison.adapters.akash.client import (
    AT_ONCE,
    ConsoleClient,
    UnsupportedCallError,
    retry_after,
)
from garrison.adapters.akash.tls import client_context
from garrison.errors import (
    AuthError,
    ConflictError,
    FundsError,
    GarrisonError,
    InvalidSpecError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.unit.adapters.akash.console_api import ConsoleApi, console
from tests.unit.adapters.serving import (
    Handler,
    answering,
    closed_port,
    flooding,
    hanging,
    resetting,
)

BALANCES = "GET /v1/balances"
CREATE = "POST /v1/deployments"


async def read(client: ConsoleClient) -> object:
    return await client.get("/v1/balances")


async def write(client: ConsoleClient) -> object:
    return await client.write("POST", "/v1/deployments", {})


Call = Callable[[ConsoleClient], Awaitable[object]]


async def error_of(handler: Handler, call: Call) -> GarrisonError:
    api = ConsoleApi(override={BALANCES: handler, CREATE: handler})
    async with console(api, max_body=1 << 16) as client:
        with pytest.raises(GarrisonError) as caught:
            await call(client)
        return caught.value


@pytest.mark.parametrize("call", [read, write])
@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, '{"message": "bid is not open"}', RejectedError),
        (400, '{"message": "deposit invalid: insufficient balance"}', FundsError),
        (401, "", AuthError),
        (402, "", FundsError),
        (403, "", AuthError),
        (404, "", NotFoundError),
        (409, "", ConflictError),
        (422, "", RejectedError),
        (302, "", UnavailableError),
        (405, "", UnsupportedCallError),
        (410, "", UnsupportedCallError),
        (400, '{"message": "Validation error", "data": []}', UnsupportedCallError),
    ],
)
async def test_refusals_mean_the_same_for_reads_and_writes(
    call: Call, status: int, text: str, expected: type[GarrisonError]
) -> None:
    error = await error_of(answering(status, text), call)
    assert type(error) is expected
    assert str(status) in str(error)


@pytest.mark.parametrize(
    "handler",
    [
        answering(500),
        answering(502, "<html>bad gateway</html>"),
        answering(408),
        answering(200, "not json"),
        answering(200, "[" * 100_000),
        answering(200, "NaN"),
        hanging,
        resetting,
        flooding,
    ],
)
async def test_a_lost_answer_leaves_only_writes_unknown(handler: Handler) -> None:
    assert type(await error_of(handler, read)) is UnavailableError
    assert type(await error_of(handler, write)) is UnknownOutcomeError


@pytest.mark.parametrize("call", [read, write])
async def test_what_was_never_sent_is_unavailable(call: Call) -> None:
    client = ConsoleClient(
        endpoint=f"https://127.0.0.1:{closed_port()}", key="k", context=client_context(None)
    )
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await call(client)
    await client.close()


LATER = "Fri, 13 Nov 2026 10:00:30 GMT"
NOW = "Fri, 13 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "86400"}, 3600.0),
        ({}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": LATER, "Date": NOW}, 30.0),
        ({"Retry-After": NOW, "Date": LATER}, 0.0),
        ({"Retry-After": LATER, "Date": "now"}, None),
    ],
)
def test_how_long_to_wait(header: dict[str, str], seconds: float | None) -> None:
    assert retry_after(header) == seconds


async def test_rate_limit_says_when_and_what_to_do() -> None:
    error = await error_of(answering(429, headers={"Retry-After": "7"}), read)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == 7.0
    assert "an account that nothing else uses" in str(error)


async def test_after_a_rate_limit_nothing_is_sent_for_a_while() -> None:
    api = ConsoleApi(override={BALANCES: answering(429, headers={"Retry-After": "2"})})
    async with console(api) as client:
        with pytest.raises(RateLimitedError):
            await read(client)
        del api.override[BALANCES]
        for call in (read, write):
            with pytest.raises(RateLimitedError, match="is not sent") as caught:
                await call(client)
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 2
        assert len(api.seen) == 1
        await asyncio.sleep(2.1)
        assert await read(client) is not None


async def test_reads_that_hang_hold_no_write_back() -> None:
    held, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        held.release()
        await go_on.wait()
        return web.json_response({"data": {}})

    api = ConsoleApi(override={BALANCES: slow, CREATE: answering(200, "{}")})
    async with console(api, patience=aiohttp.ClientTimeout(total=30)) as client:
        reads = [asyncio.create_task(read(client)) for _ in range(AT_ONCE + 3)]
        for _ in range(AT_ONCE):
            await held.acquire()
        await write(client)
        assert held.locked(), "more reads than are allowed at once"
        go_on.set()
        assert len(await asyncio.gather(*reads)) == AT_ONCE + 3


async def test_503_is_nobody_s_fault_here() -> None:
    error = await error_of(answering(503, headers={"Retry-After": "9"}), read)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == 9.0
    assert "its own wallet is short" in str(error)
    assert isinstance(await error_of(answering(503), write), UnknownOutcomeError)


async def test_402_says_what_to_pay() -> None:
    error = await error_of(answering(402, '{"message": "Not enough balance"}'), write)
    assert "Not enough balance; add credit to the account" in str(error)


async def test_redirects_are_not_followed() -> None:
    api = ConsoleApi(override={BALANCES: answering(302, headers={"Location": "/v1/providers"})})
    async with console(api) as client:
        with pytest.raises(UnavailableError):
            await read(client)
    assert [path for _, path, _ in api.seen] == ["/v1/balances"]


async def test_the_key_is_sent_and_never_shown() -> None:
    async with console(ConsoleApi(), key="wrong-secret") as client:
        with pytest.raises(AuthError) as caught:
            await read(client)
    assert "bad key" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_control_characters_in_errors_are_flattened() -> None:
    error = await error_of(answering(400, '{"message": "a\\nb\\u001b[31m"}'), read)
    assert "a b [31m" in str(error)


def test_a_bundle_without_certificates_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="caBundle"):
        client_context("not a certificate")
