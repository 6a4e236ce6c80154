"""A deployment's escrow account: what was deposited, what the provider got, what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class EscrowState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    OVERDRAWN = "overdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """Money in uact. ``funds`` is never negative; ``debt`` is what the funds could not pay.

    Invariant: what was deposited = ``funds`` + ``transferred`` + ``refunded``.
    """

    funds: int
    opened_at: int
    settled_at: int
    deposited: int
    transferred: int = 0
    refunded: int = 0
    debt: int = 0
    state: EscrowState = EscrowState.OPEN


def opened(amount: int, height: int) -> Escrow:
    """Return a fresh account with its first deposit."""
    return Escrow(funds=amount, deposited=amount, opened_at=height, settled_at=height)


def settle(escrow: Escrow, rate: int, height: int) -> Escrow:
    """Return the account after paying ``rate`` uact per block up to ``height``."""
    if escrow.state is not EscrowState.OPEN or height <= escrow.settled_at:
        return escrow
    owed = rate * (height - escrow.settled_at)
    paid = min(owed, escrow.funds)
    settled = replace(
        escrow,
        funds=escrow.funds - paid,
        transferred=escrow.transferred + paid,
        settled_at=height,
    )
    if owed <= escrow.funds:
        return settled
    return replace(settled, state=EscrowState.OVERDRAWN, debt=owed - paid)


def deposit(escrow: Escrow, amount: int) -> tuple[Escrow, int]:
    """Return the account after a deposit, and what of it goes back at once.

    A deposit into an overdrawn account pays the debt, gives back the rest and closes the account.
    """
    if escrow.state is EscrowState.OPEN:
        funded = replace(escrow, funds=escrow.funds + amount, deposited=escrow.deposited + amount)
        return funded, 0
    paid = min(amount, escrow.debt)
    refund = amount - paid
    state = EscrowState.CLOSED if paid == escrow.debt else EscrowState.OVERDRAWN
    changed = replace(
        escrow,
        deposited=escrow.deposited + amount,
        transferred=escrow.transferred + paid,
        refunded=escrow.refunded + refund,
        debt=escrow.debt - paid,
        state=state,
    )
    return changed, refund


def close(escrow: Escrow) -> tuple[Escrow, int]:
    """Return the closed account, and what goes back to the depositor."""
    if escrow.state is not EscrowState.OPEN:
        return escrow, 0
    refund = escrow.funds
    closed = replace(escrow, funds=0, refunded=escrow.refunded + refund, state=EscrowState.CLOSED)
    return closed, refund


def drained(escrow: Escrow) -> Escrow:
    """Return the account overdrawn by nothing: all its funds went to the providers."""
    return replace(
        escrow,
        funds=0,
        transferred=escrow.transferred + escrow.funds,
        state=EscrowState.OVERDRAWN,
    )
