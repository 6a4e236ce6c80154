"""What keeps an accepted workload from serving: its account, the ceilings, the last failure."""

from __future__ import annotations

from collections.abc import Sequence

from garrison.api.account import Account
from garrison.api.lease import Lease
from garrison.api.meta import condition
from garrison.api.workload import FailureStatus, Workload
from garrison.core.adoption import REFUSED
from garrison.core.situation import Problem

FOR_A_PERSON = frozenset({"Unauthorized", "InvalidSpec", "UnsafeDestination"})
"""Reasons of an account's ``Ready`` that do not pass by themselves."""


def unusable(account: Account | None) -> Problem | None:
    """Return why the account cannot trade until a person changes something, None while it can."""
    found = condition(account.status.conditions, "Ready") if account is not None else None
    if account is None or found is None or found.status != "False":
        return None
    if found.reason not in FOR_A_PERSON:
        return None
    return Problem(
        reason="AccountNotReady", message=f"AkashAccount {account.meta.name!r}: {found.message}"
    )


def unadopted(workload: Workload, failures: Sequence[FailureStatus]) -> Problem | None:
    """Return why nothing is adopted until a person changes something, None where that is not so."""
    if workload.spec.adopt is None or workload.status.adopted is not None or not failures:
        return None
    newest = failures[-1]
    return Problem(reason=REFUSED, message=newest.message) if newest.reason == REFUSED else None


def waits_for(
    account: Account | None, leases: Sequence[Lease], failures: Sequence[FailureStatus], since: int
) -> Problem | None:
    """Return what is waited for, None when it is only time.

    ``failures`` are those of the accepted revision, ``since`` the number since it last served.
    """
    return _ceiling(account, leases) or _silence(account) or _failure(failures, since)


def _ceiling(account: Account | None, leases: Sequence[Lease]) -> Problem | None:
    waiting = any(
        each.status.phase == "Pending" and not each.meta.deleting and each.status.failure is None
        for each in leases
    )
    if account is None or not waiting:
        return None
    found = condition(account.status.conditions, "WithinLimits")
    if found is None or found.status != "False":
        return None
    return Problem(
        reason=found.reason, message=f"AkashAccount {account.meta.name!r}: {found.message}"
    )


def _silence(account: Account | None) -> Problem | None:
    found = condition(account.status.conditions, "Ready") if account is not None else None
    if account is None or found is None or found.status != "False":
        return None
    return Problem(
        reason="MarketUnavailable", message=f"AkashAccount {account.meta.name!r}: {found.message}"
    )


def _failure(failures: Sequence[FailureStatus], since: int) -> Problem | None:
    if not failures or since == 0:
        return None
    newest = failures[-1]
    return Problem(
        reason=newest.reason,
        message=f"another attempt is on its way or due; the last one failed: {newest.message}",
    )
