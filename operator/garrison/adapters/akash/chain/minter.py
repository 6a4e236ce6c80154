"""Credit for rent (uact) out of the wallet's coins (uakt), by the chain's own exchange.

A mint that got into a block is queued: it is decided at the end of an epoch, by the oracle's price, and
either credit comes or the coins come back. Under the chain's least amount they come back.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from akash_proto.schema.akash_bme_v1_pb2 import MsgMintACT
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from garrison.adapters.akash.chain.answers import (
    BME_PARAMS,
    BME_STATUS,
    LIST,
    PRICE,
    BmeParams,
    understood,
)
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.purse import Purse
from garrison.adapters.akash.pricing import DENOM
from garrison.api.money import MicroUSD
from garrison.errors import FundsError, UnavailableError, UnsafeDestinationError
from garrison.ports.market import Mintage

BURNED = "uakt"
KEPT = 1_000_000
"""uakt that stay in the wallet, for fees."""
MARGIN = Decimal("1.02")
"""The price that counts is that of the epoch's end."""
_BPS = 10_000


class ChainMinter:
    """Mints for one account (``ports.market.Minter``)."""

    def __init__(self, *, nodes: Nodes, purse: Purse, outbox: Outbox, address: str) -> None:
        self._nodes = nodes
        self._purse = purse
        self._outbox = outbox
        self._address = address

    async def mintage(self) -> Mintage:
        """Return what can be minted now. Raises UnavailableError when no node tells."""
        params = understood(BME_PARAMS, await self._nodes.get("/akash/bme/v1/params"), "minting")
        floors = [each.amount for each in params.params.min_mint if each.denom == DENOM]
        least = int(floors[0]) if floors else 0
        rate, problem = await self._rate(params.params)
        most = Decimal(await self._burnable()) * rate / MARGIN
        if not problem and most < least:
            problem = f"the wallet's {BURNED} come to less than the least mint of {least} {DENOM}"
        return Mintage(
            least=MicroUSD(least),
            most=MicroUSD(int(most.to_integral_value(ROUND_FLOOR))),
            is_pending=await self._is_pending(),
            problem=problem,
        )

    async def mint(self, amount: MicroUSD) -> None:
        """Queue a mint. Raises FundsError, UnavailableError when the chain mints nothing now."""
        params = understood(BME_PARAMS, await self._nodes.get("/akash/bme/v1/params"), "minting")
        rate, problem = await self._rate(params.params)
        if problem or await self._is_pending():
            raise UnavailableError(f"nothing is minted: {problem or 'a mint is being decided'}")
        burned = int((Decimal(amount) / rate * MARGIN).to_integral_value(ROUND_CEILING))
        if burned > await self._burnable():
            raise FundsError(f"{burned} {BURNED} are needed for {amount} {DENOM}; send some")
        message = MsgMintACT(
            owner=self._address,
            to=self._address,
            coins_to_burn=Coin(denom=BURNED, amount=str(burned)),
        )
        await self._outbox.send(message, f"mint {amount} {DENOM}")

    async def _burnable(self) -> int:
        return max(0, int(await self._purse.coins(self._address, BURNED)) - KEPT)

    async def _is_pending(self) -> bool:
        filters = {
            "filters.source": self._address,
            "filters.status": "ledger_record_status_pending",
        }
        body = await self._nodes.get("/akash/bme/v1/ledger", filters)
        return bool(understood(LIST, body.get("records") or (), "the mints"))

    async def _rate(self, params: BmeParams) -> tuple[Decimal, str]:
        """Return the uact that a uakt becomes, and why none does."""
        health = await self._said("/akash/bme/v1/status")
        quoted = await self._said("/akash/oracle/v2/aggregated_price/akt")
        if health is None or quoted is None:
            return Decimal(0), "the chain's oracle has no price"
        status = understood(BME_STATUS, health, "the health of minting")
        if not status.mints_allowed:
            return Decimal(0), f"the chain halted it ({status.status})"
        price = understood(PRICE, quoted, "the price of akt")
        value = price.aggregated_price.median_price
        if not price.price_health.is_healthy or value <= 0:
            return Decimal(0), "the oracle's price is not healthy"
        return value * (_BPS - params.mint_spread_bps) / _BPS, ""

    async def _said(self, path: str) -> Any | None:
        """Return an answer, None when the chain has none: that is no fault of the node."""
        is_told = False
        for node in await self._nodes.each():
            try:
                answer = await node.call("GET", path)
            except (UnavailableError, UnsafeDestinationError) as error:
                self._nodes.failed(node, error)
                continue
            if answer.status == 200:
                return answer.body
            is_told = is_told or answer.code is not None
        if not is_told:
            raise UnavailableError(f"no node of the chain answers {path}; it is asked again")
        return None
