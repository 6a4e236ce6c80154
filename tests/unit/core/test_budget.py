from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from garrison.api.account import AccountStatus
from garrison.api.money import MicroUSD, parse_dollars
from garrison.core.budget import RATE_WINDOW, Request, grant_all, granted_price, reserved
from tests.builders import NOW, at, limits


def request(name: str, dollars: str = "1", attempt: int = 0) -> Request:
    return Request(
        lease=name,
        namespace="prod",
        name=name,
        attempt=attempt,
        price_per_hour=parse_dollars(dollars),
    )


def test_grants_up_to_each_ceiling_and_names_the_one_that_binds() -> None:
    three = [request("a"), request("b"), request("c")]
    grants, _, refused = grant_all(three, limits(leases=2), AccountStatus(), NOW)
    assert [each.lease for each in grants] == ["a", "b"]
    assert refused is not None
    assert refused.reason == "TooManyLeases"

    _, _, dear = grant_all(three, limits(price="2.5"), AccountStatus(), NOW)
    assert dear is not None
    assert dear.reason == "TooExpensive"
    assert "2.50" in dear.message

    _, _, fast = grant_all(three, limits(rate=1), AccountStatus(), NOW)
    assert fast is not None
    assert (fast.reason, fast.retry_at) == ("TooManyNewLeases", NOW + RATE_WINDOW)


def test_the_rate_window_slides() -> None:
    status = AccountStatus(granted_at=(NOW,))
    assert grant_all([request("a")], limits(rate=1), status, at(599))[2] is not None
    assert grant_all([request("a")], limits(rate=1), status, at(600))[2] is None


def test_another_attempt_of_a_lease_replaces_its_grant_and_counts_as_a_new_order() -> None:
    grants, times, _ = grant_all([request("a", "1")], limits(), AccountStatus(), NOW)
    before = AccountStatus(grants=grants, granted_at=times)
    after, later, _ = grant_all([request("a", "3", attempt=1)], limits(), before, at(1))
    assert [(each.lease, each.attempt) for each in after] == [("a", 1)]
    assert granted_price("a", after) == parse_dollars("3")
    assert len(later) == 2


def test_a_large_request_is_not_starved_by_small_ones_behind_it() -> None:
    status = AccountStatus(grants=grant_all([request("x", "8")], limits(), AccountStatus(), NOW)[0])
    grants, _, refused = grant_all(
        [request("big", "5"), request("small", "1")], limits(), status, NOW
    )
    assert [each.lease for each in grants] == ["x"]
    assert refused is not None


def test_a_lapsed_grant_that_is_refused_anew_frees_no_slot_of_its_neighbours() -> None:
    both = [request("a"), request("b")]
    grants, times, _ = grant_all(both, limits(rate=2), AccountStatus(), NOW)
    status = AccountStatus(grants=grants, granted_at=times)
    for second in (100, 101, 102):
        dear = [request("a", "11"), request("c")]
        grants, times, refused = grant_all(dear, limits(rate=2), status, at(second))
        assert refused is not None
        assert times == (NOW, NOW)
        status = AccountStatus(grants=grants, granted_at=times)


def test_no_lease_at_all_is_a_valid_ceiling() -> None:
    grants, _, refused = grant_all([request("a")], limits(leases=0), AccountStatus(), NOW)
    assert (grants, refused is not None) == ((), True)


@given(
    asks=st.lists(
        st.tuples(
            st.integers(0, 8), st.integers(0, 2), st.integers(0, 4_000_000), st.integers(0, 400)
        ),
        max_size=40,
    ),
    leases=st.integers(0, 6),
    price=st.integers(0, 9),
    rate=st.integers(0, 6),
)
def test_no_sequence_of_requests_passes_a_ceiling(
    asks: list[tuple[int, int, int, int]], leases: int, price: int, rate: int
) -> None:
    bounds = limits(price=str(price), leases=leases, rate=rate)
    status = AccountStatus()
    moment = NOW
    for lease, attempt, cost, later in asks:
        moment += timedelta(seconds=later)
        ask = Request(
            lease=str(lease),
            namespace="n",
            name=str(lease),
            attempt=attempt,
            price_per_hour=MicroUSD(cost),
        )
        grants, times, _ = grant_all([ask], bounds, status, moment)
        status = AccountStatus(grants=grants, granted_at=times)
        assert len(grants) <= leases
        assert reserved(grants) <= price * 1_000_000
        assert sum(moment - each < RATE_WINDOW for each in times) <= rate
        assert grant_all([ask], bounds, status, moment)[:2] == (grants, times)
