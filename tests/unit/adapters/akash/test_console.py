"""The Console API as a market: what is ordered, signed, accepted, paid and closed."""

from __future__ import annotations

import pytest
import yaml

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
    UnknownOutcomeError,
)
from garrison.ports.market import (
    Bid,
    BidState,
    DeploymentState,
)
from tests.unit.adapters.akash.console_api import (
    NO_ROUTE,
    OWNER,
    ConsoleApi,
    market,
)
from tests.unit.adapters.orders import MARKER, order
from tests.unit.adapters.serving import Handler, answering


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
