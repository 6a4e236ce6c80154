"""What is checked and taken before a transaction's messages are executed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from akash_sandbox.account import verifies
from akash_sandbox.bech32 import address as bech32
from akash_sandbox.chain import gas, signers
from akash_sandbox.chain.accounts import Account, public_key, raw
from akash_sandbox.chain.refused import (
    TxError,
    bad_signature,
    out_of_gas,
    refuse,
    sdk,
    wrong_sequence,
)
from akash_sandbox.chain.state import State
from akash_sandbox.chain.tx import Tx
from akash_sandbox.market.bank import FEES, UAKT, InsufficientError
from akash_sandbox.market.grants import FeeAllowance

TTL_SECONDS = 600
GAS_PRICE_MILLI = 25
"""The least price in thousandths of a uakt per unit of gas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a transaction is checked: the last block's height and time (Unix seconds)."""

    height: int
    time: float


class Ante:
    """The checks of the SDK, in its order. Every method raises TxError."""

    def __init__(self, chain_id: str, state: State) -> None:
        self._chain_id = chain_id
        self._state = state

    def simulate(self, tx: Tx, moment: Moment, pending: int) -> int:
        """Check what a simulation checks: no signature, no fee; return the gas used."""
        self._height(tx, moment)
        account = self._payer_and_signer(tx, moment)
        self._order(tx, account, moment, pending)
        return self._gas(tx, account, fee=bool(tx.fee))

    def check(self, tx: Tx, moment: Moment, pending: int) -> None:
        """Decide whether a transaction may wait for the next block.

        ``pending`` are the signer's ordered transactions that wait already.
        """
        self._timeouts(tx, moment)
        self._size(tx)
        self._enough_fee(tx)
        account = self._payer_and_signer(tx, moment)
        self._key(tx, account)
        self._order(tx, account, moment, pending)
        self._signature(tx, account)

    def deliver(self, tx: Tx, moment: Moment) -> int:
        """Check once more in the block, take the fee and count; return the gas used."""
        self._timeouts(tx, moment)
        account = self._payer_and_signer(tx, moment)
        self._key(tx, account)
        self._order(tx, account, moment, 0)
        self._signature(tx, account)
        used = self._gas(tx, account, fee=bool(tx.fee))
        self._take_fee(tx)
        self._state.accounts.signed(tx.signer, tx.key, ordered=not tx.is_unordered)
        self._tell(tx)
        return used

    def tell_simulated(self, tx: Tx) -> None:
        """Note the events that a simulation shows."""
        granter = tx.decoded.auth_info.fee.granter
        if granter and granter != tx.signer:
            self._tell_allowance(tx, granter)
        self._tell(tx)

    def _timeouts(self, tx: Tx, moment: Moment) -> None:
        self._height(tx, moment)
        if tx.timeout and moment.time > tx.timeout:
            at, until = _moment(moment.time), _moment(tx.timeout)
            refuse(42, f"block time: {at}, timeout timestamp: {until}: tx timeout")

    def _height(self, tx: Tx, moment: Moment) -> None:
        limit = tx.decoded.body.timeout_height
        if limit and moment.height > limit:
            refuse(30, f"block height: {moment.height}, timeout height: {limit}: tx timeout height")

    def _size(self, tx: Tx) -> None:
        used = gas.of_bytes(len(tx.raw))
        if used > tx.gas:
            raise out_of_gas("ReadPerByte", tx.gas, used)

    def _enough_fee(self, tx: Tx) -> None:
        required = -(-tx.gas * GAS_PRICE_MILLI // 1000)
        offered = tx.fee.get(UAKT, 0)
        if offered < required:
            got = ",".join(f"{amount}{denom}" for denom, amount in sorted(tx.fee.items()))
            refuse(
                13, f"insufficient fees; got: {got} required: {required}{UAKT}: insufficient fee"
            )

    def _payer_and_signer(self, tx: Tx, moment: Moment) -> Account:
        granter = tx.decoded.auth_info.fee.granter
        if granter and granter != tx.signer:
            self._allowance(tx, granter, moment)
        payer = self._state.accounts.get(tx.payer)
        account = self._state.accounts.get(tx.signer)
        if payer is None or account is None:
            missing = tx.payer if payer is None else tx.signer
            text = f"fee payer address: {raw(missing)} does not exist: unknown address"
            raise sdk(9, text)
        needed = tx.fee.get(UAKT, 0)
        has = self._state.book.bank.balance(tx.payer, UAKT)
        if has < needed:
            text = f"spendable balance {has}{UAKT} is smaller than {needed}{UAKT}"
            refuse(5, f"{text}: insufficient funds: insufficient funds")
        return account

    def _allowance(self, tx: Tx, granter: str, moment: Moment) -> FeeAllowance:
        found = self._state.book.grants.fee(granter, tx.signer)
        head = f"{raw(granter)} does not allow to pay fees for {raw(tx.signer)}: "
        if found is None:
            raise sdk(38, f"{head}fee-grant not found: not found")
        if found.expires is not None and found.expires <= moment.time:
            raise _feegrant(3, f"{head}fee allowance expired: fee allowance expired")
        if found.limits is not None:
            for denom, amount in tx.fee.items():
                if dict(found.limits).get(denom, 0) < amount:
                    raise _feegrant(2, f"{head}basic allowance: fee limit exceeded")
        return found

    def _key(self, tx: Tx, account: Account) -> None:
        expected = account.public_key
        known = tx.key or b""
        if not known and not expected:
            refuse(8, "pubkey on account is not set: invalid pubkey")
        if known and _address(known) != tx.signer:
            text = f"pubKey does not match signer address {tx.signer} with signer index: 0"
            refuse(8, f"{text}: invalid pubkey")

    def _order(self, tx: Tx, account: Account, moment: Moment, pending: int) -> None:
        if any(signers.signer(message) != tx.signer for message in tx.messages):
            refuse(4, "wrong number of signers; expected 2, got 1: unauthorized")
        if not tx.is_unordered:
            expected = account.sequence + pending
            if tx.sequence != expected:
                raise wrong_sequence(expected, tx.sequence)
            return
        if tx.sequence:
            refuse(18, "sequence is not allowed for unordered transactions: invalid request")
        if not tx.timeout:
            refuse(18, "unordered transaction must have timeout_timestamp set: invalid request")
        if tx.timeout > moment.time + TTL_SECONDS:
            refuse(18, "unordered tx ttl exceeds 10m0s: invalid request")

    def _signature(self, tx: Tx, account: Account) -> None:
        key = public_key(tx.key) if tx.key else account.key
        signed = tx.decoded.sign_bytes(self._chain_id, account.number)
        signatures = tx.decoded.signatures
        if key is None or len(signatures) != 1 or not verifies(key, signatures[0], signed):
            raise bad_signature(account.number, self._chain_id)

    def _gas(self, tx: Tx, account: Account, *, fee: bool) -> int:
        return gas.of_ante(
            len(tx.raw), fee=fee, fresh=not account.public_key, unordered=tx.is_unordered
        )

    def _take_fee(self, tx: Tx) -> None:
        granter = tx.decoded.auth_info.fee.granter
        if granter and granter != tx.signer:
            self._use_allowance(tx, granter)
        for denom, amount in tx.fee.items():
            try:
                self._state.book.bank.send(tx.payer, FEES, denom, amount)
            except InsufficientError as error:
                raise sdk(5, f"{error}: insufficient funds: insufficient funds") from error

    def _use_allowance(self, tx: Tx, granter: str) -> None:
        found = self._state.book.grants.fee(granter, tx.signer)
        if found is None:
            return
        self._tell_allowance(tx, granter)
        if found.limits is not None:
            left = {d: n - tx.fee.get(d, 0) for d, n in found.limits}
            kept = tuple((d, n) for d, n in left.items() if n > 0)
            self._state.book.grants.put_fee(replace(found, limits=kept))

    def _tell_allowance(self, tx: Tx, granter: str) -> None:
        for kind in ("use_feegrant", "update_feegrant"):
            self._state.book.events.tell(kind, ("granter", granter), ("grantee", tx.signer))

    def _tell(self, tx: Tx) -> None:
        events = self._state.book.events
        shown = ",".join(f"{amount}{denom}" for denom, amount in sorted(tx.fee.items()))
        events.tell("tx", ("fee", shown), ("fee_payer", tx.payer))
        if not tx.is_unordered:
            events.tell("tx", ("acc_seq", f"{tx.signer}/{tx.sequence}"))
        events.tell("tx", ("signature", _base64(tx.decoded.signatures)))


def _address(key: bytes) -> str:
    return bech32(hashlib.new("ripemd160", hashlib.sha256(key).digest()).digest())


def _feegrant(code: int, text: str) -> TxError:
    return TxError(text, codespace="feegrant", code=code)


def _base64(signatures: tuple[bytes, ...]) -> str:
    return base64.b64encode(signatures[0] if signatures else b"").decode()


def _moment(seconds: float) -> str:
    """Return a time as Go prints it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f +0000 UTC")
