"""Leases and the providers behind them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from garrison.adapters.akash.conversion import sdl_of_manifest
from garrison.adapters.akash.orders import compiled
from garrison.adapters.akash.sdl import compile_sdl
from garrison.errors import RejectedError, TransientError, UnavailableError
from garrison.ports.market import (
    BidState,
    DeploymentState,
    LeaseState,
    MarketLease,
    PullLogin,
    ServiceStatus,
)
from tests.contract.market.stall import (
    MemoryStall,
    Stall,
    eventually,
    found,
    leased,
    losing_the_answer,
    open_bids,
    order,
    target,
)


async def test_an_accepted_bid_is_the_lease(stall: Stall) -> None:
    deployment, bid = await leased(stall, order())
    (lease,) = deployment.leases
    assert (lease.provider, lease.gseq, lease.oseq) == (bid.provider, bid.gseq, bid.oseq)
    assert (lease.state, lease.price_per_hour) == (LeaseState.ACTIVE, bid.price_per_hour)
    assert (lease.reason, lease.reclaim_deadline) == ("", None)
    states = {each.provider: each.state for each in await stall.exchange.market.bids(deployment.id)}
    assert states.pop(bid.provider) is BidState.ACTIVE
    # Not that none is open: the chain ends only the first of the others (akash-network/support#441).
    assert BidState.LOST in states.values()
    assert BidState.ACTIVE not in states.values()


async def test_accepting_twice_makes_one_lease(stall: Stall) -> None:
    wanted = order()
    deployment, bid = await leased(stall, wanted)
    await stall.exchange.market.accept(bid, wanted)
    assert len((await found(stall, deployment.id)).leases) == 1


async def test_an_order_takes_one_lease(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    created = await market.create(wanted, market.propose_id())
    first, second, *_ = await open_bids(stall, created.id)
    await market.accept(first, wanted)
    with pytest.raises(RejectedError):
        await market.accept(second, wanted)
    assert [each.provider for each in (await found(stall, created.id)).leases] == [first.provider]


async def test_a_closed_deployment_takes_no_lease(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    created = await market.create(wanted, market.propose_id())
    bid, *_ = await open_bids(stall, created.id)
    await market.close(created.id)
    with pytest.raises(RejectedError):
        await market.accept(bid, wanted)


async def test_an_accept_without_an_answer_has_happened(stall: Stall) -> None:
    market = stall.exchange.market
    wanted = order()
    created = await market.create(wanted, market.propose_id())
    bid, *_ = await open_bids(stall, created.id)
    async with losing_the_answer(stall):
        await market.accept(bid, wanted)
    (lease,) = (await found(stall, created.id)).leases
    assert lease.provider == bid.provider


async def test_a_lease_that_the_provider_ends(stall: Stall) -> None:
    deployment, _ = await leased(stall, order())
    await stall.end_lease(deployment.id)
    seen = await found(stall, deployment.id)
    (lease,) = seen.leases
    assert (lease.state, lease.reason) == (LeaseState.CLOSED, "lease_closed_reason_unstable")
    assert seen.state is DeploymentState.ACTIVE, "only its owner closes the deployment"


async def test_a_reclaimed_lease_says_until_when(stall: Stall) -> None:
    deployment, _ = await leased(stall, order())
    await stall.reclaim(deployment.id)
    (lease,) = (await found(stall, deployment.id)).leases
    assert lease.state is LeaseState.RECLAIMING
    assert lease.reclaim_deadline is not None


async def test_providers_are_listed_with_their_gateways(stall: Stall) -> None:
    facts = await stall.exchange.market.providers()
    assert len({each.id for each in facts}) == len(facts) >= 3
    for each in facts:
        assert each.host_uri.startswith("https://")
        assert each.online
        assert each.region
    assert any(gpu.model == "h100" for each in facts for gpu in each.gpus)


@pytest.mark.parametrize("port", [8000, 80])
async def test_the_container_runs_behind_a_forwarded_port(stall: Stall, port: int) -> None:
    """80 too, which would be the provider's own HTTP proxy if it were exposed under that number."""
    wanted = order(ports=(port,))
    _, bid = await leased(stall, wanted)
    where = await target(stall, bid)
    gateway = stall.exchange.gateway
    await gateway.send_manifest(where, wanted)
    await gateway.send_manifest(where, wanted)

    async def running() -> ServiceStatus | None:
        status = await gateway.status(where)
        return status if status is not None and status.available else None

    status = await eventually(stall, running)
    (found,) = status.ports
    assert found.port == port
    assert found.host
    assert found.external_port


async def test_what_runs_can_be_told_from_the_market_and_proved_by_its_hash(stall: Stall) -> None:
    """So a deployment whose SDL nobody has any more can be adopted."""
    login = PullLogin(host="registry.example", username="robot", password="pull-only-7f3")
    wanted = replace(order(), login=login)
    deployment, bid = await leased(stall, wanted)
    where = await target(stall, bid)
    await stall.exchange.gateway.send_manifest(where, wanted)
    told = await stall.exchange.gateway.manifest(where)
    if isinstance(stall, MemoryStall):
        assert (deployment.version, told) == ("", None)
        return
    assert deployment.version == compiled(wanted).version
    assert told is not None
    found_again = sdl_of_manifest(told, 1)
    assert found_again is not None
    assert compile_sdl(found_again).version == deployment.version


async def test_a_token_for_one_provider_is_refused_at_another(stall: Stall) -> None:
    """Whatever it is shown for, and though the same account has a lease there too."""
    market, gateway = stall.exchange.market, stall.exchange.gateway
    wanted, other = order(), order()
    _, bid = await leased(stall, wanted)
    created = await market.create(other, market.propose_id())
    bids = await open_bids(stall, created.id)
    elsewhere_bid = next(each for each in bids if each.provider != bid.provider)
    await market.accept(elsewhere_bid, other)
    here, elsewhere = await target(stall, bid), await target(stall, elsewhere_bid)
    if not stall.checks_tokens:
        pytest.skip("providers in memory take no tokens")
    for deployment in (here.deployment, elsewhere.deployment):
        shown = replace(here, host_uri=elsewhere.host_uri, deployment=deployment)
        with pytest.raises(UnavailableError, match="401"):
            await gateway.status(shown)
        with pytest.raises(UnavailableError, match="401"):
            await gateway.send_manifest(shown, other)
    await gateway.send_manifest(here, wanted)
    await gateway.send_manifest(elsewhere, other)


async def test_a_dead_provider_answers_nothing_and_is_still_paid(stall: Stall) -> None:
    wanted = order()
    deployment, bid = await leased(stall, wanted)
    where = await target(stall, bid)
    await stall.kill(bid.provider)
    with pytest.raises(UnavailableError):
        await stall.exchange.gateway.status(where)
    with pytest.raises(TransientError):
        await stall.exchange.gateway.send_manifest(where, wanted)
    (lease,) = (await found(stall, deployment.id)).leases
    assert lease.state is LeaseState.ACTIVE

    if not stall.knows_who_is_online:
        return

    async def offline() -> MarketLease | None:
        facts = {each.id: each for each in await stall.exchange.market.providers()}
        return None if facts[bid.provider].online else lease

    await eventually(stall, offline)
