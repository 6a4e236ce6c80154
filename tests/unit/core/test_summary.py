"""A workload's status never claims more than is so, and says one thing at a time."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.lease import PHASES, BenchmarkStatus, EndpointStatus, Lease, LeaseFailure
from garrison.api.parsing import dump, parse
from garrison.api.workload import (
    STATUS_ADAPTER,
    Benchmark,
    FailureStatus,
    ReplicaStatus,
    Workload,
    WorkloadStatus,
)
from garrison.core.benchmark import SERVES_ON
from garrison.core.fleet import Fleet
from garrison.core.situation import Problem, Routing, Situation
from garrison.core.summary import is_passing, summarise
from tests.builders import IMAGE, NOW, at, lease, workload

REFUSED = Problem(reason="PolicyNotFound", message="create it or change the reference")
BLOCKED = Problem(reason="AccountNotReady", message="create the Secret")
WAITING = Problem(reason="CheckingImage", message="checking it")
NOWHERE = Routing(routed=False, reason="UnroutableAddress", message="use garrison connect")
ENDPOINT = EndpointStatus(host="p1.example", port=31000)


STRICT = Benchmark(api="OpenAI", min_tokens_per_second=80)


def replica(name: str = "chat-1", phase: str = "Ready", **fields: Any) -> Lease:
    given = {"revision": "new", "provider": "p1", "price_per_hour": "1.50", **fields}
    return lease(phase, name=name, uid=f"uid-{name}", endpoint=ENDPOINT, **given)


def seen(*leases: Lease, of: Workload | None = None, **fields: Any) -> Situation:
    base = Situation(
        workload=of or workload(),
        now=NOW,
        fleet=Fleet(ledger=(), sequence=0),
        leases=leases,
        accepted="new",
        accepted_image=IMAGE,
        is_accepted=True,
        problem=None,
        waiting=None,
        blocked=None,
        routing=None,
    )
    return replace(base, **fields)


def conditions(status: WorkloadStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in status.conditions}


def blamed() -> Fleet:
    failures = tuple(
        FailureStatus(
            lease=f"u{name}",
            revision="new",
            provider=name,
            reason="Unhealthy",
            blame="Revision",
            at=NOW,
        )
        for name in ("p1", "p2")
    )
    return Fleet(ledger=(), sequence=2, failures=failures)


def scaled(replicas: int) -> Workload:
    return workload(replicas=replicas)


def leaving() -> Workload:
    of = workload()
    return replace(of, meta=replace(of.meta, deleting=True))


CASES: list[tuple[str, Situation, str, str, str]] = [
    (
        "nothing yet",
        seen(accepted=None, is_accepted=False),
        "Pending",
        "Progressing",
        "NoReplicaReady",
    ),
    ("bidding", seen(replica(phase="Bidding")), "Bidding", "Progressing", "NoReplicaReady"),
    ("serving", seen(replica()), "Serving", "Serving", "Serving"),
    ("zero wanted", seen(of=scaled(0)), "ScaledToZero", "ScaledToZero", "NoReplicaReady"),
    ("one of two", seen(replica(), of=scaled(2)), "Serving (updating)", "Progressing", "Serving"),
    (
        "still the old one",
        seen(replica(revision="old")),
        "Serving (updating)",
        "Progressing",
        "Serving",
    ),
    (
        "a bad edit while serving",
        seen(replica(), problem=REFUSED, is_accepted=False),
        "Serving (spec refused)",
        "PolicyNotFound",
        "Serving",
    ),
    (
        "a bad spec",
        seen(problem=REFUSED, accepted=None),
        "Stalled",
        "PolicyNotFound",
        "NoReplicaReady",
    ),
    ("to blame itself", seen(fleet=blamed()), "Stalled", "RevisionFailed", "NoReplicaReady"),
    (
        "an edit being checked",
        seen(replica(), waiting=WAITING, is_accepted=False),
        "Serving (updating)",
        "CheckingImage",
        "Serving",
    ),
    (
        "an account without a key",
        seen(blocked=BLOCKED),
        "Stalled",
        "AccountNotReady",
        "NoReplicaReady",
    ),
    (
        "the same, while all serve",
        seen(replica(), blocked=BLOCKED),
        "Serving",
        "Serving",
        "Serving",
    ),
    ("deleted", seen(replica(), of=leaving()), "Closing", "Deleting", "Serving"),
]


@pytest.mark.parametrize(
    ("case", "s", "phase", "ready", "available"), CASES, ids=lambda each: str(each)[:24]
)
def test_what_a_person_reads(
    case: str, s: Situation, phase: str, ready: str, available: str
) -> None:
    status = summarise(s)
    found = conditions(status)
    assert (status.phase, found["Ready"][1], found["Available"][1]) == (phase, ready, available), (
        case
    )


def test_columns() -> None:
    status = summarise(seen(replica("chat-1"), replica("chat-2", provider="p2"), of=scaled(2)))
    assert (status.ready, status.price_per_hour, status.providers) == ("2/2", "3.00", "p1,p2")
    assert (status.ready_replicas, status.replicas, status.served_revision) == (2, 2, "new")


@pytest.mark.parametrize(
    ("trust", "says"),
    [("Unverified", "unencrypted, unauthenticated"), ("Verified", "mutual TLS")],
)
def test_ready_says_how_replicas_are_reached(trust: str, says: str) -> None:
    found = summarise(seen(replica(), workload=workload(trust=trust))).conditions
    (ready,) = [each for each in found if each.type == "Ready"]
    assert says in ready.message


def test_a_blamed_revision_names_the_places_the_failure_and_the_remedy() -> None:
    (ready,) = [each for each in summarise(seen(fleet=blamed())).conditions if each.type == "Ready"]
    assert all(each in ready.message for each in ("p1, p2", "Unhealthy", "fix image, command"))


def test_an_unroutable_replica_shows_no_url() -> None:
    there = Routing(routed=True, reason="Routed", message="", url="http://chat.prod")
    assert summarise(seen(replica(), routing=there)).url == "http://chat.prod"
    nowhere = summarise(seen(replica(), routing=NOWHERE))
    assert nowhere.url is None
    assert conditions(nowhere)["Routed"] == ("False", "UnroutableAddress")


def test_the_slowest_replica_speaks_for_the_benchmark() -> None:
    def measured(rate: str) -> BenchmarkStatus:
        return BenchmarkStatus(
            passed=True,
            tokens_per_second=rate,
            time_to_first_token_milliseconds=1,
            requests=4,
            at=NOW,
        )

    asked = workload(replicas=2, benchmark=Benchmark(api="OpenAI"))
    both = [
        replica("chat-1", benchmark=measured("100.0")),
        replica("chat-2", benchmark=measured("65.0")),
    ]
    (found,) = [
        each
        for each in summarise(seen(*both, of=asked)).conditions
        if each.type == "BenchmarkPassed"
    ]
    assert (found.status, found.reason) == ("True", "ThresholdsMet")
    assert "65.0 tokens/s" in found.message
    raised = replace(asked, spec=replace(asked.spec, benchmark=STRICT))
    (found,) = [
        each
        for each in summarise(seen(*both, of=raised)).conditions
        if each.type == "BenchmarkPassed"
    ]
    assert (found.status, found.reason) == ("False", "ThresholdsMissed")
    assert "65.0 tokens/s, wanted at least 80" in found.message
    assert "repeatEverySeconds" in found.message
    one = summarise(seen(both[0], replica("chat-2"), of=asked))
    assert conditions(one)["BenchmarkPassed"] == ("Unknown", "NotMeasured")


@pytest.mark.parametrize(
    ("requests", "reason", "remedy"),
    [(4, "ThresholdsMissed", "lower the threshold"), (0, "BenchmarkNoAnswer", "benchmark.model")],
)
def test_a_replica_that_waits_for_its_successor_is_available(
    requests: int, reason: str, remedy: str
) -> None:
    slow = BenchmarkStatus(
        passed=False,
        tokens_per_second="65.0",
        time_to_first_token_milliseconds=1,
        requests=requests,
        message="m",
        at=NOW,
    )
    status = summarise(seen(replica(benchmark=slow), of=workload(benchmark=STRICT)))
    assert conditions(status)["Available"] == ("True", "Serving")
    assert conditions(status)["BenchmarkPassed"] == ("False", reason)
    (found,) = [each for each in status.conditions if each.type == "BenchmarkPassed"]
    assert SERVES_ON in found.message
    assert remedy in found.message


def anything(seed: int) -> Situation:
    """Any leases, any trouble."""
    dice = random.Random(seed)

    def maybe(value: Any, chance: float = 0.2) -> Any:
        return value if dice.random() < chance else None

    leases = [
        replica(
            f"chat-{number}",
            dice.choice(PHASES),
            revision=dice.choice(["new", "old"]),
            failure=maybe(
                LeaseFailure(reason="Unhealthy", message="x" * 900, blame="Undecided", at=NOW)
            ),
            deleting=dice.random() < 0.2,
            price_per_hour=dice.choice(["0.50", "9999999.999999"]),
        )
        for number in range(dice.randint(0, 5))
    ]
    of = workload(
        replicas=dice.randint(0, 3), benchmark=Benchmark(api=dice.choice(["OpenAI", "None"]))
    )
    return seen(
        *(
            replace(each, status=replace(each.status, closed_at=NOW))
            if each.status.phase in {"Closed", "Failed"}
            else each
            for each in leases
        ),
        of=replace(of, meta=replace(of.meta, deleting=dice.random() < 0.15)),
        problem=maybe(Problem(reason="PolicyNotFound", message="y" * 3000)),
        waiting=maybe(WAITING),
        blocked=maybe(BLOCKED),
        routing=maybe(NOWHERE),
        fleet=maybe(blamed()) or Fleet(ledger=(), sequence=0),
        is_accepted=dice.random() < 0.7,
        accepted=maybe("new", 0.9),
    )


@settings(deadline=None, max_examples=200)
@given(seed=st.integers(0, 2**32))
def test_never_claims_more_than_is_so(seed: int) -> None:
    s = anything(seed)
    status = summarise(s)
    found = conditions(status)
    serving = [
        each
        for each in s.leases
        if each.status.phase == "Ready" and not each.status.failure and not each.meta.deleting
    ]
    assert (found["Available"][0] == "True") == bool(serving)
    assert status.ready_replicas == len(serving)
    if found["Ready"][0] == "True":
        assert s.problem is None
        assert len(serving) >= s.workload.spec.replicas
        assert {each.spec.revision for each in serving} <= {s.accepted}
        assert not s.workload.meta.deleting
    if s.problem is not None:
        assert found["Stalled"] == ("True", s.problem.reason)
        assert found["Ready"] == ("False", s.problem.reason)
    told = [found["Ready"][0] == "True", "Stalled" in found, "Reconciling" in found]
    assert sum(told) == 1 or s.workload.meta.deleting
    assert len(found) == len(status.conditions)
    assert parse(STATUS_ADAPTER, dump(STATUS_ADAPTER, status), "status") == status


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_at_rest_the_status_repeats_itself(seed: int) -> None:
    s = anything(seed)
    once = summarise(s)
    later = replace(s, workload=replace(s.workload, status=once), now=at(3600))
    assert summarise(later) == once


def told(phase: str, **fields: Any) -> WorkloadStatus:
    """What is told of a workload whose only replica is in a phase."""
    one = ReplicaStatus(name="chat-1", uid="uid-chat-1", revision="new", phase=phase)
    return summarise(seen(replica(phase=phase), fleet=Fleet(ledger=(one,), sequence=1), **fields))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (told("Bidding"), told("Bidding"), False),
        (told("Bidding"), told("Verifying"), True),
        (told("Verifying"), told("Ready"), False),
        (told("Verifying"), told("Failed"), False),
        (told("Bidding"), told("Bidding", problem=REFUSED), False),
        (told("Bidding"), told("Leasing", blocked=BLOCKED), False),
        (told("Bidding"), replace(told("Leasing"), url="http://chat"), False),
        (told("Bidding"), replace(told("Leasing"), observed_generation=9), False),
        (told("Bidding"), told("Leasing", waiting=WAITING), True),
        (WorkloadStatus(), summarise(seen(waiting=WAITING, accepted=None)), True),
        (WorkloadStatus(), summarise(seen(problem=REFUSED, accepted=None)), False),
        (WorkloadStatus(), told("Pending", waiting=WAITING), False),
    ],
)
def test_only_what_is_on_its_way_may_wait_to_be_told(
    old: WorkloadStatus, new: WorkloadStatus, expected: bool
) -> None:
    assert is_passing(old, new) is expected


@pytest.mark.parametrize(
    "change",
    [
        {"uid": "uid-other"},
        {"name": "chat-2"},
        {"revision": "newer"},
        {"adopts": "17"},
    ],
)
def test_what_the_ledger_names_is_written_at_once(change: dict[str, Any]) -> None:
    old = told("Bidding")
    new = told("Leasing")
    assert is_passing(old, new)
    assert not is_passing(old, replace(new, leases=(replace(new.leases[0], **change),)))
