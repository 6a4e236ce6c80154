"""Placement profiles: where a group may run, and what it may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from akash_sandbox.sdl.compute import Attributes
from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.sdl.node import Node

_KEY = re.compile(r"[a-zA-Z][\w/.\-]{1,126}[\w*]?")
_GREATEST_PRICE = Decimal(10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A ceiling per replica and block."""

    denom: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """``prices`` are keyed by compute profile."""

    attributes: Attributes
    all_of: tuple[str, ...]
    any_of: tuple[str, ...]
    prices: dict[str, Price]


def parse_placement(node: Node) -> Placement:
    """Return one placement profile; raises SdlError."""
    node.only(("attributes", "signedBy", "pricing"))
    attributes = node.child("attributes")
    for key in attributes:
        if not _KEY.fullmatch(key):
            raise SdlError(f"sdl: invalid attribute key {key!r}")
    signed = node.child("signedBy").only(("allOf", "anyOf"))
    return Placement(
        attributes=tuple(sorted((key, attributes.text(key)) for key in attributes)),
        all_of=tuple(signed.texts("allOf") or ()),
        any_of=tuple(signed.texts("anyOf") or ()),
        prices={name: _price(raw) for name, raw in node.child("pricing").children()},
    )


def _price(node: Node) -> Price:
    node.only(("denom", "amount"))
    try:
        amount = Decimal(node.text("amount"))
    except InvalidOperation:
        raise SdlError(f"invalid coin amount: {node.text('amount')!r}") from None
    if not amount.is_finite() or amount < 0:
        raise SdlError(f"invalid coin amount: {amount}")
    if amount == 0:
        raise SdlError("invalid coin amount: amount is zero")
    if amount > _GREATEST_PRICE:
        raise SdlError(f"error: invalid unit price ({_GREATEST_PRICE} > {amount} fails)")
    return Price(denom=node.text("denom"), amount=amount)
