"""The market through a Console API in memory."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from aiohttp import web

from akash_proto.schema.akash_base_deposit_v1_pb2 import balance, grant
from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCreateDeployment
from akash_proto.schema.akash_escrow_v1_pb2 import MsgAccountDeposit
from garrison.adapters.akash.orders import compiled, manifest_text
from garrison.api.money import MicroUSD
from garrison.errors import (
    AlreadyExistsError,
    ConflictError,
    FundsError,
    GarrisonError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from garrison.ports.market import (
    Balance,
    Bid,
    BidState,
    DeploymentState,
    LeaseState,
    ProviderGpu,
)
from tests.unit.adapters.akash.console_api import (
    OWNER,
    ConsoleApi,
    bid_body,
    lease_body,
    market,
)
from tests.unit.adapters.orders import MARKER, order
from tests.unit.adapters.serving import Handler, answering

PROVIDER = {
    "owner": "akash1frost",
    "hostUri": "https://frost.example:8443",
    "isOnline": True,
    "uptime1d": 1,
    "uptime7d": 0.99919,
    "uptime30d": None,
    "locationRegion": "elsewhere",
    "gpuModels": [{"vendor": "nvidia", "model": "h100", "ram": "80Gi", "interface": ""}],
    "attributes": [{"key": "location-region", "value": "eu-west", "auditedBy": ["akash1a"]}],
}


def bid(dseq: str) -> Bid:
    return Bid(
        deployment=dseq,
        gseq=1,
        oseq=1,
        provider="akash1frost",
        price_per_hour=order().max_price_per_hour,
        state=BidState.OPEN,
    )


async def test_create_posts_the_sdl_and_the_deposit_in_dollars() -> None:
    api = ConsoleApi()
    async with market(api) as console:
        created = await console.create(order(), None)
    (body,) = api.asked("POST", "/v1/deployments")
    assert body["data"]["deposit"] == 0.5
    assert MARKER in yaml.safe_load(body["data"]["sdl"])["profiles"]["placement"]
    assert (created.id, created.marker, created.escrow) == ("1000", MARKER, 500_000)
    assert created.state is DeploymentState.ACTIVE


async def test_a_chosen_number_is_signed_for() -> None:
    api = ConsoleApi()
    async with market(api) as console:
        number = console.propose_id()
        assert number is not None
        created = await console.create(order(), number)
        assert (created.id, created.marker, created.escrow) == (number, MARKER, 500_000)
        await console.accept(bid(number), order())
    (message,) = api.signed
    assert isinstance(message, MsgCreateDeployment)
    assert (message.id.owner, str(message.id.dseq)) == (OWNER, number)
    assert message.hash.hex() == compiled(order()).version
    assert (message.deposit.amount.denom, message.deposit.amount.amount) == ("uact", "500000")
    assert list(message.deposit.sources) == [grant, balance]
    (lease,) = api.asked("POST", "/v1/leases")
    assert lease["manifest"] == manifest_text(order())
    assert api.asked("POST", "/v1/deployments") == []


async def test_no_number_is_proposed_twice() -> None:
    async with market(ConsoleApi()) as console:
        numbers = [console.propose_id() for _ in range(50)]
    assert len(set(numbers)) == 50


async def test_a_number_that_is_taken_is_told() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    async with market(api) as console:
        with pytest.raises(AlreadyExistsError, match="order 7"):
            await console.create(order(), "7")
    assert api.asked("POST", "/v1/deployments") == []


@pytest.mark.parametrize("number", ["", "0", "-7", "x", "7.5", "99999999999999999999"])
async def test_a_number_that_is_none_is_refused(number: str) -> None:
    async with market(ConsoleApi()) as console:
        with pytest.raises(RejectedError, match="number"):
            await console.create(order(), number)


NO_ROUTE = answering(404, '{"message": "Not Found"}')
UNSIGNED: list[tuple[str, Handler]] = [
    ("GET /v1/user/me", NO_ROUTE),
    ("GET /v1/user/me", answering(403)),
    ("GET /v1/wallets", NO_ROUTE),
    ("GET /v1/wallets", answering(200, '{"data": []}')),
    ("POST /v1/tx", NO_ROUTE),
    ("POST /v1/tx", answering(403, '{"message": "Forbidden"}')),
    ("POST /v1/tx", answering(405)),
    ("POST /v1/tx", answering(410)),
    ("POST /v1/tx", answering(400, '{"message": "Validation error", "data": []}')),
    ("POST /v1/tx", answering(400, '{"message": "Failed to decode message at index 0"}')),
]


@pytest.mark.parametrize(("call", "refusing"), UNSIGNED)
async def test_where_nothing_is_signed_the_marker_names_the_deployment(
    call: str, refusing: Handler
) -> None:
    api = ConsoleApi(override={call: refusing})
    async with market(api) as console:
        number = console.propose_id()
        created = await console.create(order(), number)
        assert (created.id, created.marker) == ("1000", MARKER)
        assert console.propose_id() is None
        (seen,) = await console.open_deployments()
        await console.deposit(created.id, MicroUSD(500_000))
    assert (seen.id, seen.marker) == ("1000", MARKER)
    assert api.signed == []
    assert len(api.asked("POST", "/v1/deposit-deployment")) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answering(400, '{"message": "Deposit too low"}'), RejectedError),
        (answering(402, '{"message": "Not enough balance"}'), FundsError),
        (answering(409, '{"message": "not activated"}'), ConflictError),
        (answering(429, "{}"), RateLimitedError),
        (answering(500, "{}"), UnknownOutcomeError),
        (answering(503, "{}"), UnknownOutcomeError),
        (answering(200, "{}"), UnknownOutcomeError),
        (answering(200, '{"data": {"rawLog": ""}}'), UnknownOutcomeError),
        (
            answering(200, '{"data": {"code": 3, "rawLog": "Deployment exists"}}'),
            AlreadyExistsError,
        ),
        (answering(200, '{"data": {"code": 1, "rawLog": "insufficient balance"}}'), FundsError),
    ],
)
async def test_a_message_that_was_not_signed_for_is_never_ordered_another_way(
    answer: Handler, expected: type[GarrisonError]
) -> None:
    api = ConsoleApi(override={"POST /v1/tx": answer})
    async with market(api) as console:
        with pytest.raises(GarrisonError) as caught:
            await console.create(order(), "7")
    assert type(caught.value) is expected
    assert api.asked("POST", "/v1/deployments") == []


async def test_an_account_without_deployments_knows_its_address() -> None:
    async with market(ConsoleApi()) as console:
        assert (await console.balance()).address == OWNER


@pytest.mark.parametrize("body", ["{}", '{"data": {"dseq": "../x"}}', '{"data": null}'])
async def test_an_unreadable_create_is_an_unknown_outcome(body: str) -> None:
    api = ConsoleApi(override={"POST /v1/deployments": answering(201, body)})
    async with market(api) as console:
        with pytest.raises(UnknownOutcomeError):
            await console.create(order(), None)


@pytest.mark.parametrize(
    ("log", "expected"), [("insufficient balance", FundsError), ("no", RejectedError)]
)
async def test_a_create_that_the_chain_refused(log: str, expected: type[RejectedError]) -> None:
    answer = f'{{"data": {{"dseq": "5", "signTx": {{"code": 1, "rawLog": "{log}"}}}}}}'
    api = ConsoleApi(override={"POST /v1/deployments": answering(201, answer)})
    async with market(api) as console:
        with pytest.raises(RejectedError) as caught:
            await console.create(order(), None)
    assert type(caught.value) is expected


async def test_accept_sends_consoles_manifest_back_and_makes_it_again_after_a_restart() -> None:
    api = ConsoleApi()
    async with market(api) as console:
        created = await console.create(order(), None)
        await console.accept(bid(created.id), order())
    async with market(api) as restarted:
        await restarted.accept(bid(created.id), order())
    first, second = api.asked("POST", "/v1/leases")
    assert first["manifest"] == "[from console]"
    assert second["manifest"] == manifest_text(order())
    lease = {"dseq": created.id, "gseq": 1, "oseq": 1, "provider": "akash1frost"}
    assert first["leases"] == second["leases"] == [lease]


async def test_accept_of_something_gone_is_refused() -> None:
    api = ConsoleApi(override={"POST /v1/leases": answering(404)})
    async with market(api) as console:
        with pytest.raises(RejectedError, match="gone"):
            await console.accept(bid("5"), order())


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


async def test_closing_twice_and_closing_nothing() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    async with market(api) as console:
        await console.close("7")
        await console.close("7")
        await console.close("8")
        await console.close("../providers")
        found = await console.deployment("7")
    assert found is not None
    assert found.state is DeploymentState.CLOSED
    assert ("DELETE", "/v1/providers", None) not in api.seen


async def test_a_deposit_is_signed_for() -> None:
    api = ConsoleApi()
    api.add("7", MARKER)
    api.add("9", MARKER, state="closed")
    async with market(api) as console:
        await console.deposit("7", order().max_price_per_hour)
        for number in ("8", "9", "x"):
            with pytest.raises(RejectedError, match="not open"):
                await console.deposit(number, order().max_price_per_hour)
    (message,) = api.signed
    assert isinstance(message, MsgAccountDeposit)
    assert (message.id.xid, message.deposit.amount.amount) == (f"{OWNER}/7", "2000000")


async def test_a_deposit_where_nothing_is_signed() -> None:
    api = ConsoleApi(override={"GET /v1/user/me": NO_ROUTE})
    api.add("7", MARKER)
    async with market(api) as console:
        await console.deposit("7", order().max_price_per_hour)
        with pytest.raises(RejectedError, match="not open"):
            await console.deposit("8", order().max_price_per_hour)
    assert api.asked("POST", "/v1/deposit-deployment")[0] == {"data": {"dseq": "7", "deposit": 2.0}}


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
