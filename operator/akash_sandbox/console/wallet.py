"""The account behind the API key: its wallet, and tokens for the providers' gateways."""

from __future__ import annotations

from aiohttp import web

from akash_sandbox import jwt
from akash_sandbox.console.bodies import TokenBody, body
from akash_sandbox.console.problem import ProblemError
from akash_sandbox.market.bank import UACT
from akash_sandbox.market.decimals import floor
from akash_sandbox.market.escrow import EscrowState
from akash_sandbox.venue import Venue

_MICRO = 1_000_000
_USER = "local-user"


class Wallet:
    """The handlers of balances, wallets, the user and gateway tokens."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/balances", self._balances),
            web.get("/v1/wallets", self._wallets),
            web.get("/v1/user/me", self._user),
            web.post("/v1/create-jwt-token", self._token),
        ]

    async def _balances(self, _request: web.Request) -> web.Response:
        free, locked = self._free(), self._escrowed()
        data = {
            "balance": free / _MICRO,
            "deployments": locked / _MICRO,
            "total": (free + locked) / _MICRO,
        }
        return web.json_response({"data": data})

    async def _wallets(self, _request: web.Request) -> web.Response:
        wallet = {
            "id": 1,
            "userId": _USER,
            "creditAmount": self._free() / _MICRO,
            "address": self._venue.account.address,
            "denom": "uact",
            "isTrialing": False,
            "topUpMinAmountUsd": 0,
            "createdAt": "2025-01-01T00:00:00.000Z",
        }
        return web.json_response({"data": [wallet]})

    async def _user(self, _request: web.Request) -> web.Response:
        user = {
            "id": _USER,
            "userId": _USER,
            "username": _USER,
            "email": "local@localhost",
            "emailVerified": True,
            "subscribedToNewsletter": False,
        }
        return web.json_response({"data": user})

    async def _token(self, request: web.Request) -> web.Response:
        asked = (await body(request, TokenBody)).data
        venue, now = self._venue, self._venue.now()
        token = jwt.mint(venue.account, asked.leases, now=now, ttl=asked.ttl)
        try:
            jwt.verify(token, venue.public_keys(), now)
        except jwt.TokenError as error:
            raise ProblemError(400, f"leases: {error}") from error
        return web.json_response({"data": {"token": token}}, status=201)

    def _escrowed(self) -> int:
        accounts = (d.escrow for d in self._venue.book.of(self._venue.account.address))
        return floor(sum(e.funds() for e in accounts if e.state is EscrowState.OPEN))

    def _free(self) -> int:
        return self._venue.book.bank.balance(self._venue.account.address, UACT)
