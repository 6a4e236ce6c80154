"""When credit for rent is made out of the wallet's other coins, and how much.

A mint is recorded before it is asked for, and asked for once. Another one is thought of an hour later at
the earliest, when the newest look at the market began after the last one must show, and shows none that is
still to be decided. One that was refused, or never sent, shows nowhere: then minutes are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from garrison.api.account import Account, ChainBackend, MintStatus
from garrison.api.money import MOST_SHOWN, MicroUSD, format_dollars
from garrison.core.lifecycle import token_life
from garrison.ports.market import Mintage

MINT_EVERY = timedelta(hours=1)
REFUSED_PAUSE = timedelta(minutes=5)
"""After a mint of which nothing can come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """What a look at the market showed that began at ``at``."""

    at: datetime
    available: MicroUSD
    mintage: Mintage


def is_asked_for(account: Account) -> bool:
    """Return whether the account's owner wants credit to be minted."""
    settings = account.spec.backend.settings
    return isinstance(settings, ChainBackend) and settings.auto_mint


def reserve(account: Account, burn: MicroUSD) -> MicroUSD:
    """Return what should be there to be deposited while everything costs ``burn`` per hour."""
    treasury = account.spec.treasury
    return MicroUSD(burn * max(treasury.warning_hours, treasury.deposit_hours))


def wanted(account: Account, funds: Funds, burn: MicroUSD, now: datetime) -> MicroUSD | None:
    """Return how much to mint now, None for nothing."""
    lack = reserve(account, burn) - funds.available
    offer = funds.mintage
    if not is_asked_for(account) or account.meta.deleting or lack <= 0:
        return None
    if offer.problem or offer.is_pending or not _is_settled(account, funds.at, now):
        return None
    amount = min(max(lack, offer.least), offer.most, MOST_SHOWN)
    return MicroUSD(amount) if amount >= max(1, offer.least) else None


def _is_settled(account: Account, looked: datetime, now: datetime) -> bool:
    last = account.status.mint
    if last is None:
        return True
    if last.outcome == "Refused":
        return now - last.at >= REFUSED_PAUSE and looked >= last.at
    horizon = _horizon(account)
    return now - last.at >= MINT_EVERY and looked - last.at >= token_life(horizon) + horizon


def _horizon(account: Account) -> timedelta:
    return timedelta(seconds=account.spec.backend.settings.outcome_horizon_seconds)


def intended(amount: MicroUSD, token: str, now: datetime) -> MintStatus:
    """Return the record of a mint that is about to be asked for."""
    return MintStatus(amount=format_dollars(amount), token=token, at=now)


def is_usable(account: Account, now: datetime) -> bool:
    """Return whether the recorded mint may still be asked for by whoever recorded it."""
    mint = account.status.mint
    if mint is None or mint.outcome != "Intended":
        return False
    return now - mint.at < token_life(_horizon(account))
