"""The nodes in an account's status: what changed is shown, a height alone is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from garrison.api.account import AccountStatus, EndpointStatus
from garrison.core.ledger import SHOWN_EVERY_BLOCKS, MarketView, _shown_endpoints
from garrison.ports.market import EndpointFact

FACT = EndpointFact(url="https://node", usable=True, height=1000, lag=0)
SHOWN = EndpointStatus(url="https://node", usable=True, height=1000, lag=0)


def shown(*facts: EndpointFact) -> tuple[EndpointStatus, ...]:
    old = AccountStatus(endpoints=(SHOWN,))
    view = MarketView(balance=None, error="", error_reason="", endpoints=facts)
    return _shown_endpoints(old, view)


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        (replace(FACT, height=1000 + SHOWN_EVERY_BLOCKS - 1, lag=1), False),
        (replace(FACT, height=1000 + SHOWN_EVERY_BLOCKS), True),
        (replace(FACT, height=999), True),
        (replace(FACT, usable=False, message="it halted"), True),
        (replace(FACT, url="https://other"), True),
    ],
)
def test_a_status_is_no_ticker(fact: EndpointFact, changes: bool) -> None:
    found = shown(fact)
    if changes:
        assert [(each.url, each.usable, each.height) for each in found] == [
            (fact.url, fact.usable, fact.height)
        ]
    else:
        assert found == (SHOWN,)


def test_what_nobody_looked_at_stays() -> None:
    assert _shown_endpoints(AccountStatus(endpoints=(SHOWN,)), None) == (SHOWN,)
    assert shown() == ()


def test_long_messages_are_cut() -> None:
    (found,) = shown(replace(FACT, usable=False, message="x" * 2000))
    assert len(found.message) == 512
