"""The Console API on bad days: what each answer becomes, and that nothing was made behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from akash_sandbox.client import CONSOLE, SandboxAdmin
from garrison.errors import (
    AuthError,
    ConflictError,
    FundsError,
    GarrisonError,
    RateLimitedError,
    TransientError,
    UnavailableError,
    UnknownOutcomeError,
)
from garrison.ports.market import Market
from tests.contract.market.conftest import at_console
from tests.contract.market.stall import order
from tests.sandbox.sandbox_process import SandboxProcess


@pytest.fixture
async def market(sandbox: SandboxProcess) -> AsyncIterator[Market]:
    async with at_console(sandbox) as stall:
        yield stall.exchange.market


@pytest.fixture
async def admin(sandbox: SandboxProcess) -> AsyncIterator[SandboxAdmin]:
    async with sandbox.admin() as found:
        yield found


async def create(market: Market) -> object:
    return await market.create(order(), market.propose_id())


async def balance(market: Market) -> object:
    return await market.balance()


@pytest.mark.parametrize(
    ("call", "status", "outcome"),
    [
        (create, 401, (AuthError, "check the API key")),
        (create, 402, (FundsError, "add credit to the account, or lower treasury.depositHours")),
        (create, 409, (ConflictError, "it is tried again")),
        (create, 429, (RateLimitedError, "an account that nothing else uses")),
        (create, 500, (UnknownOutcomeError, "whether it took effect is looked up")),
        (create, 503, (UnknownOutcomeError, "its own wallet is short")),
        (balance, 402, (FundsError, "add credit to the account")),
        (balance, 429, (RateLimitedError, "an account that nothing else uses")),
        (balance, 503, (UnavailableError, "it is asked again later")),
    ],
)
async def test_an_answer_is_an_error_with_a_remedy(
    market: Market,
    admin: SandboxAdmin,
    call: Callable[[Market], Awaitable[object]],
    status: int,
    outcome: tuple[type[GarrisonError], str],
) -> None:
    expected, remedy = outcome
    await balance(market)  # the wallet is known: what fails is the call itself
    # The way of last resort for a create is refused alike: nothing is made.
    await admin.errors(CONSOLE, status=status, path="/v1", retry_after=1)
    with pytest.raises(GarrisonError, match=remedy) as caught:
        await call(market)
    assert type(caught.value) is expected
    if status in {429, 503} and isinstance(caught.value, TransientError):
        assert caught.value.retry_after == 1.0
    await admin.clear_faults()
    await asyncio.sleep(1.1 if status == 429 else 0)
    assert list(await market.open_deployments()) == []


async def test_a_rate_limit_passes_by_itself(market: Market, admin: SandboxAdmin) -> None:
    await admin.errors(CONSOLE, status=429, count=1, retry_after=1)
    with pytest.raises(RateLimitedError):
        await market.balance()
    with pytest.raises(RateLimitedError, match="is not sent"):
        await market.balance()
    await asyncio.sleep(1.1)
    assert (await market.balance()).available > 0
