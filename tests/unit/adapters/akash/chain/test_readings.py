"""What a real chain answered, in the port's values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from garrison.adapters.akash.answers import LeaseEntry
from garrison.adapters.akash.chain.answers import DEPLOYMENT, LEASE, understood
from garrison.adapters.akash.chain.directory import AUDIT_PATH, PROVIDERS, ProviderDirectory
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.pace import BLOCKS, Pace
from garrison.adapters.akash.chain.purse import Funds, Purse
from garrison.adapters.akash.chain.readings import deployment_of, remaining
from garrison.adapters.akash.chain.terms import DISCOVERY, GasPrice, TermsReader, gas_price_of
from garrison.adapters.akash.chain.watch import DEPLOYMENTS, LEASES, Watch
from garrison.adapters.akash.pricing import BLOCKS_PER_HOUR, blocks_per_hour
from garrison.adapters.akash.reading import bids_of
from garrison.adapters.memory.clock import ManualClock
from garrison.api.money import MicroUSD
from garrison.errors import FundsError, RejectedError, UnavailableError
from garrison.ports.market import DeploymentState, LeaseState
from tests.conformance.akash.recordings import body
from tests.unit.adapters.akash.chain.node_double import NodeDouble, nodes_of

TENANT = "akash1jgpmkadcmwywrhmtqq4we4hnaq7yal8l88yg2u"
PROVIDER = "akash1fua7vttr8xvfuv6ll25636g35xcavmjxvrpt9q"
AUDITOR = "akash1xq9nr7wer7zl37k3vlh6f8y5p6g53qud2385lt"


def lease(name: str) -> LeaseEntry:
    return understood(LEASE, body(name), "a lease").lease


def test_a_leased_deployment_pays_by_the_block() -> None:
    entry = understood(DEPLOYMENT, body("q-deployment-leased"), "a deployment")
    found = deployment_of(entry, [lease("q-lease-active")], height=39, blocks=600)
    assert (found.id, found.marker, found.state) == ("1795355264885", "dc", DeploymentState.ACTIVE)
    assert found.escrow == 5_000_000 - 103  # ten blocks at 10.25, rounded against us
    (held,) = found.leases
    assert (held.provider, held.state) == (PROVIDER, LeaseState.ACTIVE)
    assert held.price_per_hour == 6150
    assert (held.reason, held.reclaim_deadline) == ("", None)


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("q-lease-closed", LeaseState.CLOSED, "lease_closed_owner"),
        ("q-lease-overdrawn", LeaseState.INSUFFICIENT_FUNDS, ""),
        ("q-lease-reclaiming", LeaseState.RECLAIMING, ""),
    ],
)
def test_a_lease_that_ended_or_will_says_so(name: str, state: LeaseState, reason: str) -> None:
    entry = understood(DEPLOYMENT, body("q-deployment-closed"), "a deployment")
    (found,) = deployment_of(entry, [lease(name)], height=100, blocks=600).leases
    assert (found.state, found.reason) == (state, reason)
    deadline = datetime.fromtimestamp(1795362530, UTC) if state == LeaseState.RECLAIMING else None
    assert found.reclaim_deadline == deadline


def test_an_overdrawn_escrow_holds_nothing() -> None:
    entry = understood(DEPLOYMENT, body("q-deployment-overdrawn"), "a deployment")
    assert remaining(entry, [lease("q-lease-overdrawn")], 1000) == 0


def test_an_escrow_that_nobody_settled_yet_is_seen_to_be_empty() -> None:
    """The chain shows all of it until something touches the account."""
    entry = understood(DEPLOYMENT, body("q-deployment-dear-unsettled"), "a deployment")
    unsettled = [lease("q-lease-dear-unsettled")]
    settled_at = entry.escrow_account.state.settled_at
    assert remaining(entry, unsettled, settled_at) > 0
    assert remaining(entry, unsettled, settled_at + 100) == 0


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[NodeDouble, Nodes]]:
    double = NodeDouble()
    async with nodes_of(double) as nodes:
        yield double, nodes


async def test_providers_have_their_gpus_and_their_audits() -> None:
    async with reading() as (double, nodes):
        double.answers[PROVIDERS] = (200, body("q-providers"))
        double.answers[f"{AUDIT_PATH}/{PROVIDER}/list"] = (200, body("q-audit-of-provider"))
        directory = ProviderDirectory(nodes)
        (found,) = await directory.all()
        assert await directory.all() == (found,)
        assert double.count(f"{AUDIT_PATH}/{PROVIDER}/list") == 1
    assert (found.id, found.host_uri) == (PROVIDER, "https://provider.localtest:8443")
    assert (found.region, found.online) == ("us-east", True)
    assert [(each.model, each.memory, each.interface) for each in found.gpus] == [
        ("rtx4090", "24Gi", "pcie"),
        ("l4", None, None),
        ("a100", "80Gi", "sxm"),
    ]
    signed = {each.key: each.audited_by for each in found.attributes}
    assert signed["host"] == (AUDITOR,)
    assert signed["capabilities/gpu/vendor/nvidia/model/l4"] == ()


async def test_a_provider_whose_audits_cannot_be_read_counts_as_not_audited() -> None:
    async with reading() as (double, nodes):
        double.answers[PROVIDERS] = (200, body("q-providers"))
        double.answers[f"{AUDIT_PATH}/{PROVIDER}/list"] = (500, {"message": "no"})
        (found,) = await ProviderDirectory(nodes).all()
    assert not any(each.audited_by for each in found.attributes)


async def test_the_terms_are_the_chains() -> None:
    async with reading() as (double, nodes):
        double.answers["/cosmos/base/node/v1beta1/config"] = (200, body("q-node-config"))
        double.answers["/akash/deployment/v1beta4/params"] = (200, body("q-params-deployment"))
        double.answers[f"/cosmos/auth/v1beta1/accounts/{TENANT}"] = (
            200,
            body("q-account-tenant-used"),
        )
        reader = TermsReader(nodes=nodes, address=TENANT)
        terms = await reader.terms()
        assert await reader.account_number() == 2
    assert terms.gas_price == GasPrice(denom="uakt", amount=Decimal("0.025"))
    assert terms.gas_price.fee(400_001) == 10_001
    assert terms.least_deposit == 500_000


async def test_an_account_that_the_chain_does_not_know_needs_money() -> None:
    async with reading() as (_, nodes):
        with pytest.raises(FundsError, match="send uakt to it"):
            await TermsReader(nodes=nodes, address=TENANT).account_number()


async def test_a_chain_of_another_age_is_refused() -> None:
    newer = body("q-discovery")
    for release in newer["info"]["supported_versions"]:
        for each in release["modules"]:
            each["version"] = "v2beta1" if each["module"] == "market" else each["version"]
    async with reading() as (double, nodes):
        double.answers["/cosmos/base/node/v1beta1/config"] = (200, body("q-node-config"))
        double.answers["/akash/deployment/v1beta4/params"] = (200, body("q-params-deployment"))
        double.answers[DISCOVERY] = (200, body("q-discovery"))
        await TermsReader(nodes=nodes, address=TENANT).terms()
        double.answers[DISCOVERY] = (200, newer)
        with pytest.raises(RejectedError, match="market v2beta1 instead of v1beta5"):
            await TermsReader(nodes=nodes, address=TENANT).terms()


async def test_a_chain_with_other_money_is_refused() -> None:
    async with reading() as (double, nodes):
        double.answers["/cosmos/base/node/v1beta1/config"] = (200, body("q-node-config"))
        double.answers["/akash/deployment/v1beta4/params"] = (
            200,
            {"params": {"min_deposits": [{"denom": "uakt", "amount": "5"}]}},
        )
        with pytest.raises(RejectedError, match="takes deposits in uakt"):
            await TermsReader(nodes=nodes, address=TENANT).terms()


@pytest.mark.parametrize("text", ["", "uakt", "0.025", "-1uakt", "2uakt", "0.025 uakt"])
def test_a_gas_price_that_is_none_or_a_robbery_is_refused(text: str) -> None:
    with pytest.raises(UnavailableError):
        gas_price_of(text)


def test_of_several_gas_prices_the_first_is_taken() -> None:
    assert gas_price_of("0.025uakt,0.1ibc/AB").denom == "uakt"


async def test_the_purse_holds_own_coins_and_what_a_granter_lends() -> None:
    granter = "akash1w3url6lkay0xn2a3vzq2afxhpljw7xxxamvgwt"
    balances = "/cosmos/bank/v1beta1/balances"
    allowance = f"/cosmos/feegrant/v1beta1/allowance/{granter}/{TENANT}"
    clock = ManualClock(datetime(2026, 11, 22, tzinfo=UTC))
    async with reading() as (double, nodes):
        coins = {"balance": {"denom": "uact", "amount": "7"}}
        double.answers[f"{balances}/{TENANT}/by_denom"] = (200, coins)
        double.answers[f"{balances}/{granter}/by_denom"] = (200, body("q-balance-tenant-uact"))
        double.answers["/cosmos/authz/v1beta1/grants"] = (200, body("q-authz-grants"))
        double.answers[allowance] = (200, body("q-feegrant"))
        alone = Purse(nodes=nodes, clock=clock, address=TENANT, granter="")
        lent = Purse(nodes=nodes, clock=clock, address=TENANT, granter=granter)
        assert await alone.funds("uakt") == Funds(available=MicroUSD(7), fees=7)
        found = await lent.funds("uakt")
        assert (found.available, found.fees) == (20_000_007, 5_000_000)
        assert found.until is not None
        clock.advance(timedelta(days=2))
        assert found.until < clock.now()
        after = Funds(available=MicroUSD(7), fees=5_000_000)
        assert await lent.funds("uakt") == after, "the grant has expired"
        missing = {"code": 13, "message": "fee-grant not found: not found", "details": []}
        double.answers[allowance] = (500, missing)
        assert (await lent.funds("uakt")).fees == 0
        assert (await lent.funds("uakt")).available == 7, "no node has failed"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, 600),
        ("6.4", 600),
        ("6", 600),
        ("5.95", 600),
        ("5.5", 720),
        ("1.001", 3600),
        ("0.99", 3600),
        ("0.97", 7200),
        ("0.001", 72_000),
    ],
)
def test_blocks_per_hour_follow_the_measured_pace_in_steps(
    seconds: str | None, expected: int
) -> None:
    assert blocks_per_hour(Decimal(seconds) if seconds else None) == expected


async def test_the_pace_is_measured_between_two_blocks() -> None:
    async with reading() as (double, nodes):
        then = datetime.now(UTC) - timedelta(seconds=100)
        double.answers[f"{BLOCKS}/900"] = (200, double.block(900, then))
        pace = Pace(nodes)
        seconds = await pace.seconds()
        assert seconds is not None
        assert abs(seconds - 1) < Decimal("0.1")
        assert await pace.blocks_per_hour() == 3600
        assert double.count(f"{BLOCKS}/900") == 1


async def test_a_pace_that_cannot_be_measured_is_the_assumed_one() -> None:
    async with reading() as (_, nodes):
        pace = Pace(nodes)
        assert await pace.seconds() is None
        assert await pace.blocks_per_hour() == BLOCKS_PER_HOUR


async def test_watching_asks_two_lists_for_any_number_of_deployments() -> None:
    async with reading() as (double, nodes):
        template = body("q-deployments-list")["deployments"][0]
        item = body("q-leases-active")["leases"][0]
        numbers = [str(each) for each in range(1, 301)]
        double.answers[f"{DEPLOYMENTS}/list"] = (
            200,
            {"deployments": [_renumbered(template, each) for each in numbers], "pagination": None},
        )
        double.answers[LEASES] = (
            200,
            {"leases": [_leased(item, each) for each in numbers], "pagination": None},
        )
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT, keep_seconds=60)
        for number in numbers:
            found = await watch.one(number)
            assert found is not None
            assert len(found.leases) == 1
        assert double.count(f"{DEPLOYMENTS}/list") == double.count(LEASES) == 1
        assert len(await watch.all()) == 300
        assert len(double.asked) <= 5


async def test_of_several_pages_only_the_owners_leases_count() -> None:
    """A node ignores the filters beside a page's key, and a number is unique to its owner only."""
    stranger = body("q-leases-active")["leases"][0]
    stranger["lease"]["id"]["owner"] = PROVIDER
    stranger["lease"]["price"]["amount"] = "1000000.000000000000000000"
    async with reading() as (double, nodes):
        double.answers[f"{DEPLOYMENTS}/list"] = (200, body("q-deployments-list"))
        first = {**body("q-leases-active"), "pagination": {"next_key": "AA=="}}
        second = {"leases": [stranger], "pagination": None}

        async def pages(request: web.Request) -> web.Response:
            return web.json_response(second if "pagination.key" in request.query else first)

        double.answers[LEASES] = pages
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT, keep_seconds=60)
        number = str(stranger["lease"]["id"]["dseq"])
        found = await watch.one(number)
        assert found is not None
        assert len(found.leases) == 1
        assert found.leases[0].price_per_hour < 1_000_000


async def test_a_bid_for_anothers_order_of_the_same_number_is_none() -> None:
    (bid,) = body("q-bids-open")["bids"][:1]
    assert bids_of([bid], owner=TENANT)
    assert not bids_of([bid], owner=PROVIDER)


async def test_a_lease_for_coins_of_old_hides_no_other() -> None:
    old = body("q-leases-active")["leases"][0]
    old["lease"]["price"]["denom"] = "ibc/170C6"
    number = str(old["lease"]["id"]["dseq"])
    async with reading() as (double, nodes):
        template = body("q-deployments-list")["deployments"][0]
        listed = [_renumbered(template, number), _renumbered(template, "7")]
        double.answers[f"{DEPLOYMENTS}/list"] = (200, {"deployments": listed, "pagination": None})
        new = _leased(body("q-leases-active")["leases"][0], "7")
        double.answers[LEASES] = (200, {"leases": [old, new], "pagination": None})
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT, keep_seconds=60)
        found = {each.id: len(each.leases) for each in await watch.all()}
        assert found == {number: 0, "7": 1}
        with pytest.raises(UnavailableError, match="only uact"):
            await watch.one(number)


async def test_the_lists_are_read_again_when_there_is_a_new_block() -> None:
    async with reading() as (double, nodes):
        double.answers[f"{DEPLOYMENTS}/list"] = (200, body("q-deployments-list"))
        double.answers[LEASES] = (200, body("q-leases-active"))
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT, keep_seconds=0)
        for _ in range(3):
            await watch.all()
        assert double.count(LEASES) == 1
        double.height += 1
        await watch.all()
        assert double.count(LEASES) == 2


async def test_what_was_read_before_a_change_is_not_kept() -> None:
    async with reading() as (double, nodes):
        double.answers[f"{DEPLOYMENTS}/list"] = (200, body("q-deployments-list"))
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT, keep_seconds=60)

        async def slow(_request: web.Request) -> web.Response:
            watch.forget()
            return web.json_response(body("q-leases-active"))

        double.answers[LEASES] = slow
        await watch.all()
        double.answers[LEASES] = (200, body("q-leases-active"))
        for _ in range(2):
            await watch.all()
        assert double.count(LEASES) == 2


async def test_a_deployment_that_is_not_in_the_list_is_asked_about() -> None:
    empty: dict[str, Any] = {"deployments": [], "leases": [], "pagination": None}
    async with reading() as (double, nodes):
        double.answers[f"{DEPLOYMENTS}/list"] = (200, empty)
        double.answers[LEASES] = (200, empty)
        double.answers[f"{DEPLOYMENTS}/info"] = (200, body("q-deployment-closed"))
        watch = Watch(nodes=nodes, pace=Pace(nodes), owner=TENANT)
        found = await watch.one("1795355264885")
        assert found is not None
        assert found.state == DeploymentState.CLOSED
        double.answers[f"{DEPLOYMENTS}/info"] = (404, body("q-deployment-unknown"))
        assert await watch.one("1") is None


def _renumbered(template: dict[str, Any], number: str) -> dict[str, Any]:
    deployment = template["deployment"]
    identity = {**deployment["id"], "dseq": number}
    return {**template, "deployment": {**deployment, "id": identity}}


def _leased(item: dict[str, Any], number: str) -> dict[str, Any]:
    held = item["lease"]
    return {"lease": {**held, "id": {**held["id"], "dseq": number}}}
