"""A deployment's escrow account: who paid in, what the providers got, what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from akash_sandbox.market.bank import UACT
from akash_sandbox.market.decimals import floor


class EscrowState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    OVERDRAWN = "overdrawn"


class Source(StrEnum):
    BALANCE = "balance"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """What is left of one payment into the account; ``balance`` has 18 decimals."""

    owner: str
    height: int
    source: Source
    denom: str
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Whole coins that go back to whom they came from."""

    owner: str
    source: Source
    denom: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Escrow:
    """Amounts have 18 decimals. ``debt`` is what the funds could not pay.

    Rent is paid in uact, from the oldest deposit first. ``denoms`` are all that were ever paid in.
    """

    settled_at: int
    deposits: tuple[Deposit, ...]
    denoms: tuple[str, ...] = (UACT,)
    transferred: int = 0
    debt: int = 0
    state: EscrowState = EscrowState.OPEN

    def funds(self, denom: str = UACT) -> int:
        """Return what is left, negative for an account that is overdrawn."""
        left = sum(each.balance for each in self.deposits if each.denom == denom)
        return left - self.debt if denom == UACT else left


def opened(deposits: Sequence[Deposit], height: int) -> Escrow:
    """Return a fresh account with its first deposits."""
    return added(Escrow(settled_at=height, deposits=(), denoms=()), deposits)


def added(escrow: Escrow, deposits: Sequence[Deposit]) -> Escrow:
    """Return the account with more in it."""
    denoms = dict.fromkeys((*escrow.denoms, *(each.denom for each in deposits)))
    return replace(escrow, deposits=(*escrow.deposits, *deposits), denoms=tuple(denoms))


def settle(escrow: Escrow, rate: int, height: int) -> tuple[Escrow, int]:
    """Return the account after paying ``rate`` per block up to ``height``, and what was paid."""
    if escrow.state is not EscrowState.OPEN or height <= escrow.settled_at:
        return escrow, 0
    owed = rate * (height - escrow.settled_at)
    paid = min(owed, escrow.funds())
    left = replace(
        escrow,
        deposits=_taken(escrow.deposits, paid),
        transferred=escrow.transferred + paid,
        settled_at=height,
    )
    if paid == owed:
        return left, paid
    return replace(left, state=EscrowState.OVERDRAWN, debt=owed - paid), paid


def returned(escrow: Escrow, fraction: int) -> Escrow:
    """Return the account after a closed payment gave back the part of a coin it could not pay."""
    if not fraction or not escrow.deposits:
        return escrow
    index = next((i for i, d in enumerate(escrow.deposits) if d.denom == UACT), None)
    if index is None:
        return escrow
    first = escrow.deposits[index]
    changed = list(escrow.deposits)
    changed[index] = replace(first, balance=first.balance + fraction)
    return replace(escrow, deposits=tuple(changed), transferred=escrow.transferred - fraction)


def repaid(escrow: Escrow, amount: int) -> tuple[Escrow, int]:
    """Return an overdrawn account after a deposit in uact, and what of it paid the debt.

    The rest goes back at once. An account without debt is closed.
    """
    paid = min(amount, escrow.debt)
    state = EscrowState.CLOSED if paid == escrow.debt else EscrowState.OVERDRAWN
    changed = replace(
        escrow,
        transferred=escrow.transferred + paid,
        debt=escrow.debt - paid,
        state=state,
    )
    return changed, paid


def close(escrow: Escrow) -> tuple[Escrow, tuple[Refund, ...]]:
    """Return the closed account, and what goes back to whom, in the order of the deposits."""
    if escrow.state is EscrowState.OVERDRAWN:
        return escrow, ()
    refunds = tuple(
        Refund(owner=each.owner, source=each.source, denom=each.denom, amount=floor(each.balance))
        for each in escrow.deposits
        if each.balance
    )
    return replace(escrow, deposits=(), state=EscrowState.CLOSED), refunds


def drained(escrow: Escrow) -> tuple[Escrow, int]:
    """Return the account overdrawn by nothing, and what the providers got."""
    left = escrow.funds()
    changed = replace(
        escrow,
        deposits=tuple(each for each in escrow.deposits if each.denom != UACT),
        transferred=escrow.transferred + left,
        state=EscrowState.OVERDRAWN,
    )
    return changed, left


def _taken(deposits: Iterable[Deposit], amount: int) -> tuple[Deposit, ...]:
    """Return the deposits after ``amount`` of uact was taken; what is empty is gone."""
    left = []
    for each in deposits:
        part = min(amount, each.balance) if each.denom == UACT else 0
        amount -= part
        if each.balance > part:
            left.append(replace(each, balance=each.balance - part))
    return tuple(left)
