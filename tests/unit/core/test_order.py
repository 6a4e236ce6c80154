"""What is ordered: the lowest ceiling counts, and quantities become whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.money import MicroUSD, format_dollars, parse_dollars
from garrison.api.policy import AttributeRequirement, PolicySpec
from garrison.api.workload import Budget
from garrison.core.order import MIN_DEPOSIT, model_count, order_of, price_ceiling
from garrison.ports.market import Order
from tests.builders import account, gpu, limits, template

prices = st.one_of(st.none(), st.integers(0, 20_000_000).map(format_dollars))


@given(budget=prices, policy=prices, total=st.integers(0, 20_000_000), leases=st.integers(0, 9))
def test_no_replica_may_cost_more_than_any_ceiling(
    budget: str | None, policy: str | None, total: int, leases: int
) -> None:
    payer = account(limits=limits(price=format_dollars(total), leases=leases))
    ceiling = price_ceiling(
        Budget(max_price_per_hour=budget), PolicySpec(max_price_per_hour=policy), payer
    )
    asked = [parse_dollars(each) for each in (budget, policy) if each is not None]
    assert ceiling <= min([*asked, total])
    if not asked:
        assert ceiling * max(1, leases) <= total


@pytest.mark.parametrize(
    ("budget", "policy", "ceiling"),
    [(None, None, "2"), ("3", None, "3"), (None, "4", "4"), ("3", "4", "3"), ("30", "40", "10")],
)
def test_the_lowest_ceiling_counts_and_none_means_a_fair_share(
    budget: str | None, policy: str | None, ceiling: str
) -> None:
    found = price_ceiling(
        Budget(max_price_per_hour=budget), PolicySpec(max_price_per_hour=policy), account()
    )
    assert found == parse_dollars(ceiling)


def ordered(
    *models: str, index: int = 0, policy: PolicySpec | None = None, hours: int = 24
) -> Order:
    return order_of(
        template=template(*models),
        policy=policy,
        model_index=index,
        marker="m",
        max_price_per_hour=MicroUSD(1_000_000),
        deposit_hours=hours,
    )


def test_quantities_are_whole_numbers() -> None:
    order = ordered()
    assert (order.cpu_millis, order.memory_bytes, order.gpu) == (1000, 2**30, None)


def test_alternatives_are_asked_for_one_at_a_time() -> None:
    asked = [ordered("h100", "a100", index=each).gpu for each in (0, 1, 7)]
    assert [each.model for each in asked if each] == ["h100", "a100", "a100"]
    assert (model_count(None), model_count(gpu("h100", "a100"))) == (1, 2)


def test_a_policys_hard_constraints_reach_the_market() -> None:
    policy = PolicySpec(
        attributes=(AttributeRequirement(key="tier", value="1"),), audited_by=("auditor",)
    )
    order = ordered(policy=policy)
    assert order.attributes == (("tier", "1"),)
    assert order.audited_by == ("auditor",)


def test_the_deposit_covers_the_hours_and_never_less_than_the_market_takes() -> None:
    assert ordered(hours=24).deposit == 24_000_000
    cheap = order_of(
        template=template(),
        policy=None,
        model_index=0,
        marker="m",
        max_price_per_hour=MicroUSD(1),
        deposit_hours=1,
    )
    assert cheap.deposit == MIN_DEPOSIT
