"""How answers and broken connections of the Console API become errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from garrison.adapters.akash.client import ConsoleClient
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


@pytest.mark.parametrize(
    ("header", "seconds"),
    [({"Retry-After": "7"}, 7.0), ({}, None), ({"Retry-After": "soon"}, None)],
)
async def test_rate_limit_says_when(header: dict[str, str], seconds: float | None) -> None:
    error = await error_of(answering(429, headers=header), read)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds


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
