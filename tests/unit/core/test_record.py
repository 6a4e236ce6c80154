"""How leases went, and what a provider's status says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from garrison.api.lease import BenchmarkStatus, Lease, LeaseFailure, TimingStatus
from garrison.api.parsing import dump, parse
from garrison.api.provider import STATUS_ADAPTER, Outcome, Provider, ResultStatus
from garrison.api.workload import Blame, FailureStatus
from garrison.core.record import is_recorded, provider_status, results
from garrison.ports.market import ProviderAttribute, ProviderFact, ProviderGpu
from tests.builders import NOW, at, lease, provider

FIGURES = BenchmarkStatus(
    passed=True, tokens_per_second="65.0", time_to_first_token_milliseconds=1, requests=4, at=NOW
)


def ended(blame: Blame | None = None, *, served: bool = False) -> Lease:
    failure = LeaseFailure(reason="Unhealthy", blame=blame, at=NOW) if blame else None
    phases = ("Deploying", "Ready") if served else ("Deploying",)
    timings = tuple(TimingStatus(phase=each, at=NOW) for each in phases)
    return lease(
        "Failed" if blame else "Closed",
        uid="u1",
        failure=failure,
        timings=timings,
        closed_at=NOW,
        close_reason="Deleted",
        gpu_model="h100",
        benchmark=FIGURES,
    )


def verdict(blame: Blame, of: str = "u1") -> FailureStatus:
    return FailureStatus(
        lease=of,
        revision="r",
        provider="p1",
        gpu_model="h100",
        reason="Unhealthy",
        blame=blame,
        at=NOW,
    )


RETIRED = ended(served=True)
"""what a successor has replaced after a repeated benchmark failed"""


@pytest.mark.parametrize(
    ("case", "of", "said", "outcome"),
    [
        ("served and deleted", ended(served=True), (), "Served"),
        ("deleted before it served", ended(), (), "Nothing"),
        ("the lease's own word", ended("Provider"), (), "ProviderFault"),
        ("nothing is proven", ended("Undecided"), (), "Undecided"),
        ("nobody's fault", ended("Nobody"), (), "Nothing"),
        ("a verdict outranks it", ended("Undecided"), (verdict("Revision"),), "RevisionFault"),
        ("also to blame", ended("Undecided"), (verdict("Provider"),), "ProviderFault"),
        ("also to acquit", ended("Provider"), (verdict("Nobody"),), "Nothing"),
        ("only the verdict is left", None, (verdict("Provider"),), "ProviderFault"),
        ("still running", lease("Ready", uid="u1"), (), None),
        ("serves on, too slowly", lease("Ready", uid="u1"), (verdict("Undecided"),), "Undecided"),
        ("too slow where another is not", RETIRED, (verdict("Provider"),), "ProviderFault"),
    ],
)
def test_outcomes(
    case: str, of: Lease | None, said: tuple[FailureStatus, ...], outcome: Outcome | None
) -> None:
    found = results([] if of is None else [of], said)
    assert [each.outcome for each in found] == ([] if outcome is None else [outcome]), case
    assert all(each.lease == "u1" for each in found)


def test_how_a_lease_ended_is_not_what_was_held_against_it_before_it_passed_again() -> None:
    slow = ResultStatus(lease="u1", gpu_model="h100", outcome="Undecided", at=at(-60))
    end = replace(slow, outcome="Served", at=NOW)
    assert not is_recorded(RETIRED, [slow])
    assert is_recorded(RETIRED, [end])
    missed = replace(RETIRED.status, benchmark=replace(FIGURES, passed=False))
    assert is_recorded(replace(RETIRED, status=missed), [slow])
    assert is_recorded(ended("Provider"), [slow])
    assert not is_recorded(ended("Provider"), [replace(slow, lease="u2")])


def fact(**fields: Any) -> ProviderFact:
    base = ProviderFact(
        id="p1",
        host_uri="https://p1.example",
        region="eu-west",
        online=True,
        gpus=(ProviderGpu(vendor="nvidia", model="h100", memory="80Gi", interface="SXM5"),),
        attributes=(ProviderAttribute(key="tier", value="1", audited_by=("auditor",)),),
        uptime_1d=1000,
        uptime_7d=995,
        uptime_30d=990,
    )
    return replace(base, **fields)


def seen(of: Provider, new: tuple[ResultStatus, ...] = (), **fields: Any) -> Provider:
    given: dict[str, Any] = {"fact": fact(), "listed": True, "open_leases": 0, "now": NOW, **fields}
    status = provider_status(of, new=new, **given)
    return replace(of, status=status)


def result(of: str, outcome: Outcome, second: float = 0, model: str = "h100") -> ResultStatus:
    return ResultStatus(lease=of, gpu_model=model, outcome=outcome, at=at(second))


def test_shows_the_markets_word_for_people() -> None:
    status = seen(provider("p1")).status
    assert (status.online, status.region, status.uptime) == (True, "eu-west", "99.5%")
    assert (status.gpu_summary, status.host) == ("h100", "https://p1.example")


def test_whoever_is_listed_no_more_is_offline_and_whatever_was_not_read_is_kept() -> None:
    known = seen(provider("p1"))
    assert not seen(known, fact=None).status.online
    assert seen(known, fact=None, listed=False).status == known.status


def test_a_fault_quarantines_the_model_and_serving_ends_it() -> None:
    bad = seen(provider("p1"), (result("u1", "ProviderFault"),))
    assert bad.status.quarantined == "h100"
    good = seen(bad, (result("u2", "Served", 1),), now=at(2))
    assert good.status.quarantined == ""
    assert good.status.score is not None
    assert bad.status.score is not None
    assert good.status.score > bad.status.score


def test_a_late_verdict_keeps_the_figures() -> None:
    measured = replace(result("u1", "Undecided"), tokens_per_second="65.0")
    of = seen(seen(provider("p1"), (measured,)), (result("u1", "ProviderFault", 1),))
    assert [(each.outcome, each.tokens_per_second) for each in of.status.results] == [
        ("ProviderFault", "65.0")
    ]


OUTCOMES: tuple[Outcome, ...] = (
    "Served",
    "ProviderFault",
    "RevisionFault",
    "Undecided",
    "Nothing",
)


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(OUTCOMES),
            st.integers(0, 60),
            st.integers(0, 99_999),
        ),
        max_size=150,
    ),
    text=st.text(max_size=400),
)
@example(
    rows=[(number, "ProviderFault", number, number) for number in range(100)], text="\u00e4" * 400
)
def test_the_status_fits_its_schema_and_repeats_itself_whatever_a_provider_says(
    rows: list[tuple[int, Outcome, int, int]], text: str
) -> None:
    new = tuple(
        result(f"u{of}", outcome, second, f"gpu-{model}") for of, outcome, model, second in rows
    )
    loud = fact(
        host_uri=text,
        region=text,
        gpus=tuple(
            ProviderGpu(vendor=text, model=f"{text}{number}", memory=text, interface=text)
            for number in range(40)
        ),
        attributes=tuple(
            ProviderAttribute(key=text, value=text, audited_by=(text,) * 9) for _ in range(130)
        ),
    )
    of = seen(provider("p1"), new, fact=loud)
    assert parse(STATUS_ADAPTER, dump(STATUS_ADAPTER, of.status), "status") == of.status
    assert seen(of, new, fact=loud).status == of.status
