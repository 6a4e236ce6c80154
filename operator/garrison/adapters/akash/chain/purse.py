"""What an account can pay: its own coins, and what a granter lets it use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic import ValidationError

from garrison.adapters.akash.chain.allowances import Allowance, allowance_of
from garrison.adapters.akash.chain.answers import COIN, GRANT, GRANTS, LIST, Grant, understood
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.readings import held
from garrison.adapters.akash.pricing import DENOM
from garrison.api.money import MicroUSD
from garrison.errors import NotFoundError
from garrison.ports.clock import Clock

BALANCES = "/cosmos/bank/v1beta1/balances"
GRANTS_PATH = "/cosmos/authz/v1beta1/grants"
ALLOWANCE = "/cosmos/feegrant/v1beta1/allowance"
DEPOSIT = "/akash.escrow.v1.DepositAuthorization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """``available`` can be deposited, ``fees`` be paid as such; ``until``: when a grant behind them ends."""

    available: MicroUSD
    fees: int
    until: datetime | None = None


class Purse:
    """Reads balances and grants."""

    def __init__(self, *, nodes: Nodes, clock: Clock, address: str, granter: str) -> None:
        self._nodes = nodes
        self._clock = clock
        self._address = address
        self._granter = granter

    async def funds(self, fee_denom: str) -> Funds:
        """Return what there is: own coins, and grants as far as their giver has the coins.

        Fees are the granter's alone, where there is one. Raises UnavailableError.
        """
        own = await self.coins(self._address, DENOM)
        if not self._granter:
            fees = await self.coins(self._address, fee_denom)
            return Funds(available=MicroUSD(int(own)), fees=int(fees))
        grants = await self._grants()
        granted = sum((held(each.authorization.spend_limits) for each in grants), Decimal(0))
        lent = min(granted, await self.coins(self._granter, DENOM)) if granted else Decimal(0)
        allowance = await self._allowance(fee_denom)
        coins = await self.coins(self._granter, fee_denom)
        ends = [allowance.until, *(each.expiration for each in grants)]
        return Funds(
            available=MicroUSD(int(own + lent)),
            fees=int(coins if allowance.left is None else min(coins, allowance.left)),
            until=min((each for each in ends if each is not None), default=None),
        )

    async def coins(self, address: str, denom: str) -> Decimal:
        """Return how many coins an address has; none for an address that the chain does not know."""
        path = f"{BALANCES}/{address}/by_denom"
        try:
            body = await self._nodes.get(path, {"denom": denom})
        except NotFoundError:
            return Decimal(0)
        return understood(COIN, body.get("balance"), "a balance").amount

    async def _allowance(self, denom: str) -> Allowance:
        """What the granter lets this account pay in fees."""
        path = f"{ALLOWANCE}/{self._granter}/{self._address}"
        try:
            body = await self._nodes.get(path)
        except NotFoundError:
            return Allowance(left=Decimal(0))
        return allowance_of(body, denom, self._clock.now())

    async def _grants(self) -> tuple[Grant, ...]:
        """The granter's leave to deposit, as far as it holds."""
        params = {"granter": self._granter, "grantee": self._address}
        try:
            body = await self._nodes.get(GRANTS_PATH, params)
        except NotFoundError:
            return ()
        items = understood(LIST, understood(GRANTS, body, "grants").grants, "grants")
        return tuple(found for each in items if (found := self._live(each)) is not None)

    def _live(self, item: object) -> Grant | None:
        try:
            grant = GRANT.validate_python(item)
        except ValidationError:
            return None
        fits = grant.authorization.type == DEPOSIT and "deployment" in grant.authorization.scopes
        is_live = grant.expiration is None or grant.expiration > self._clock.now()
        return grant if fits and is_live else None
