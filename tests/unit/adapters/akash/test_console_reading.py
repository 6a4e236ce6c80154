"""The Console API as a market: what is read from it, and what is not believed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from aiohttp import web

from garrison.api.money import MicroUSD
from garrison.errors import (
    UnavailableError,
)
from garrison.ports.market import (
    Balance,
    BidState,
    LeaseState,
    ProviderGpu,
)
from tests.unit.adapters.akash.console_api import (
    NO_ROUTE,
    OWNER,
    PROVIDER,
    ConsoleApi,
    bid_body,
    lease_body,
    market,
)
from tests.unit.adapters.orders import MARKER, order
from tests.unit.adapters.serving import answering


async def test_a_deployment_with_its_lease() -> None:
    api = ConsoleApi()
    ended = lease_body("7", "akash1b", state="closed", reason="lease_closed_reason_unstable")
    api.add("7", MARKER, lease_body("7", "akash1frost"), ended)
    async with market(api) as console:
        found = await console.deployment("7")
    assert found is not None
    assert (found.id, found.marker, found.escrow) == ("7", MARKER, 4_500_000)
    open_lease, closed_lease = found.leases
    assert (open_lease.state, open_lease.price_per_hour) == (LeaseState.ACTIVE, 750_300)
    assert (open_lease.gseq, open_lease.oseq, open_lease.reason) == (1, 1, "")
    assert closed_lease.reason == "lease_closed_reason_unstable"


async def test_a_reclaimed_lease_says_until_when() -> None:
    api = ConsoleApi()
    notice = {"window": "3600s", "deadline": "2026-11-23T12:00:00Z", "reason": "x"}
    api.add("7", MARKER, lease_body("7", "p", state="reclaiming", reclamation=notice))
    async with market(api) as console:
        found = await console.deployment("7")
    assert found is not None
    assert found.leases[0].state is LeaseState.RECLAIMING
    assert found.leases[0].reclaim_deadline is not None


@pytest.mark.parametrize("number", ["9", "x", "../providers", ""])
async def test_an_unknown_deployment_is_none(number: str) -> None:
    async with market(ConsoleApi()) as console:
        assert await console.deployment(number) is None


async def test_a_marker_is_asked_for_once() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    async with market(api) as console:
        for _ in range(3):
            await console.deployment("7")
    assert len(api.asked("GET", "/akash/deployment/v1beta4/deployments/info")) == 1


async def test_a_deployment_that_the_database_lacks_has_no_marker_yet() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    del api.markers["7"]
    async with market(api) as console:
        for _ in range(5):
            found = await console.deployment("7")
            assert found is not None
            assert found.marker == ""
        api.markers["7"] = MARKER
        await console.open_deployments()
        found = await console.deployment("7")
    assert found is not None
    assert found.marker == MARKER
    assert len(api.asked("GET", "/akash/deployment/v1beta4/deployments/info")) == 3


@pytest.mark.parametrize("state", ["paused", "", "ACTIVE"])
async def test_unknown_states_are_not_guessed(state: str) -> None:
    api = ConsoleApi()
    api.add("7", MARKER, state=state)
    async with market(api) as console:
        with pytest.raises(UnavailableError, match="unknown state"):
            await console.deployment("7")


async def test_the_listing_has_all_pages_and_only_open_deployments() -> None:
    api = ConsoleApi(page=2)
    for number in range(5):
        api.add(str(number), f"marker-{number}")
    api.add("9", "over", state="closed")
    async with market(api) as console:
        found = await console.open_deployments()
    assert {each.id: each.marker for each in found} == {str(n): f"marker-{n}" for n in range(5)}


async def test_a_lease_for_coins_of_old_hides_no_other() -> None:
    api = ConsoleApi()
    old = {"denom": "ibc/170C6", "amount": "5"}
    api.add("6", "theirs", lease_body("6", "akash1a", price=old))
    api.add("7", MARKER, lease_body("7", "akash1b"))
    async with market(api) as console:
        found = {each.id: len(each.leases) for each in await console.open_deployments()}
        assert found == {"6": 0, "7": 1}
        with pytest.raises(UnavailableError, match="only uact"):
            await console.deployment("6")


async def test_an_empty_account() -> None:
    async with market(ConsoleApi()) as console:
        assert await console.open_deployments() == ()


async def test_a_listing_with_an_unknown_marker_is_not_passed_off_as_complete() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    del api.markers["7"]
    async with market(api) as console:
        with pytest.raises(UnavailableError, match="does not have deployment 7 yet"):
            await console.open_deployments()
        api.markers["7"] = MARKER
        (found,) = await console.open_deployments()
    assert found.marker == MARKER


async def test_a_created_deployment_needs_no_database() -> None:
    api = ConsoleApi()
    async with market(api) as console:
        await console.create(order(), None)
        api.markers.clear()
        (found,) = await console.open_deployments()
    assert found.marker == MARKER


async def test_a_listing_that_changes_between_pages_is_read_again() -> None:
    api = ConsoleApi(page=2)
    for number in range(4):
        api.add(str(number), f"marker-{number}")
    changed = False

    async def changing(request: web.Request) -> web.StreamResponse:
        nonlocal changed
        if request.query["skip"] == "2" and not changed:
            changed = True
            del api.entries["0"]
        return await api._list(request)

    api.override["GET /v1/deployments"] = changing
    async with market(api) as console:
        found = await console.open_deployments()
    assert {each.id for each in found} == {"1", "2", "3"}


async def test_a_listing_without_end_is_given_up() -> None:
    api = ConsoleApi(page=2)
    for number in range(4):
        api.add(str(number), f"marker-{number}")
    count = 0

    async def restless(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        api.add(str(100 + count), "new")
        return await api._list(request)

    api.override["GET /v1/deployments"] = restless
    async with market(api) as console:
        with pytest.raises(UnavailableError, match="faster"):
            await console.open_deployments()


async def test_bids_of_the_newest_order() -> None:
    api = ConsoleApi()
    older = bid_body("7", "akash1old")
    newer = copy.deepcopy(bid_body("7", "akash1new"))
    newer["bid"]["id"]["oseq"] = 2
    api.bids["7"] = [older, newer]
    async with market(api) as console:
        (found,) = await console.bids("7")
        assert await console.bids("8") == ()
    assert (found.provider, found.oseq, found.gpu_model) == ("akash1new", 2, "h100")
    assert (found.price_per_hour, found.state) == (750_300, BidState.OPEN)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {"bid": {}},
        bid_body("7", "p", price={"denom": "uakt", "amount": "1"}),
        bid_body("7", "p", price={"denom": "uact", "amount": "-1"}),
        bid_body("7", "p", price={"denom": "uact", "amount": "many"}),
        bid_body("8", "p"),
    ],
)
async def test_a_bid_that_makes_no_sense_hides_no_other(odd: Any) -> None:
    api = ConsoleApi(bids={"7": [odd, bid_body("7", "akash1good")]})
    async with market(api) as console:
        assert [each.provider for each in await console.bids("7")] == ["akash1good"]


async def test_a_bid_in_an_unknown_state_cannot_win() -> None:
    api = ConsoleApi(bids={"7": [bid_body("7", "p", state="frozen")]})
    async with market(api) as console:
        (found,) = await console.bids("7")
    assert found.state is BidState.CLOSED


async def test_balance_knows_the_address_once_there_is_a_deployment() -> None:
    api = ConsoleApi(override={"GET /v1/user/me": NO_ROUTE})
    api.add("7", MARKER)
    async with market(api) as console:
        before = await console.balance()
        await console.open_deployments()
        after = await console.balance()
    assert before == Balance(
        available=MicroUSD(12_345_678), escrowed=MicroUSD(4_500_000), address=""
    )
    assert after.address == OWNER


async def test_providers_are_read_one_by_one() -> None:
    bare = {"owner": "akash1bare", "hostUri": "https://bare.example"}
    lying = {**PROVIDER, "owner": "akash1liar", "uptime1d": 17}
    api = ConsoleApi(providers=[PROVIDER, {"owner": 5}, None, bare, lying, PROVIDER])
    async with market(api) as console:
        frost, poor, liar = await console.providers()
    assert (frost.id, frost.region, frost.online) == ("akash1frost", "eu-west", True)
    assert (frost.uptime_1d, frost.uptime_7d, frost.uptime_30d) == (1000, 999, None)
    assert frost.gpus == (ProviderGpu(vendor="nvidia", model="h100", memory="80Gi"),)
    assert frost.attributes[0].audited_by == ("akash1a",)
    assert (poor.online, poor.region, poor.gpus) == (False, "", ())
    assert liar.uptime_1d is None


@pytest.mark.parametrize("body", ["{}", "5", "null"])
async def test_a_listing_of_another_shape_is_unavailable(body: str) -> None:
    api = ConsoleApi(override={"GET /v1/providers": answering(200, body)})
    async with market(api) as console:
        with pytest.raises(UnavailableError, match="not understood"):
            await console.providers()
