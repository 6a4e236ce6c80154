"""Recorded answers with something spoilt: never a crash, an error of the tree or a value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.adapters.akash.chain.answers import TX, understood
from garrison.adapters.akash.chain.certificates import CERTIFICATES, ChainCertificates
from garrison.adapters.akash.chain.codes import refusal, simulated_refusal
from garrison.adapters.akash.chain.directory import AUDIT_PATH, PROVIDERS, ProviderDirectory
from garrison.adapters.akash.chain.market import BIDS, ChainMarket
from garrison.adapters.akash.chain.node import Answer, Node, Params
from garrison.adapters.akash.chain.nodes import LATEST, Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.pace import BLOCKS, Pace
from garrison.adapters.akash.chain.purse import BALANCES, GRANTS_PATH, Purse
from garrison.adapters.akash.chain.terms import DISCOVERY, TermsReader
from garrison.adapters.akash.chain.watch import DEPLOYMENTS, LEASES, Watch
from garrison.adapters.memory.clock import ManualClock
from garrison.errors import GarrisonError, NotFoundError
from tests.conformance.akash.recordings import body

TENANT = "akash1jgpmkadcmwywrhmtqq4we4hnaq7yal8l88yg2u"
PROVIDER = "akash1fua7vttr8xvfuv6ll25636g35xcavmjxvrpt9q"
GRANTER = "akash1w3url6lkay0xn2a3vzq2afxhpljw7xxxamvgwt"
NUMBER = "1795355264885"
NOW = datetime(2026, 11, 22, 13, 47, 44, tzinfo=UTC)
SOUND: Mapping[str, Any] = {
    LATEST: body("q-block-latest"),
    f"{BLOCKS}/2": body("q-block-latest"),
    f"{DEPLOYMENTS}/list": body("q-deployments-list"),
    f"{DEPLOYMENTS}/info": body("q-deployment-leased"),
    LEASES: body("q-leases-active"),
    BIDS: body("q-bids-open"),
    PROVIDERS: body("q-providers"),
    f"{AUDIT_PATH}/{PROVIDER}/list": body("q-audit-of-provider"),
    f"{BALANCES}/{TENANT}/by_denom": body("q-balance-tenant-uact"),
    f"{BALANCES}/{GRANTER}/by_denom": body("q-balance-tenant-uact"),
    GRANTS_PATH: body("q-authz-grants"),
    DISCOVERY: body("q-discovery"),
    "/cosmos/base/node/v1beta1/config": body("q-node-config"),
    "/akash/deployment/v1beta4/params": body("q-params-deployment"),
    f"/cosmos/auth/v1beta1/accounts/{TENANT}": body("q-account-tenant-used"),
    CERTIFICATES: {"certificates": [{"certificate": {"state": "valid", "cert": "LS0="}}]},
}
texts = st.sampled_from(
    ["", "NaN", "-Infinity", "1e400", "-1", "9" * 80, "active", "uakt", "\x00", "ő", "1E+40"]
)
values = st.one_of(
    st.none(), st.booleans(), st.integers(), texts, st.just([]), st.just({}), st.just([None])
)


class StubNode:
    """A node that answers out of a dictionary."""

    url = "https://node.example"

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    async def get(self, path: str, _params: Params | None = None) -> Answer:
        if path not in self._answers:
            raise NotFoundError(path)
        found = self._answers[path]
        return Answer(status=200, body=found if isinstance(found, dict) else {"all": found})


class World:
    """Everything that reads answers, over one stub."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        clock = ManualClock(NOW)
        node = cast("Node", StubNode(answers))
        self.nodes = Nodes(nodes=[node], chain_id="local", clock=clock)
        self.pace = Pace(self.nodes)
        self.terms = TermsReader(nodes=self.nodes, address=TENANT)
        self.certificates = ChainCertificates(nodes=self.nodes, clock=clock)
        self.market = ChainMarket(
            nodes=self.nodes,
            pace=self.pace,
            watch=Watch(nodes=self.nodes, pace=self.pace, owner=TENANT),
            outbox=cast("Outbox", None),
            terms=self.terms,
            purse=Purse(nodes=self.nodes, clock=clock, address=TENANT, granter=GRANTER),
            directory=ProviderDirectory(self.nodes),
            clock=clock,
            address=TENANT,
            granter=GRANTER,
        )

    def reads(self) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Every read."""
        return {
            "head": self.nodes.head,
            "pace": self.pace.blocks_per_hour,
            "terms": self.terms.terms,
            "account": self.terms.account_number,
            "one": lambda: self.market.deployment(NUMBER),
            "absent": lambda: self.market.deployment("77"),
            "all": self.market.open_deployments,
            "bids": lambda: self.market.bids(NUMBER),
            "balance": self.market.balance,
            "providers": self.market.providers,
            "certificates": lambda: self.certificates.of(PROVIDER),
        }


async def test_sound_answers_are_read() -> None:
    for name, read in World(SOUND).reads().items():
        assert await read() is not None, name


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    match value:
        case dict():
            items = list(value.items())
        case list():
            items = list(enumerate(value))
        case _:
            items = []
    for key, each in items:
        found += _places(each, (*path, key))
    return found


PLACES = [(path, place) for path, found in SOUND.items() for place in _places(found)]


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_spoilt_answers_are_errors_of_the_tree(
    spoilt: list[tuple[tuple[str, tuple[Any, ...]], Any]],
) -> None:
    answers = deepcopy(dict(SOUND))
    for (path, place), value in spoilt:
        with suppress(KeyError, IndexError, TypeError):  # an earlier one took the place away
            target = answers[path]
            for step in place[:-1]:
                target = target[step]
            target[place[-1]] = value
    asyncio.run(_read_everything(answers))


async def _read_everything(answers: Mapping[str, Any]) -> None:
    for read in World(answers).reads().values():
        with suppress(GarrisonError):
            await read()


@given(st.text(max_size=300), st.text(max_size=40), st.integers())
def test_any_text_of_a_refusal_becomes_an_error(text: str, space: str, code: int) -> None:
    for why in (simulated_refusal(text), refusal(space, code, text)):
        error = why.error("a test")
        assert isinstance(error, GarrisonError)
        assert why.index is None or why.index >= 0


@given(st.recursive(values, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_any_answer_to_a_transaction_is_a_value_or_an_error(value: object) -> None:
    for answer in (value, {"tx_response": value}):
        with suppress(GarrisonError):
            understood(TX, answer, "a transaction")
