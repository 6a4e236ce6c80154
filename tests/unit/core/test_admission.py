"""The sealed start, step by step: what is missing is done, what is wrong ends the lease with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.egress import Allow, EgressPolicySpec
from garrison.api.lease import EndpointStatus, LeaseEgress, SecretStatus, SentinelStatus
from garrison.core.admission import RENEW_BEFORE, admitting, enrolled, enrolling, launch_of, upkeep
from garrison.core.egress import WantedEgress, digest
from garrison.core.lifecycle import (
    DeliverSecret,
    Enrol,
    Observation,
    SealInstances,
    SetEgress,
    StartWorkload,
    Step,
    Timing,
)
from garrison.core.phase import enter
from garrison.core.rotation import ACKNOWLEDGE, WantedSecret
from garrison.ports.sentinel import EgressView, Enrolment, Launch, SentinelState, View
from tests.builders import NOW, at, lease, observation
from tests.unit.core.inside import DIGEST
from tests.unit.core.observations import SENTINEL

HUB = WantedEgress(
    name="hub", generation=3, spec=EgressPolicySpec(allow=(Allow(host="hub.example"),))
)
IN_FORCE = LeaseEgress(
    policy="hub", generation=3, digest=digest(HUB.spec), version=1, in_force=1, level="Enforced"
)
ENROLLED = SentinelStatus(
    instance="one", key="key-one", certificate_until=NOW + timedelta(hours=12), enrolled_at=NOW
)
KNOWN = replace(ENROLLED, resolvers=("10.96.0.10",))
TIMING = Timing()
SECRET = WantedSecret(name="token", version=4)
TAKEN = SecretStatus(name="token", version=4, wanted=4)


def view(state: SentinelState = SentinelState.ENROLLED, **fields: Any) -> View:
    """What the enrolled instance says, with the wanted policy in force."""
    base = View(
        instance="one",
        state=state,
        digest=DIGEST,
        key="key-one",
        egress=EgressView(version=1, level="Enforced", rung="strict", leaks=(), denied_total=0),
        secrets={"token": 4},
    )
    return replace(base, **fields)


def see(*views: View, phase: str = "Verifying", waited: float = 0.0, **fields: Any) -> Observation:
    """A replica whose policy and secret are as they should be, but for ``fields``."""
    status: dict[str, Any] = {
        "sentinel": ENROLLED,
        "egress": IN_FORCE,
        "secrets": (TAKEN,),
        **fields.pop("status", {}),
    }
    of = lease(provider="p1", control=EndpointStatus(host="p1.example", port=31002), **status)
    of = replace(of, spec=replace(of.spec, sentinel=SENTINEL), status=enter(of.status, phase, NOW))
    given = {
        "now": at(waited),
        "egress": HUB,
        "secrets": (SECRET,),
        "launch": Launch(argv=("serve",), port=8000),
        **fields,
    }
    return observation(of, views=views, **given)


def reason(step: Step | None) -> tuple[str, str]:
    """The reason and blame of a lease that a step ends."""
    assert step is not None
    assert step.status.failure is not None
    assert step.status.failure.message
    return step.status.failure.reason, step.status.failure.blame


@pytest.mark.parametrize(
    ("o", "action"),
    [
        pytest.param(see(phase="Enrolling", status={"sentinel": None}), None, id="nobody yet"),
        pytest.param(
            see(view(key=None), phase="Enrolling", status={"sentinel": None}),
            Enrol(),
            id="somebody new",
        ),
        pytest.param(see(view(instance="two"), phase="Enrolling"), Enrol(), id="after a restart"),
    ],
)
def test_enrolling(o: Observation, action: Enrol | None) -> None:
    found = enrolling(o)
    assert (found.action, found.status.phase) == (action, "Enrolling")


def test_who_is_enrolled_is_verified_next() -> None:
    found = enrolling(see(view(), phase="Enrolling"))
    assert (found.action, found.status.phase) == (None, "Verifying")


OFFERED = replace(TAKEN, version=3, wanted_since=NOW)


@pytest.mark.parametrize(
    ("o", "action"),
    [
        pytest.param(
            see(view(egress=None)), SetEgress(version=1, policy=HUB.spec), id="policy unknown there"
        ),
        pytest.param(
            see(view(egress=EgressView(version=0, level="Enforced", rung="strict"))),
            SetEgress(version=1, policy=HUB.spec),
            id="older policy there",
        ),
        pytest.param(
            see(view(secrets={}), status={"secrets": (OFFERED,)}),
            DeliverSecret(name="token", version=4),
            id="secret not there",
        ),
        pytest.param(
            see(view()),
            StartWorkload(launch=Launch(argv=("serve",), port=8000)),
            id="everything there",
        ),
        pytest.param(see(view(SentinelState.RUNNING)), None, id="it runs"),
        pytest.param(see(view(), launch=None), None, id="how to start it is not known yet"),
    ],
)
def test_what_is_missing_before_the_start_is_done(o: Observation, action: object) -> None:
    found = admitting(o)
    assert (found.action if found is not None else None) == action
    assert found is None or found.status.failure is None


def test_a_policy_and_an_offer_are_on_record_before_they_are_sent() -> None:
    changed = admitting(see(view(), status={"egress": None}))
    assert changed is not None
    assert changed.status.egress is not None
    assert (changed.action, changed.status.egress.version) == (None, 1)
    offered = admitting(see(view(secrets={}), status={"secrets": ()}))
    assert offered is not None
    (record,) = offered.status.secrets
    assert (offered.action, record.version, record.wanted) == (None, 0, 4)


@pytest.mark.parametrize(
    ("o", "expected"),
    [
        pytest.param(
            see(view(digest="e" * 64)), ("SentinelChanged", "Provider"), id="another sentinel"
        ),
        pytest.param(
            see(view(resolvers=("198.51.100.9",)), status={"sentinel": KNOWN}),
            ("ResolversChanged", "Undecided"),
            id="other resolvers than at first",
        ),
        pytest.param(
            see(
                view(SentinelState.SEALED, instance="two", key=None, resolvers=()),
                status={"sentinel": KNOWN},
                phase="Enrolling",
            ),
            ("ResolversChanged", "Undecided"),
            id="none after a restart",
        ),
        pytest.param(
            see(view(sealed_because="ControlLost")),
            ("SentinelSealed", "Undecided"),
            id="it sealed itself",
        ),
        pytest.param(
            see(view(), view(instance="copy")), ("SecondSession", "Provider"), id="a copy"
        ),
        pytest.param(
            see(status={"sentinel": None}, phase="Enrolling", waited=TIMING.enrol_timeout + 1),
            ("SentinelDidNotStart", "Undecided"),
            id="it never came",
        ),
        pytest.param(
            see(
                sentinel_down_since=NOW,
                sentinel_error="refused",
                waited=TIMING.sentinel_grace + 1,
            ),
            ("SentinelUnreachable", "Provider"),
            id="it went silent",
        ),
        pytest.param(
            see(
                sentinel_refused=True,
                sentinel_down_since=NOW,
                sentinel_error="another key",
                waited=TIMING.identity_grace + 1,
            ),
            ("IdentityRefused", "Provider"),
            id="somebody else answers",
        ),
        pytest.param(
            see(view(egress=EgressView(version=1, level="BestEffort", rung="env", leaks=("udp",)))),
            ("EgressNotEnforced", "Provider"),
            id="a machine that enforces too little",
        ),
        pytest.param(
            see(view(), secrets=(WantedSecret(name="token", version=None),), waited=121),
            ("SecretUnavailable", "Nobody"),
            id="a source that gives nothing",
        ),
        pytest.param(
            see(
                view(secrets={}),
                status={"secrets": (OFFERED,)},
                waited=ACKNOWLEDGE.total_seconds() + 1,
            ),
            ("SecretNotAcknowledged", "Undecided"),
            id="a replica that does not take its secret",
        ),
        pytest.param(
            see(view(), launch=Launch(argv=(), port=8000)),
            ("NoCommand", "Revision"),
            id="an image without a command",
        ),
    ],
)
def test_what_is_wrong_ends_the_lease(o: Observation, expected: tuple[str, str]) -> None:
    found = enrolling(o) if o.status.phase == "Enrolling" else admitting(o)
    assert reason(found) == expected


def test_a_copy_gets_both_sealed() -> None:
    found = admitting(see(view(), view(instance="copy")))
    assert found is not None
    assert found.action == SealInstances(reason="SecondSession")


def test_an_enforcement_that_nobody_requires_is_taken_as_it_is() -> None:
    lenient = replace(HUB, spec=replace(HUB.spec, require_enforced=False))
    weak = EgressView(version=1, level="BestEffort", rung="env", leaks=("udp",))
    record = replace(IN_FORCE, digest=digest(lenient.spec))
    found = admitting(see(view(egress=weak), egress=lenient, status={"egress": record}))
    assert found is not None
    assert isinstance(found.action, StartWorkload)
    assert found.status.egress is not None
    assert (found.status.egress.level, found.status.egress.leaks) == ("BestEffort", ("udp",))


def test_a_serving_replica_is_renewed_in_time() -> None:
    left = see(view(SentinelState.RUNNING), phase="Ready")
    assert upkeep(left) is None
    late = replace(left, now=ENROLLED.certificate_until - RENEW_BEFORE + timedelta(seconds=1))
    found = upkeep(late)
    assert found is not None
    assert found.action == Enrol()


def test_a_serving_replica_that_restarted_starts_sealed_again() -> None:
    found = upkeep(see(view(SentinelState.SEALED, instance="two", key=None), phase="Ready"))
    assert found is not None
    assert (found.status.phase, found.status.secrets) == ("Enrolling", (TAKEN,))


def test_a_serving_replica_without_its_next_secret_serves_on() -> None:
    wanted = (WantedSecret(name="token", version=None),)
    assert upkeep(see(view(SentinelState.RUNNING), phase="Ready", secrets=wanted)) is None


@pytest.mark.parametrize(("instance", "restarts", "since"), [("one", 0, NOW), ("two", 1, at(60.0))])
def test_restarts_are_counted_and_renewals_are_not(
    instance: str, restarts: int, since: object
) -> None:
    o = see(view(), waited=60.0)
    value = Enrolment(instance=instance, key="key", certificate_until=at(43_260.0))
    after = enrolled(o, o.status, value).sentinel
    assert after is not None
    assert (after.restarts, after.enrolled_at, after.instance) == (restarts, since, instance)


def test_the_resolvers_of_the_first_instance_are_kept_before_it_is_started() -> None:
    starting = admitting(see(view(resolvers=("10.96.0.10",))))
    assert starting is not None
    assert isinstance(starting.action, StartWorkload)
    assert starting.status.sentinel == KNOWN
    again = see(view(instance="two", resolvers=("10.96.0.10",)), status={"sentinel": KNOWN})
    value = Enrolment(instance="two", key="key-two", certificate_until=at(43_200.0))
    after = enrolled(again, again.status, value).sentinel
    assert after is not None
    assert after.resolvers == ("10.96.0.10",)
    assert enrolling(again).status.failure is None


WORDS = st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple)


@given(command=WORDS, args=WORDS, entrypoint=WORDS, cmd=WORDS)
def test_a_process_is_started_as_a_pod_would(
    command: tuple[str, ...],
    args: tuple[str, ...],
    entrypoint: tuple[str, ...],
    cmd: tuple[str, ...],
) -> None:
    """The table of the Kubernetes documentation, "Define a command and arguments for a container"."""
    argv = launch_of(
        command=command,
        args=args,
        image_entrypoint=entrypoint,
        image_command=cmd,
        env=(),
        port=8000,
        drain_seconds=0,
    ).argv
    match bool(command), bool(args):
        case False, False:
            assert argv == (*entrypoint, *cmd)
        case True, False:
            assert argv == command
        case False, True:
            assert argv == (*entrypoint, *args)
        case _:
            assert argv == (*command, *args)
