"""What becomes of a mint's record: refused where nothing was sent, unknown where it may have been."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest

from garrison.adapters.memory.clock import SeededChance
from garrison.adapters.memory.exchanges import MemoryExchanges
from garrison.api.account import AccountStatus, MintStatus
from garrison.api.meta import Key
from garrison.api.money import MicroUSD
from garrison.controllers.mints import Mints
from garrison.errors import (
    AuthError,
    FundsError,
    GarrisonError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
)
from garrison.ports.market import LeaseGateway, Market, Mintage, Minter
from garrison.runtime.jobs import Jobs
from tests.builders import NOW, account

AMOUNT = MicroUSD(10_000_000)
RECORD = MintStatus(amount="10.00", token="t", at=NOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """Answers every mint with an error, or takes it."""

    error: GarrisonError | None = None

    async def mintage(self) -> Mintage:
        return Mintage(least=AMOUNT, most=AMOUNT)

    async def mint(self, amount: MicroUSD) -> None:
        del amount
        if self.error is not None:
            raise self.error


async def minted(minter: Minter | None, *, locked: bool = False) -> MintStatus:
    """Return the record after one mint was asked for by who recorded it."""
    woken = asyncio.Event()

    def wake(key: Key) -> None:
        del key
        woken.set()

    exchanges = MemoryExchanges(cast("Market", None), cast("LeaseGateway", None), minter)
    if locked:
        exchanges.locked.add("treasury")
    mints = Mints(jobs=Jobs(wake), exchanges=exchanges, chance=SeededChance(1))
    holder = account(AccountStatus(mint=RECORD))
    mints._tokens["treasury"] = RECORD.token
    mints.start(holder, AMOUNT)
    await woken.wait()
    found = mints.record(holder, None, MicroUSD(0), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "Sent"),
        (FundsError("too few coins"), "Refused"),
        (AuthError("no grant"), "Refused"),
        (UnavailableError("minting has halted"), "Refused"),
        (NotFoundError("a node without that module"), "Refused"),
        (UnknownOutcomeError("no answer to the broadcast"), "Unknown"),
    ],
)
async def test_only_what_may_have_been_sent_is_unknown(
    error: GarrisonError | None, outcome: str
) -> None:
    found = await minted(Mint(error=error))
    assert (found.outcome, found.message) == (outcome, str(error or ""))
    assert (found.token, found.at) == (RECORD.token, RECORD.at)


async def test_without_a_key_or_a_mint_nothing_was_sent() -> None:
    assert (await minted(Mint(), locked=True)).outcome == "Refused"
    assert (await minted(None)).outcome == "Refused"
