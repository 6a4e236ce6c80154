from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.meta import ANNOTATION_QUARANTINE
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.policy import AttributeRequirement, MinUptime
from garrison.api.provider import AttributeStatus, QuarantineStatus, ResultStatus
from garrison.core.placement import Criteria, choose, violated
from garrison.ports.market import BidState, GpuAsk
from tests.builders import NOW, at, bid, policy, provider

TWO_DOLLARS = parse_dollars("2")
H100 = GpuAsk(vendor="nvidia", model="h100", count=1)


def _served(uid: str) -> ResultStatus:
    return ResultStatus(lease=uid, outcome="Served", at=NOW)


@pytest.mark.parametrize(
    ("why", "offer", "wanted", "expected"),
    [
        ("a closed bid", bid(state=BidState.LOST), {}, "BidClosed"),
        ("a provider that failed before", bid(), {"excluded": frozenset({"p1"})}, "Excluded"),
        ("above the ceiling", bid(price="2.01"), {}, "TooExpensive"),
        ("another GPU", bid(gpu_model="a100"), {"gpu": H100}, "WrongGPU"),
        ("not included", bid(), {"policy": policy(include=("p2",)).spec}, "include"),
        ("excluded by policy", bid(), {"policy": policy(exclude=("p1",)).spec}, "exclude"),
        ("wrong region", bid(), {"policy": policy(regions=("us-east",)).spec}, "regions"),
    ],
)
def test_an_unacceptable_bid_says_why(
    why: str, offer: Any, wanted: dict[str, Any], expected: str
) -> None:
    criteria = Criteria(max_price_per_hour=TWO_DOLLARS, **wanted)
    choice = choose([offer], criteria, {"p1": provider("p1")}, NOW)
    assert choice.bid is None, why
    assert choice.verdicts[0].verdict.startswith(expected)


def test_the_exact_ceiling_is_accepted() -> None:
    choice = choose([bid(price="2")], Criteria(max_price_per_hour=TWO_DOLLARS), {}, NOW)
    assert choice.bid is not None


def test_an_absurd_price_is_shown_as_the_most_that_a_status_holds() -> None:
    choice = choose([bid(price="987654321012")], Criteria(max_price_per_hour=TWO_DOLLARS), {}, NOW)
    assert choice.bid is None
    assert choice.verdicts[0].price_per_hour == "9999999.999999"


def test_quarantine_holds_for_its_gpu_model_and_its_time_only() -> None:
    held = QuarantineStatus(gpu_model="h100", until=at(60), reason="LeaseClosed")
    known = {"p1": provider("p1", "h100", "a100", quarantine=(held,))}
    h100 = Criteria(max_price_per_hour=TWO_DOLLARS, gpu=H100)
    a100 = Criteria(
        max_price_per_hour=TWO_DOLLARS, gpu=GpuAsk(vendor="nvidia", model="a100", count=1)
    )
    assert choose([bid()], h100, known, NOW).verdicts[0].verdict.startswith("Quarantined")
    assert choose([bid()], h100, known, NOW + timedelta(seconds=60)).bid is not None
    assert choose([bid()], a100, known, NOW).bid is not None


def test_a_person_can_quarantine_a_provider() -> None:
    known = {"p1": provider("p1", annotations={ANNOTATION_QUARANTINE: "true"})}
    choice = choose([bid()], Criteria(max_price_per_hour=TWO_DOLLARS), known, NOW)
    assert choice.verdicts[0].verdict == f"Quarantined: by the annotation {ANNOTATION_QUARANTINE}"


def test_record_decides_among_bids_of_about_the_same_price() -> None:
    known = {
        "good": provider("good", results=tuple(_served(str(n)) for n in range(8))),
        "new": provider("new"),
    }
    criteria = Criteria(max_price_per_hour=TWO_DOLLARS)
    near = choose([bid("good", "1.09"), bid("new", "1")], criteria, known, NOW)
    far = choose([bid("good", "1.11"), bid("new", "1")], criteria, known, NOW)
    assert near.bid is not None
    assert near.bid.provider == "good"
    assert near.verdicts[1].verdict.startswith("Record: ")
    assert far.bid is not None
    assert far.bid.provider == "new"
    assert far.verdicts[1].verdict == "Dearer than 1.00 $/h"


def test_spread_is_a_preference_and_never_a_reason_to_stay_down() -> None:
    apart = Criteria(max_price_per_hour=TWO_DOLLARS, spread="Provider", taken=frozenset({"p1"}))
    both = choose([bid("p1", "1"), bid("p2", "1.9")], apart, {}, NOW)
    alone = choose([bid("p1", "1")], apart, {}, NOW)
    assert both.bid is not None
    assert both.bid.provider == "p2"
    assert both.verdicts[1].verdict.startswith("Spread: ")
    assert alone.bid is not None


@pytest.mark.parametrize(
    ("clause", "fields", "status", "expected"),
    [
        (
            "an attribute with another value",
            {"attributes": (AttributeRequirement(key="tier", value="one"),)},
            {"attributes": (AttributeStatus(key="tier", value="two"),)},
            "attributes: lacks tier=one",
        ),
        (
            "self-declared only",
            {"audited_by": ("auditor",)},
            {"attributes": (AttributeStatus(key="tier", value="one"),)},
            "auditedBy: not signed by any of them",
        ),
        (
            "signed by the auditor",
            {"audited_by": ("auditor",)},
            {"attributes": (AttributeStatus(key="t", value="1", audited_by=("auditor",)),)},
            "",
        ),
        (
            "too often down",
            {"min_uptime": MinUptime(percent="99.5")},
            {"uptime7d": 994},
            "minUptime: 99.4 % over 7d, wanted 99.5 %",
        ),
        ("up just enough", {"min_uptime": MinUptime(percent="99.5")}, {"uptime7d": 995}, ""),
        (
            "never measured",
            {"min_uptime": MinUptime(percent="1")},
            {},
            "minUptime: no uptime known for 7d",
        ),
    ],
)
def test_policy_clauses(
    clause: str, fields: dict[str, Any], status: dict[str, Any], expected: str
) -> None:
    assert violated(policy(**fields).spec, "p1", provider("p1", **status)) == expected, clause


def test_nothing_known_of_a_provider_fails_clauses_about_facts() -> None:
    assert violated(policy(regions=("eu",)).spec, "p1", None) == "regions: is in an unknown region"
    assert violated(policy(exclude=("p2",)).spec, "p1", None) == ""


@given(
    prices=st.lists(st.integers(0, 4_000_000), max_size=30),
    ceiling=st.integers(0, 3_000_000),
)
def test_the_chosen_bid_is_never_above_the_ceiling_and_always_near_the_cheapest(
    prices: list[int], ceiling: int
) -> None:
    offers = [
        bid(f"p{index:02}", price_per_hour=MicroUSD(price)) for index, price in enumerate(prices)
    ]
    choice = choose(offers, Criteria(max_price_per_hour=MicroUSD(ceiling)), {}, NOW)
    fitting = [price for price in prices if price <= ceiling]
    assert (choice.bid is None) == (not fitting)
    assert len(choice.verdicts) <= 20
    if choice.bid is not None:
        assert choice.bid.price_per_hour * 10 <= min(fitting) * 11
        assert choice.verdicts[0].verdict == "Chosen"


@given(order=st.permutations(["a", "b", "c", "d"]))
def test_the_choice_does_not_depend_on_the_order_of_the_bids(order: list[str]) -> None:
    prices = {"a": "1.00", "b": "1.00", "c": "1.05", "d": "1.30"}
    offers = [bid(name, prices[name]) for name in order]
    choice = choose(offers, Criteria(max_price_per_hour=TWO_DOLLARS), {}, NOW)
    assert choice.bid is not None
    assert choice.bid.provider == "a"
