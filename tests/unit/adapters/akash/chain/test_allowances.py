"""What is left of a fee allowance, of every kind that the chain has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from garrison.adapters.akash.chain.allowances import Allowance, allowance_of
from garrison.errors import UnavailableError

_KIND = "/cosmos.feegrant.v1beta1."
NOW = datetime(2026, 11, 26, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)


def coins(amount: int, denom: str = "uakt") -> list[dict[str, str]]:
    return [{"denom": denom, "amount": str(amount)}]


def basic(limit: list[dict[str, str]], until: datetime | None = None) -> dict[str, Any]:
    expiration = until.isoformat() if until else None
    return {"@type": f"{_KIND}BasicAllowance", "spend_limit": limit, "expiration": expiration}


def periodic(whole: dict[str, Any], left: int, reset: datetime) -> dict[str, Any]:
    return {
        "@type": f"{_KIND}PeriodicAllowance",
        "basic": whole,
        "period": "3600s",
        "period_spend_limit": coins(70),
        "period_can_spend": coins(left),
        "period_reset": reset.isoformat(),
    }


def only_for(allowance: dict[str, Any]) -> dict[str, Any]:
    kind = f"{_KIND}AllowedMsgAllowance"
    return {"@type": kind, "allowance": allowance, "allowed_messages": ["/a.b"]}


def left(amount: int | None, until: datetime | None = None) -> Allowance:
    return Allowance(left=None if amount is None else Decimal(amount), until=until)


@pytest.mark.parametrize(
    ("case", "given", "expected"),
    [
        ("a limit", basic(coins(50)), left(50)),
        ("no limit", basic([]), left(None)),
        ("a limit in other coins only", basic(coins(50, "uact")), left(0)),
        ("it ends", basic(coins(50), LATER), left(50, LATER)),
        ("it ended", basic([], EARLIER), left(0, EARLIER)),
        ("rest of a period", periodic(basic(coins(50)), 20, LATER), left(20)),
        ("less than the period", periodic(basic(coins(5), LATER), 20, LATER), left(5, LATER)),
        ("period over", periodic(basic([]), 0, EARLIER), left(70)),
        ("period spent", periodic(basic([]), 0, LATER), left(0)),
        ("for some messages", only_for(basic(coins(50), LATER)), left(50, LATER)),
        ("for some, by period", only_for(periodic(basic([]), 20, LATER)), left(20)),
        ("a kind to come", {"@type": "/cosmos.feegrant.v2.New"}, left(None)),
    ],
)
def test_what_is_left(case: str, given: dict[str, Any], expected: Allowance) -> None:
    body = {"allowance": {"granter": "a", "grantee": "b", "allowance": given}}
    assert allowance_of(body, "uakt", NOW) == expected, case


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"allowance": None},
        {"allowance": {"allowance": 7}},
        {"allowance": {"allowance": basic([{"denom": "uakt", "amount": "many"}])}},
        {"allowance": {"allowance": {"@type": f"{_KIND}PeriodicAllowance"}}},
        {"allowance": {"allowance": only_for({"@type": 3})}},
    ],
)
def test_what_makes_no_sense_is_not_believed(body: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError, match="a fee allowance"):
        allowance_of(body, "uakt", NOW)
