"""No coin is lost or made in the market, whatever tenants, providers and time do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from akash_sandbox.market.bank import ESCROW, UACT, UAKT, Bank
from akash_sandbox.market.blocks import Blocks
from akash_sandbox.market.book import Book
from akash_sandbox.market.decimals import UNIT
from akash_sandbox.market.escrow import EscrowState, Source
from akash_sandbox.market.events import Events
from akash_sandbox.market.grants import DEPOSIT_MESSAGE, Grant
from akash_sandbox.market.lease import CloseReason, LeaseKey
from akash_sandbox.market.provider_side import Coins, ProviderSide
from akash_sandbox.market.records import Record
from akash_sandbox.market.refusal import RefusalError
from akash_sandbox.market.tenant_side import TenantSide

TENANT, STRANGER, TREASURY = "akash1tenant", "akash1stranger", "akash1treasury"
PROVIDERS = ("akash1one", "akash1two")
RICH = 50_000_000
GRANTED = 20_000_000
DUST = 40 * UNIT
"""Parts of a coin that nobody can be paid: less than one for each operation."""
BOTH = (Source.GRANT, Source.BALANCE)
GROUP: dict[str, Any] = {
    "name": "dc",
    "requirements": {"signed_by": {"all_of": [], "any_of": []}, "attributes": []},
    "resources": [
        {
            "resource": {
                "id": 1,
                "cpu": {"units": {"val": "1000"}},
                "memory": {"quantity": {"val": "1"}},
                "storage": [{"name": "default", "quantity": {"val": "1"}}],
                "gpu": {"units": {"val": "0"}},
                "endpoints": [],
            },
            "count": 1,
            "price": {"denom": UACT, "amount": "1000000"},
        }
    ],
}
OFFER = {"resources": GROUP["resources"][0]["resource"], "count": 1}


@dataclass
class World:
    """A market with four accounts, and its clock."""

    book: Book
    tenant: TenantSide
    providing: ProviderSide
    now: float = 1000.0

    def key(self, provider: int, oseq: int) -> LeaseKey:
        return LeaseKey(owner=TENANT, dseq="7", gseq=1, oseq=oseq, provider=PROVIDERS[provider % 2])


def world() -> World:
    bank = Bank(Events())
    for address in (TENANT, STRANGER, TREASURY, *PROVIDERS):
        for denom in (UACT, UAKT):
            bank.mint(address, denom, RICH)
    blocks = Blocks(genesis=1000.0, seconds=1.0)
    book = Book(blocks=blocks, providers=[], bank=bank, events=bank.events)
    book.grants.put(
        Grant(
            granter=TREASURY,
            grantee=TENANT,
            message=DEPOSIT_MESSAGE,
            limits=((UACT, GRANTED),),
            scopes=("deployment",),
        )
    )
    for provider in PROVIDERS:
        book.records.put_provider(Record(owner=provider, host_uri="", attributes=()))
    return World(book, TenantSide(book), ProviderSide(book))


def leased(price: int) -> World:
    """Return a market in which the tenant has a lease."""
    w = world()
    create(w, price, 1)
    bid(w, price, 1)
    w.tenant.lease(w.now, w.key(price, 1))
    return w


def wait(w: World, amount: int, _oseq: int) -> None:
    w.now += amount % 50


def create(w: World, amount: int, _oseq: int) -> None:
    w.tenant.create(
        w.now,
        TENANT,
        groups=[copy.deepcopy(GROUP)],
        manifest_hash="00" * 32,
        deposit=500_000 + amount,
        sources=BOTH,
        dseq="7",
    )


def bid(w: World, amount: int, oseq: int) -> None:
    price = amount * UNIT // 3 + 1
    coins = Coins(amount=500_000)
    w.providing.bid(w.now, w.key(amount, oseq), price=price, deposit=coins, offer=[OFFER])


def deposit(w: World, amount: int, oseq: int) -> None:
    signer = (TENANT, STRANGER)[oseq % 2]
    denom = (UACT, UAKT)[amount % 2]
    w.tenant.deposit(w.now, TENANT, "7", amount + 1, denom=denom, sources=BOTH, signer=signer)


STEPS: tuple[Callable[[World, int, int], Any], ...] = (
    wait,
    create,
    bid,
    deposit,
    lambda w, a, o: w.tenant.lease(w.now, w.key(a, o)),
    lambda w, a, o: w.tenant.close_lease(w.now, w.key(a, o)),
    lambda w, a, o: w.providing.withdraw(w.now, w.key(a, o)),
    lambda w, a, o: w.providing.close_bid(w.now, w.key(a, o), CloseReason.UNSTABLE),
    lambda w, _a, _o: w.tenant.pause_group(w.now, TENANT, "7", 1),
    lambda w, _a, _o: w.tenant.start_group(w.now, TENANT, "7", 1),
    lambda w, _a, _o: w.tenant.close(w.now, TENANT, "7"),
)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(0, 200_000).map(lambda half: 2 * half),
    st.lists(
        st.tuples(
            st.sampled_from(range(len(STEPS))),
            st.integers(0, 400_000),
            st.sampled_from((1, 1, 1, 2, 3)),
        ),
        max_size=40,
    ),
)
def test_coins_only_move(price: int, steps: list[tuple[int, int, int]]) -> None:
    w = leased(price)
    before = {denom: w.book.bank.supply(denom) for denom in (UACT, UAKT)}
    for number, amount, oseq in steps:
        with suppress(RefusalError):
            STEPS[number](w, amount, oseq)
        assert {denom: w.book.bank.supply(denom) for denom in before} == before
        assert all(n >= 0 for coins in w.book.bank.balances.values() for n in coins.values())
        for denom, owed in _owed(w).items():
            assert 0 <= w.book.bank.balance(ESCROW, denom) * UNIT - owed <= DUST


def test_an_exhausted_escrow_pays_what_it_has_and_its_debt_later() -> None:
    w = leased(300_000)
    w.now += 10
    w.providing.withdraw(w.now, w.key(300_000, 1))
    (deployment,) = w.book.deployments.values()
    assert deployment.escrow.state is EscrowState.OVERDRAWN
    assert deployment.escrow.funds() < 0
    debt = -deployment.escrow.funds()
    assert w.book.bank.balance(PROVIDERS[0], UACT) == RICH + 800_000
    w.tenant.deposit(w.now, TENANT, "7", 5_000_000)
    (settled,) = w.book.deployments.values()
    assert settled.escrow.state is EscrowState.CLOSED
    assert w.book.bank.balance(PROVIDERS[0], UACT) == RICH + 800_000 + debt // UNIT
    assert w.book.bank.balance(ESCROW, UACT) * UNIT - _owed(w)[UACT] <= UNIT


def test_everything_comes_back_when_a_deployment_without_lease_is_closed() -> None:
    w = world()
    create(w, 30_000_000, 1)
    bid(w, 300, 1)
    grant = w.book.grants.find(TREASURY, TENANT, DEPOSIT_MESSAGE)
    assert grant is not None
    assert grant.limit(UACT) == 0
    w.tenant.close(w.now + 100, TENANT, "7")
    restored = w.book.grants.find(TREASURY, TENANT, DEPOSIT_MESSAGE)
    assert restored is not None
    assert restored.limit(UACT) == GRANTED
    for address in (TENANT, TREASURY, *PROVIDERS):
        assert w.book.bank.balance(address, UACT) == RICH


def _owed(w: World) -> dict[str, int]:
    """What the escrow account owes: funds left, rent not yet withdrawn, deposits of bids."""
    owed = {UACT: 0, UAKT: 0}
    for deployment in w.book.deployments.values():
        for part in deployment.escrow.deposits:
            owed[part.denom] += part.balance
        owed[UACT] += sum(lease.balance for lease in deployment.leases)
        for offered in deployment.bids:
            owed[offered.denom] += offered.deposit * UNIT
        if deployment.escrow.state is EscrowState.CLOSED:
            assert not deployment.escrow.deposits
    return owed
