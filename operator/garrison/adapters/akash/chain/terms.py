"""What the chain asks for, read from the chain: account number, gas price, least deposit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType

from garrison.adapters.akash.chain.answers import (
    ACCOUNT,
    DEPLOYMENT_PARAMS,
    NODE_CONFIG,
    VERSIONS,
    understood,
)
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.pricing import DENOM
from garrison.errors import FundsError, NotFoundError, RejectedError, UnavailableError

KEEP_SECONDS = 600.0
MAX_GAS_PRICE = Decimal("0.25")
"""Ten times what is usual; a node that asks for more is not paid."""
DISCOVERY = "/akash/discovery/v1/info"
SPOKEN: Mapping[str, str] = MappingProxyType(
    {"deployment": "v1beta4", "market": "v1beta5", "escrow": "v1", "provider": "v1beta4"}
)
"""The versions of the chain's modules whose messages are in ``akash_proto``."""
_PRICE = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,18})?)([a-zA-Z][a-zA-Z0-9/:._-]{2,127})")


@dataclass(frozen=True, slots=True, kw_only=True)
class GasPrice:
    """What a unit of gas costs."""

    denom: str
    amount: Decimal

    def fee(self, gas: int) -> int:
        """Return the fee for so much gas, rounded up."""
        return int((self.amount * gas).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """``least_deposit`` in uact."""

    gas_price: GasPrice
    least_deposit: int


def gas_price_of(text: str) -> GasPrice:
    """Return the first price of a node's ``minimum_gas_price``. Raises UnavailableError."""
    found = _PRICE.fullmatch(text.split(",", maxsplit=1)[0].strip())
    if found is None:
        raise UnavailableError(f"a node's least gas price {text[:100]!r} is not understood")
    price = GasPrice(denom=found[2], amount=Decimal(found[1]))
    if price.amount > MAX_GAS_PRICE:
        raise UnavailableError(
            f"a node asks for {found[0]} per unit of gas, more than {MAX_GAS_PRICE}; use other nodes"
        )
    return price


class TermsReader:
    """Reads the terms, and keeps them for some minutes."""

    def __init__(self, *, nodes: Nodes, address: str) -> None:
        self._nodes = nodes
        self._address = address
        self._number: int | None = None
        self._terms: Terms | None = None
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def account_number(self) -> int:
        """Return the account's number. Raises FundsError while the chain does not know the account."""
        if self._number is None:
            path = f"/cosmos/auth/v1beta1/accounts/{self._address}"
            try:
                body = await self._nodes.get(path)
            except NotFoundError as error:
                raise FundsError(
                    f"account {self._address} is not on the chain yet; send uakt to it, for fees, and "
                    "mint uact with it, for rent"
                ) from error
            self._number = understood(ACCOUNT, body, "the account").account.account_number
        return self._number

    def forget(self) -> None:
        """Read the terms again next time: a node asks for others."""
        self._terms = None

    async def terms(self) -> Terms:
        """Return the terms. Raises UnavailableError, RejectedError for a chain with other money."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._terms is None or now >= self._until:
                self._terms = await self._read()
                self._until = now + KEEP_SECONDS
            return self._terms

    async def _check_versions(self) -> None:
        """Raise RejectedError for a chain of another age. One that does not say is taken as it is."""
        try:
            body = await self._nodes.get(DISCOVERY)
        except (NotFoundError, UnavailableError):
            return
        supported: dict[str, set[str]] = {}
        for release in understood(VERSIONS, body, "the chain's modules").info.supported_versions:
            for each in release.modules:
                supported.setdefault(each.module, set()).add(each.version)
        others = other_versions(supported)
        if others:
            raise RejectedError(
                f"the chain has the modules {others}; this version of Garrison does not speak them: "
                "upgrade it"
            )

    async def _read(self) -> Terms:
        await self._check_versions()
        config = await self._nodes.get("/cosmos/base/node/v1beta1/config")
        price = understood(NODE_CONFIG, config, "its configuration").minimum_gas_price
        params = await self._nodes.get("/akash/deployment/v1beta4/params")
        coins = understood(DEPLOYMENT_PARAMS, params, "the deployment parameters")
        least = [each.amount for each in coins.params.min_deposits if each.denom == DENOM]
        if not least:
            raise RejectedError(_other_money([each.denom for each in coins.params.min_deposits]))
        return Terms(gas_price=gas_price_of(price), least_deposit=int(least[0]))


def other_versions(supported: Mapping[str, Collection[str]]) -> str:
    """Return which modules the chain has in other versions than are spoken here, "" for none."""
    return ", ".join(
        f"{module} {'/'.join(sorted(supported[module]))} instead of {version}"
        for module, version in SPOKEN.items()
        if module in supported and version not in supported[module]
    )


def _other_money(denoms: Sequence[str]) -> str:
    return (
        f"the chain takes deposits in {', '.join(denoms[:5]) or 'nothing'}, this version of Garrison "
        f"only knows what {DENOM} is worth; upgrade Garrison"
    )
