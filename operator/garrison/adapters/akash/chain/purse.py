"""What an account can pay: its own coins, and what a granter lets it put into escrow."""

from __future__ import annotations

from decimal import Decimal

from pydantic import ValidationError

from garrison.adapters.akash.chain.answers import COIN, GRANT, GRANTS, LIST, Grant, understood
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.readings import held
from garrison.adapters.akash.pricing import DENOM
from garrison.api.money import MicroUSD
from garrison.errors import NotFoundError
from garrison.ports.clock import Clock

BALANCES = "/cosmos/bank/v1beta1/balances"
GRANTS_PATH = "/cosmos/authz/v1beta1/grants"
DEPOSIT = "/akash.escrow.v1.DepositAuthorization"


class Purse:
    """Reads balances and grants."""

    def __init__(self, *, nodes: Nodes, clock: Clock, address: str, granter: str) -> None:
        self._nodes = nodes
        self._clock = clock
        self._address = address
        self._granter = granter

    async def available(self) -> MicroUSD:
        """Return what can be deposited: own coins, and the grant as far as its giver has them."""
        own = await self.coins(self._address, DENOM)
        if not self._granter:
            return MicroUSD(int(own))
        granted = await self.granted()
        lent = min(granted, await self.coins(self._granter, DENOM)) if granted else Decimal(0)
        return MicroUSD(int(own + lent))

    async def fees(self, denom: str) -> int:
        """Return how many coins there are to pay fees from: the granter's, where there is one."""
        return int(await self.coins(self._granter or self._address, denom))

    async def coins(self, address: str, denom: str) -> Decimal:
        """Return how many coins an address has; none for an address that the chain does not know."""
        path = f"{BALANCES}/{address}/by_denom"
        try:
            body = await self._nodes.get(path, {"denom": denom})
        except NotFoundError:
            return Decimal(0)
        return understood(COIN, body.get("balance"), "a balance").amount

    async def granted(self) -> Decimal:
        """Return what is left of the granter's leave to deposit, 0 when there is none."""
        params = {"granter": self._granter, "grantee": self._address}
        try:
            body = await self._nodes.get(GRANTS_PATH, params)
        except NotFoundError:
            return Decimal(0)
        items = understood(LIST, understood(GRANTS, body, "grants").grants, "grants")
        return sum(map(self._limit, items), Decimal(0))

    def _limit(self, item: object) -> Decimal:
        try:
            grant = GRANT.validate_python(item)
        except ValidationError:
            return Decimal(0)
        return held(grant.authorization.spend_limits) if self._is_live(grant) else Decimal(0)

    def _is_live(self, grant: Grant) -> bool:
        fits = grant.authorization.type == DEPOSIT and "deployment" in grant.authorization.scopes
        return fits and (grant.expiration is None or grant.expiration > self._clock.now())
