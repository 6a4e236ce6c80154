"""The tables behind an adoption: where it is reached, what ends it, whose it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from garrison.adapters.akash.status import service_status
from garrison.api.account import AccountStatus, AdoptedStatus, Grant
from garrison.api.lease import (
    DeploymentStatus,
    EndpointStatus,
    Lease,
    LeaseFailure,
    TimingStatus,
)
from garrison.api.money import MicroUSD
from garrison.api.workload import Adopt
from garrison.core.adoption import (
    MAX_RECORDS,
    endpoint_of,
    pending,
    records,
    spared,
    without_ended,
)
from garrison.core.budget import Request, grant_all
from garrison.core.lifecycle import Step
from garrison.core.phase import failed
from garrison.core.sweep import strangers
from garrison.ports.market import ForwardedPort, ServiceStatus
from tests.builders import (
    INSTALLATION,
    NOW,
    account,
    at,
    deployment,
    lease,
    limits,
    market_lease,
    observation,
)

RECORD = DeploymentStatus(id="100", marker="dcloud", ordered_at=NOW)
RAW = ForwardedPort(host="p1.example", port=8000, external_port=31234)
PROXY = ("abc.p1.example", 80)


def adopting(phase: str = "Pending", **fields: Any) -> Lease:
    """A lease that takes over deployment 100."""
    made = lease(phase, **fields)
    return replace(made, spec=replace(made.spec, adopts=Adopt(deployment="100")))


@pytest.mark.parametrize(
    ("service", "external_port", "found"),
    [
        (ServiceStatus(available=1, ports=(RAW,)), None, ("p1.example", 31234, False)),
        (ServiceStatus(available=1, ports=(RAW,)), 9000, ("p1.example", 31234, False)),
        (ServiceStatus(available=1, ports=(replace(RAW, port=9000),)), 9000, None),
        (ServiceStatus(available=1, ports=(RAW,)), 80, None),
        (ServiceStatus(available=1, hosts=(PROXY,)), None, (*PROXY, True)),
        (ServiceStatus(available=1, hosts=(PROXY,)), 80, (*PROXY, True)),
        (
            ServiceStatus(available=1, ports=(RAW,), hosts=(PROXY,)),
            None,
            ("p1.example", 31234, False),
        ),
        (ServiceStatus(available=1, ports=(RAW,), hosts=(PROXY,)), 80, (*PROXY, True)),
        (ServiceStatus(available=0), None, None),
    ],
)
def test_a_forwarded_port_goes_before_the_provider_s_proxy_unless_that_is_meant(
    service: ServiceStatus, external_port: int | None, found: tuple[str, int, bool] | None
) -> None:
    expected = (
        EndpointStatus(host=found[0], port=found[1], ingress=found[2])
        if found is not None
        else None
    )
    assert endpoint_of(service, 8000, external_port) == expected


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("abc.p1.example", ("abc.p1.example", 80)),
        ("127.0.0.1:31000", ("127.0.0.1", 31000)),
        ("abc.p1.example:70000", None),
        ("user@abc.p1.example", None),
        ("http://abc.p1.example/x", None),
        ("", None),
    ],
)
def test_a_provider_s_host_names_are_read_without_trust(
    uri: str, host: tuple[str, int] | None
) -> None:
    found = service_status({"services": {"web": {"available": 1, "uris": [uri]}}}, "a status")
    assert (found.name, found.hosts) == ("web", (host,) if host is not None else ())


@pytest.mark.parametrize(
    ("reason", "was_ready", "ends"),
    [
        ("StartupFailed", False, False),
        ("ProviderUnreachable", False, False),
        ("BenchmarkFailed", False, False),
        ("UnsafeDestination", False, False),
        ("LeaseClosed", False, True),
        ("EscrowExhausted", False, True),
        ("StartupFailed", True, True),
    ],
)
def test_until_it_was_ready_only_the_market_ends_it(
    reason: str, *, was_ready: bool, ends: bool
) -> None:
    timings = (TimingStatus(phase="Ready", at=NOW),) if was_ready else ()
    o = observation(adopting("Verifying", deployment=RECORD, timings=timings))
    broken = Step(status=failed(o.status, reason, "so it is", "Undecided", NOW))
    taken = spared(o, broken)
    assert (taken.status.failure is not None) == ends
    if not ends:
        again = replace(
            o, lease=replace(o.lease, status=taken.status), now=NOW + timedelta(hours=1)
        )
        assert spared(again, broken).status == taken.status, "said once"


def test_one_that_was_ordered_is_not_spared() -> None:
    o = observation(lease("Verifying", deployment=RECORD))
    broken = Step(status=failed(o.status, "StartupFailed", "so it is", "Undecided", NOW))
    assert spared(o, broken) == broken


def test_without_a_grant_nothing_is_recorded() -> None:
    running = deployment(market_lease(), marker="dcloud")
    payer = account(adoption="Allow")
    o = observation(adopting(), account=payer, deployment=running)
    taken = pending(o)
    assert (taken.status.deployment, taken.status.failure, taken.action) == (None, None, None)


@pytest.mark.parametrize(
    ("known", "reason"),
    [((), None), (("prod/other",), "AdoptionRefused"), (("prod/gone",), None)],
    ids=["it only asked", "it has it", "another had it"],
)
def test_who_asks_second_is_refused_only_once_the_first_has_it(
    known: tuple[str, ...], reason: str | None
) -> None:
    rival = Grant(
        lease="another-uid",
        namespace="prod",
        name="other",
        attempt=0,
        price_per_hour="1.00",
        at=NOW,
        adopts="100",
    )
    adopted = tuple(AdoptedStatus(deployment="100", lease=each, at=NOW) for each in known)
    payer = account(adoption="Allow")
    payer = replace(payer, status=replace(payer.status, grants=(rival,), adopted=adopted))
    taken = pending(observation(adopting(), account=payer, deployment=deployment(market_lease())))
    failure = taken.status.failure
    assert (failure.reason if failure else None) == reason
    assert (taken.status.deployment, taken.action) == (None, None)


def test_a_deployment_is_granted_once_and_holds_up_nobody() -> None:
    def request(name: str, adopts: str | None = None) -> Request:
        return Request(
            lease=name,
            namespace="prod",
            name=name,
            attempt=0,
            price_per_hour=MicroUSD(1_000_000),
            adopts=adopts,
        )

    requests = [request("a", "100"), request("b", "100"), request("c")]
    grants, _, refused = grant_all(requests, limits(), AccountStatus(), NOW)
    assert [(each.lease, each.adopts) for each in grants] == [("a", "100"), ("c", None)]
    assert refused is None


REFUSED = LeaseFailure(reason="AdoptionRefused", message="so it is", blame="Nobody", at=NOW)


@pytest.mark.parametrize(
    ("case", "owner", "listed", "released", "kinds"),
    [
        ("held", adopting("Ready", deployment=RECORD), True, False, []),
        ("held, and not listed yet", adopting("Ready", deployment=RECORD), False, False, []),
        ("over", adopting("Failed", deployment=RECORD, closed_at=NOW), False, False, ["Foreign"]),
        ("nobody's yet", adopting(), False, False, ["Foreign"]),
        ("removed by force", None, True, False, ["Orphan"]),
        ("let go on purpose", None, True, True, ["Released"]),
        ("to be adopted again", adopting(), True, False, ["Foreign"]),
        ("refused a second time", adopting("Failed", failure=REFUSED), True, False, ["Orphan"]),
        ("not wanted again", adopting(deleting=True), True, False, ["Orphan"]),
        ("another one's lease", lease("Ready"), True, False, ["Orphan"]),
    ],
)
def test_whose_an_adopted_deployment_is(
    case: str, owner: Lease | None, *, listed: bool, released: bool, kinds: list[str]
) -> None:
    found = strangers(
        [deployment(marker="dcloud")],
        {owner.meta.uid: owner} if owner is not None else {},
        installation=INSTALLATION,
        released=frozenset({"100"} if released else ()),
        adopted=frozenset({"100"} if listed else ()),
    )
    assert [each.kind for each in found] == kinds, case


def listed(number: str, after: float = 0) -> AdoptedStatus:
    return AdoptedStatus(deployment=number, lease="prod/chat-1", at=at(after))


@pytest.mark.parametrize(
    ("case", "known", "leases", "expected"),
    [
        ("adopted now", [], [adopting("Deploying", deployment=RECORD)], [listed("100", 9)]),
        ("known", [listed("100")], [adopting("Ready", deployment=RECORD)], [listed("100")]),
        ("removed by force", [listed("100")], [], [listed("100")]),
        (
            "closed",
            [listed("100")],
            [adopting("Closed", deployment=RECORD, closed_at=NOW)],
            [],
        ),
        (
            "let go, and adopted again",
            [listed("100")],
            [
                adopting("Closed", deployment=RECORD, closed_at=NOW),
                adopting("Ready", deployment=RECORD, uid="another"),
            ],
            [listed("100")],
        ),
        ("only wished for", [], [adopting()], []),
        ("ordered", [], [lease("Ready", deployment=RECORD)], []),
    ],
)
def test_an_account_lists_what_is_adopted_until_its_end_was_verified(
    case: str, known: list[AdoptedStatus], leases: list[Lease], expected: list[AdoptedStatus]
) -> None:
    assert records(known, leases, at(9)) == tuple(expected), case


def test_the_list_is_bounded_by_what_is_oldest() -> None:
    known = [listed(str(number)) for number in range(1000, 1000 + MAX_RECORDS)]
    found = records(known, [adopting("Ready", deployment=RECORD)], at(9))
    assert (len(found), found[0], found[-1]) == (MAX_RECORDS, known[1], listed("100", 9))


@pytest.mark.parametrize(
    ("case", "leases", "open_now", "began", "is_kept"),
    [
        ("open", [], {"100"}, 500, True),
        ("held by a lease", [adopting("Ready", deployment=RECORD)], set(), 500, True),
        ("ended unseen", [], set(), 60, False),
        ("the list may be older than the record", [], set(), 59, True),
    ],
)
def test_what_the_market_lists_no_longer_is_forgotten(
    case: str, leases: list[Lease], open_now: set[str], began: float, *, is_kept: bool
) -> None:
    known = (listed("100"),)
    left = without_ended(
        known, leases, frozenset(open_now), began=at(began), horizon=timedelta(seconds=60)
    )
    assert left == (known if is_kept else ()), case
