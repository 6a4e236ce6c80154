"""What one account lets another do or spend in its name (authz and feegrant)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

DEPOSIT_MESSAGE = "/akash.escrow.v1.MsgAccountDeposit"
"""Under this name an authorisation to spend deposits is kept."""

Coins = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An authorisation for one kind of message; ``expires`` in Unix seconds, None for never.

    With ``limits`` it is one to spend so much as deposits of ``scopes``; ``spend_limit`` is the
    denomination that its dead field shows.
    """

    granter: str
    grantee: str
    message: str
    expires: int | None = None
    limits: Coins | None = None
    scopes: tuple[str, ...] = ()
    spend_limit: str = ""

    def limit(self, denom: str) -> int:
        return dict(self.limits or ()).get(denom, 0)

    def changed(self, denom: str, by: int) -> Grant:
        """Return the grant with another limit; the chain rewrites the dead field as well."""
        limits = dict(self.limits or ())
        limits[denom] = limits.get(denom, 0) + by
        kept = tuple((d, n) for d, n in sorted(limits.items()) if n)
        return replace(self, limits=kept, spend_limit="uakt")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeAllowance:
    """Fees that the granter pays for the grantee; ``limits`` None is without limit.

    ``messages`` are the only ones allowed, unless empty.
    """

    granter: str
    grantee: str
    limits: Coins | None = None
    messages: tuple[str, ...] = ()
    expires: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantSet:
    """Everything granted."""

    grants: tuple[Grant, ...] = ()
    fees: tuple[FeeAllowance, ...] = ()


class Grants:
    """All that is granted at the moment."""

    def __init__(self, current: GrantSet | None = None) -> None:
        self.current = current or GrantSet()

    def of(self, *, granter: str = "", grantee: str = "") -> list[Grant]:
        """Return the grants of a granter, to a grantee, or both."""
        return [
            grant
            for grant in self.current.grants
            if granter in ("", grant.granter) and grantee in ("", grant.grantee)
        ]

    def find(self, granter: str, grantee: str, message: str) -> Grant | None:
        found = (g for g in self.of(granter=granter, grantee=grantee) if g.message == message)
        return next(found, None)

    def put(self, grant: Grant) -> None:
        """Keep a grant in the place of an earlier one for the same."""
        others = tuple(g for g in self.current.grants if not _same(g, grant))
        self.current = replace(self.current, grants=(*others, grant))

    def revoke(self, granter: str, grantee: str, message: str) -> bool:
        """Take a grant back; return whether there was one."""
        found = self.find(granter, grantee, message)
        left = tuple(g for g in self.current.grants if g is not found)
        self.current = replace(self.current, grants=left)
        return found is not None

    def fee(self, granter: str, grantee: str) -> FeeAllowance | None:
        found = (f for f in self.current.fees if (f.granter, f.grantee) == (granter, grantee))
        return next(found, None)

    def put_fee(self, allowance: FeeAllowance) -> None:
        """Keep an allowance in the place of an earlier one."""
        self.drop_fee(allowance.granter, allowance.grantee)
        self.current = replace(self.current, fees=(*self.current.fees, allowance))

    def drop_fee(self, granter: str, grantee: str) -> None:
        pair = (granter, grantee)
        left = tuple(f for f in self.current.fees if (f.granter, f.grantee) != pair)
        self.current = replace(self.current, fees=left)

    def spendable(self, grantee: str, denom: str, scope: str, now: float) -> Iterator[Grant]:
        """Yield what a grantee may spend as deposits."""
        for grant in self.of(grantee=grantee):
            alive = grant.expires is None or grant.expires > now
            if alive and scope in grant.scopes and grant.limit(denom):
                yield grant


def _same(one: Grant, other: Grant) -> bool:
    key = (one.granter, one.grantee, one.message)
    return key == (other.granter, other.grantee, other.message)
