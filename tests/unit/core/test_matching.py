"""A policy's status: whoever is shut out is counted under the clause that does it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.parsing import dump, parse
from garrison.api.policy import STATUS_ADAPTER, AttributeRequirement, MinUptime, PolicySpec
from garrison.api.provider import AttributeStatus, Provider
from garrison.core.matching import policy_status
from garrison.core.placement import violated
from tests.builders import NOW, at, policy, provider

TIER = AttributeStatus(key="tier", value="1", audited_by=("auditor",))
KNOWN = {
    "good": provider("good", region="eu-west", attributes=(TIER,), uptime7d=999),
    "far": provider("far", region="us-east", attributes=(TIER,), uptime7d=999),
    "shaky": provider("shaky", region="eu-west", attributes=(TIER,), uptime7d=900),
    "new": provider("new", region=None),
}


@pytest.mark.parametrize(
    ("clause", "shut_out"),
    [
        ({"regions": ("eu-west",)}, {"regions": ("far", "new")}),
        ({"attributes": (AttributeRequirement(key="tier", value="1"),)}, {"attributes": ("new",)}),
        (
            {"attributes": (AttributeRequirement(key="tier", value="2"),)},
            {"attributes": ("far", "good", "new", "shaky")},
        ),
        ({"audited_by": ("auditor",)}, {"auditedBy": ("new",)}),
        ({"audited_by": ("somebody",)}, {"auditedBy": ("far", "good", "new", "shaky")}),
        ({"min_uptime": MinUptime(percent="99.0")}, {"minUptime": ("new", "shaky")}),
        ({"min_uptime": MinUptime(percent="99.9")}, {"minUptime": ("new", "shaky")}),
        ({"min_uptime": MinUptime(percent="100")}, {"minUptime": ("far", "good", "new", "shaky")}),
        ({"include": ("good",)}, {"include": ("far", "new", "shaky")}),
        ({"exclude": ("good",)}, {"exclude": ("good",)}),
        ({}, {}),
    ],
)
def test_clauses(clause: dict[str, object], shut_out: dict[str, tuple[str, ...]]) -> None:
    status = policy_status(policy(**clause), KNOWN, NOW)
    assert {each.clause: each.examples for each in status.excluded} == shut_out
    assert status.matching == len(KNOWN) - sum(map(len, shut_out.values()))


def specs() -> st.SearchStrategy[PolicySpec]:
    names = st.lists(st.sampled_from(sorted(KNOWN)), max_size=2).map(tuple)
    return st.builds(
        PolicySpec,
        regions=st.sampled_from([(), ("eu-west",), ("mars",)]),
        audited_by=st.sampled_from([(), ("auditor",)]),
        min_uptime=st.sampled_from([None, MinUptime(percent="99")]),
        include=names,
    )


@given(spec=specs(), known=st.sets(st.sampled_from(sorted(KNOWN))))
def test_everybody_known_matches_or_is_counted_once(spec: PolicySpec, known: set[str]) -> None:
    chosen: dict[str, Provider] = {name: KNOWN[name] for name in known}
    status = policy_status(replace(policy(), spec=spec), chosen, NOW)
    assert status.known == len(known)
    assert status.matching + sum(each.providers for each in status.excluded) == status.known
    assert status.matching == sum(not violated(spec, name, chosen[name]) for name in known)
    assert parse(STATUS_ADAPTER, dump(STATUS_ADAPTER, status), "status") == status


@pytest.mark.parametrize(
    ("spec", "known", "state", "reason"),
    [
        ({}, {}, "Unknown", "NoProviderKnown"),
        ({"regions": ("mars",)}, KNOWN, "False", "NobodyMatches"),
        ({"regions": ("eu-west",)}, KNOWN, "True", "Matching"),
    ],
)
def test_conditions(
    spec: dict[str, object], known: dict[str, Provider], state: str, reason: str
) -> None:
    (ready,) = policy_status(policy(**spec), known, NOW).conditions
    assert (ready.status, ready.reason) == (state, reason)


def test_a_repeated_look_writes_nothing_new() -> None:
    first = policy()
    once = policy_status(first, KNOWN, NOW)
    again = policy_status(replace(first, status=once), KNOWN, at(60))
    assert again == once
