"""The wallet that the Console API keeps for an account: its address, and messages that it signs.

``POST /v1/tx`` signs any message of a tenant, waits for its block and answers with what became of it.
So the caller chooses a deployment's number, as on the chain itself.
"""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf.message import Message
from pydantic import ValidationError

from akash_proto.wire import pack
from garrison.adapters.akash.answers import SIGNED, USER, WALLETS, Wallet, understood
from garrison.adapters.akash.chain.codes import simulated_refusal
from garrison.adapters.akash.client import ConsoleClient, UnsupportedCallError
from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    NotFoundError,
    RejectedError,
    UnknownOutcomeError,
)

USER_PATH = "/v1/user/me"
WALLETS_PATH = "/v1/wallets"
TX_PATH = "/v1/tx"
_REFUSING = (AuthError, NotFoundError, UnsupportedCallError)
_EXISTS = ("already exists", "Deployment exists")


class UnsignedError(Exception):
    """The API signs no messages for this key: nothing was sent to the chain."""


class ManagedWallet:
    """Signs for the account that an API key belongs to."""

    def __init__(self, client: ConsoleClient) -> None:
        self._client = client
        self._wallet: Wallet | None = None

    async def address(self) -> str:
        """Return the account's address. Raises UnsignedError when the API does not tell it."""
        return (await self._known()).address

    async def sign(self, message: Message, what: str) -> None:
        """Return when a message took effect in a block. ``what`` names it in errors.

        Raises UnsignedError when the API takes no messages, AlreadyExistsError for a number that is
        taken, UnknownOutcomeError when what became of it is not known.
        """
        wallet = await self._known()
        packed = pack(message)
        shown = {"typeUrl": packed.type_url, "value": base64.b64encode(packed.value).decode()}
        data = {"userId": wallet.user_id, "messages": [shown]}
        try:
            raw = await self._client.write("POST", TX_PATH, {"data": data})
        except _REFUSING as error:
            raise UnsignedError(str(error)) from error
        except RejectedError as error:
            if any(each in str(error) for each in _EXISTS):
                raise AlreadyExistsError(f"{what}: {error}; it is looked up") from error
            raise
        _check(raw, what)

    async def _known(self) -> Wallet:
        if self._wallet is None:
            try:
                self._wallet = await self._read()
            except _REFUSING as error:
                raise UnsignedError(str(error)) from error
        return self._wallet

    async def _read(self) -> Wallet:
        user = understood(USER, await self._client.get(USER_PATH), "the key's user").data.id
        raw = await self._client.get(WALLETS_PATH, {"userId": user})
        wallets = understood(WALLETS, raw, "the user's wallets").data
        if not wallets:
            raise UnsignedError(f"user {user} has no wallet that is ready")
        return wallets[0]


def _check(raw: Any, what: str) -> None:
    """Raise what a signed transaction's answer means, when it is not that it took effect."""
    try:
        signed = SIGNED.validate_python(raw).data
    except ValidationError as error:
        raise UnknownOutcomeError(
            f"{what}: the Console API took it and its answer is not understood; it is looked up"
        ) from error
    if signed.code != 0:
        raise simulated_refusal(signed.raw_log).error(what)
