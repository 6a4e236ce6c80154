"""What a fee allowance lets its grantee pay (cosmos.feegrant.v1beta1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import AwareDatetime, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from garrison.adapters.akash.answers import SHAPE, Coin, Text
from garrison.adapters.akash.chain.answers import understood

_BASIC = "/cosmos.feegrant.v1beta1.BasicAllowance"
_PERIODIC = "/cosmos.feegrant.v1beta1.PeriodicAllowance"
_FOR_MESSAGES = "/cosmos.feegrant.v1beta1.AllowedMsgAllowance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """``left``: coins, None without a limit. ``until``: when it ends, None: never."""

    left: Decimal | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class _Any:
    type: Text = Field(default="", alias="@type")
    allowance: Any = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class _Basic:
    spend_limit: tuple[Coin, ...] = ()
    expiration: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class _Periodic:
    basic: _Basic
    period_reset: AwareDatetime
    period_spend_limit: tuple[Coin, ...] = ()
    period_can_spend: tuple[Coin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class _Grant:
    allowance: Any


@dataclass(frozen=True, slots=True, kw_only=True, config=SHAPE)
class _Answer:
    allowance: _Grant


_ANSWER: TypeAdapter[_Answer] = TypeAdapter(_Answer)
_ANY: TypeAdapter[_Any] = TypeAdapter(_Any)
_BASICS: TypeAdapter[_Basic] = TypeAdapter(_Basic)
_PERIODICS: TypeAdapter[_Periodic] = TypeAdapter(_Periodic)
_WHAT = "a fee allowance"


def allowance_of(body: Any, denom: str, now: datetime) -> Allowance:
    """Return what an answer about one allowance leaves at ``now``; a kind not known here has no limit.

    Raises UnavailableError for an answer that is not understood.
    """
    given = understood(_ANSWER, body, _WHAT).allowance.allowance
    kind = understood(_ANY, given, _WHAT)
    if kind.type == _FOR_MESSAGES:
        given = kind.allowance
        kind = understood(_ANY, given, _WHAT)
    if kind.type == _BASIC:
        return _basic(understood(_BASICS, given, _WHAT), denom, now)
    if kind.type == _PERIODIC:
        return _periodic(understood(_PERIODICS, given, _WHAT), denom, now)
    return Allowance()


def _basic(found: _Basic, denom: str, now: datetime) -> Allowance:
    until = found.expiration
    if until is not None and until <= now:
        return Allowance(left=Decimal(0), until=until)
    return Allowance(
        left=_coins(found.spend_limit, denom) if found.spend_limit else None, until=until
    )


def _periodic(found: _Periodic, denom: str, now: datetime) -> Allowance:
    """A period that is over begins anew with the next fee."""
    whole = _basic(found.basic, denom, now)
    is_over = found.period_reset <= now
    period = _coins(found.period_spend_limit if is_over else found.period_can_spend, denom)
    return Allowance(
        left=period if whole.left is None else min(period, whole.left), until=whole.until
    )


def _coins(coins: Iterable[Coin], denom: str) -> Decimal:
    amounts = (each.amount for each in coins if each.denom == denom and each.amount.is_finite())
    return sum(amounts, Decimal(0))
