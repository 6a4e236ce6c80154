"""Where deposits come from and go back to: balances and grants."""

from __future__ import annotations

from collections.abc import Sequence

from akash_sandbox.market import refusal
from akash_sandbox.market.bank import ESCROW, Bank
from akash_sandbox.market.decimals import UNIT
from akash_sandbox.market.escrow import Deposit, Refund, Source
from akash_sandbox.market.grants import DEPOSIT_MESSAGE, Grants


class Purse:
    """Pays into the escrow account of the chain and out of it."""

    def __init__(self, bank: Bank, grants: Grants) -> None:
        self.bank = bank
        self.grants = grants

    def collect(
        self,
        now: float,
        *,
        signer: str,
        denom: str,
        amount: int,
        sources: Sequence[Source],
        scope: str,
        height: int,
    ) -> tuple[Deposit, ...]:
        """Take a deposit from the sources in their order; raises RefusalError."""
        parts: list[tuple[str, Source, int]] = []
        missing = amount
        for source in sources:
            for payer, most in self._offers(now, signer, denom, source, scope):
                part = min(most, missing)
                if part:
                    parts.append((payer, source, part))
                    missing -= part
        if missing:
            raise refusal.insufficient_balance()
        for payer, source, part in parts:
            self._pay(payer, source, part, signer, denom)
        return tuple(
            Deposit(owner=payer, height=height, source=source, denom=denom, balance=part * UNIT)
            for payer, source, part in parts
        )

    def give_back(self, owner: str, refunds: Sequence[Refund]) -> None:
        """Return what is left of deposits, and restore the limit of the grants it came from."""
        for refund in refunds:
            self.bank.send(ESCROW, refund.owner, refund.denom, refund.amount)
            if refund.source is Source.GRANT:
                self._change_grant(refund.owner, owner, refund.denom, refund.amount)

    def _offers(
        self, now: float, signer: str, denom: str, source: Source, scope: str
    ) -> list[tuple[str, int]]:
        if source is Source.BALANCE:
            return [(signer, self.bank.balance(signer, denom))]
        return [
            (grant.granter, min(grant.limit(denom), self.bank.balance(grant.granter, denom)))
            for grant in self.grants.spendable(signer, denom, scope, now)
        ]

    def _pay(self, payer: str, source: Source, amount: int, signer: str, denom: str) -> None:
        self.bank.send(payer, ESCROW, denom, amount)
        if source is Source.GRANT:
            self._change_grant(payer, signer, denom, -amount)

    def _change_grant(self, granter: str, grantee: str, denom: str, by: int) -> None:
        grant = self.grants.find(granter, grantee, DEPOSIT_MESSAGE)
        if grant is not None:
            self.grants.put(grant.changed(denom, by))
            self.bank.events.typed(
                "cosmos.authz.v1beta1.EventGrant",
                grantee=grantee,
                granter=granter,
                msg_type_url=DEPOSIT_MESSAGE,
            )
