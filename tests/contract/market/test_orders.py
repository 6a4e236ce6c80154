"""Deployments, from the order to the close."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest

from garrison.api.money import MicroUSD
from garrison.errors import FundsError, RejectedError, UnknownOutcomeError
from garrison.ports.market import DeploymentState, LeaseState
from tests.contract.market.stall import (
    DOLLAR,
    Stall,
    found,
    leased,
    losing_the_answer,
    open_bids,
    order,
)


async def test_an_order_is_an_open_deployment_with_its_marker(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    created = await market.create(wanted, market.propose_id())
    assert (created.marker, created.state) == (wanted.marker, DeploymentState.ACTIVE)
    seen = await found(stall, created.id)
    assert (seen.marker, seen.state, seen.leases) == (wanted.marker, DeploymentState.ACTIVE, ())
    assert seen.escrow == wanted.deposit
    assert {each.id: each.marker for each in await market.open_deployments()} == {
        created.id: wanted.marker
    }


@pytest.mark.parametrize("number", ["999999999", "0"])
async def test_nobody_knows_it(stall: Stall, number: str) -> None:
    market = stall.exchange.market
    assert await market.deployment(number) is None
    assert list(await market.bids(number)) == []
    await market.close(number)


async def test_closing_ends_deployment_and_lease(stall: Stall) -> None:
    market = stall.exchange.market
    deployment, _ = await leased(stall, order())
    await market.close(deployment.id)
    await market.close(deployment.id)
    seen = await found(stall, deployment.id)
    assert seen.state is DeploymentState.CLOSED
    assert [each.state for each in seen.leases] == [LeaseState.CLOSED]
    assert list(await market.open_deployments()) == []


async def test_a_closed_deployment_says_what_was_spent(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    deployment, _ = await leased(stall, wanted)
    await market.close(deployment.id)
    spent = (await found(stall, deployment.id)).spent
    assert spent is not None
    assert 0 <= spent < wanted.deposit


async def test_what_a_restarted_client_sees(stall: Stall) -> None:
    market = stall.exchange.market
    orders = [order() for _ in range(3)]
    created = [await market.create(each, market.propose_id()) for each in orders]
    await market.close(created[1].id)
    seen = {each.id: each.marker for each in await market.open_deployments()}
    assert seen == {created[0].id: orders[0].marker, created[2].id: orders[2].marker}


async def test_a_create_without_an_answer_is_found_by_its_marker(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    async with losing_the_answer(stall):
        await market.create(wanted, market.propose_id())
    (seen,) = [e for e in await market.open_deployments() if e.marker == wanted.marker]
    assert (await found(stall, seen.id)).state is DeploymentState.ACTIVE


async def test_a_close_without_an_answer_has_happened(stall: Stall) -> None:
    market = stall.exchange.market
    created = await market.create(order(), market.propose_id())
    await stall.lose_next_answer()
    with suppress(UnknownOutcomeError):  # an HTTP client may repeat a DELETE by itself
        await market.close(created.id)
    assert (await found(stall, created.id)).state is DeploymentState.CLOSED


async def test_the_deposit_moves_from_the_balance_and_back(stall: Stall) -> None:
    market = stall.exchange.market
    before = await market.balance()
    created = await market.create(order(deposit=MicroUSD(10 * DOLLAR)), market.propose_id())
    during = await market.balance()
    await market.close(created.id)
    after = await market.balance()
    assert before.available - during.available == 10 * DOLLAR
    assert during.escrowed == 10 * DOLLAR
    assert after.available == before.available


async def test_nobody_can_deposit_what_is_not_there(stall: Stall) -> None:
    market = stall.exchange.market
    balance = (await market.balance()).available
    with pytest.raises(FundsError):
        await market.create(order(deposit=MicroUSD(balance + DOLLAR)), market.propose_id())
    assert list(await market.open_deployments()) == []


async def test_escrow_is_topped_up(stall: Stall) -> None:
    market = stall.exchange.market
    created = await market.create(order(), market.propose_id())
    await market.deposit(created.id, MicroUSD(2 * DOLLAR))
    assert (await found(stall, created.id)).escrow == 12 * DOLLAR


async def test_closed_and_unknown_ones_are_not_topped_up(stall: Stall) -> None:
    market = stall.exchange.market
    created = await market.create(order(), market.propose_id())
    await market.close(created.id)
    for number in (created.id, "999999999"):
        with pytest.raises(RejectedError):
            await market.deposit(number, MicroUSD(DOLLAR))


async def test_bids_stay_below_the_ceiling(stall: Stall) -> None:
    market = stall.exchange.market
    ceiling = MicroUSD(2_050_000)
    created = await market.create(order(max_price_per_hour=ceiling), market.propose_id())
    bids = await open_bids(stall, created.id)
    assert len({each.provider for each in bids}) == len(bids)
    for each in bids:
        assert each.deployment == created.id
        assert each.gpu_model == "h100"
        assert Decimal("0.5") * DOLLAR < each.price_per_hour <= ceiling
