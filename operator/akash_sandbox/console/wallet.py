"""The account behind the API key: its wallet, and tokens for the providers' gateways."""

from __future__ import annotations

import base64

from aiohttp import web

from akash_sandbox import jwt
from akash_sandbox.chain.managed import FEE, TYPES, signed
from akash_sandbox.console.bodies import Message, TokenBody, TxBody, UserQuery, body, query
from akash_sandbox.console.problem import ProblemError
from akash_sandbox.console.refusals import refused
from akash_sandbox.market.bank import UACT, UAKT
from akash_sandbox.market.decimals import floor
from akash_sandbox.market.escrow import EscrowState
from akash_sandbox.market.refusal import RefusalError
from akash_sandbox.venue import Venue

_MICRO = 1_000_000
_USER = "8d5f3a52-0c65-4a3e-9f0b-5c4b8a1f6f10"
_LOGIN = "auth0|local-user"
"""The id at the login service, which is not the one that the Console goes by."""


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
            web.post("/v1/tx", self._tx),
        ]

    async def _balances(self, _request: web.Request) -> web.Response:
        free, locked = self._free(), self._escrowed()
        data = {
            "balance": free / _MICRO,
            "deployments": locked / _MICRO,
            "total": (free + locked) / _MICRO,
        }
        return web.json_response({"data": data})

    async def _wallets(self, request: web.Request) -> web.Response:
        if str(query(request, UserQuery).user_id) != _USER:
            return web.json_response({"data": []})
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
            "userId": _LOGIN,
            "username": "local-user",
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

    async def _tx(self, request: web.Request) -> web.Response:
        """Sign messages for the account. As the Console's other writes they take effect at once."""
        asked = (await body(request, TxBody)).data
        if asked.user_id != _USER:
            raise ProblemError(404, "UserWallet Not Found")
        chain, address = self._venue.chain, self._venue.account.address
        raw = signed(
            self._venue.account,
            [(each.type_url, _decoded(each)) for each in asked.messages],
            chain_id=chain.id,
            number=chain.state.accounts.by_address[address].number,
            now=self._venue.now(),
        )
        # The Console pays for gas, whatever the account spent on its own transactions.
        bank = self._venue.book.bank
        bank.mint(address, UAKT, max(0, FEE - bank.balance(address, UAKT)))
        urls = [each.type_url for each in asked.messages]
        try:
            result = chain.include(raw).body
        except RefusalError as error:
            raise refused(str(error), urls) from error
        await self._venue.advance()
        if result["code"]:
            raise refused(result["raw_log"], urls)
        data = {"code": 0, "transactionHash": result["txhash"], "rawLog": result["raw_log"]}
        return web.json_response({"data": data})

    def _escrowed(self) -> int:
        accounts = (d.escrow for d in self._venue.book.of(self._venue.account.address))
        return floor(sum(e.funds() for e in accounts if e.state is EscrowState.OPEN))

    def _free(self) -> int:
        return self._venue.book.bank.balance(self._venue.account.address, UACT)


def _decoded(message: Message) -> bytes:
    """Return a message's bytes; raises ProblemError (400)."""
    if message.type_url not in TYPES:
        raise ProblemError(
            400, f"typeUrl: {message.type_url} is none of {', '.join(sorted(TYPES))}"
        )
    try:
        return base64.b64decode(message.value, validate=True)
    except ValueError as error:
        raise ProblemError(400, f"value: not base64: {error}") from error
