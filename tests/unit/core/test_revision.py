"""Which edits need a new lease: the container fields, and no other."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.container import EnvVar, Metrics, Resources, SecretUse, Template
from garrison.api.meta import LocalRef
from garrison.api.workload import (
    Adopt,
    Benchmark,
    Budget,
    Health,
    Integrity,
    Traffic,
    WorkloadSpec,
    template_of,
)
from garrison.core.revision import HISTORY, lease_name, outdated, revision_name
from tests.builders import IMAGE, spec

ROLLS: dict[str, Any] = {
    "image": IMAGE[:-1] + "b",
    "port": 8001,
    "resources": Resources(cpu="2", memory="1Gi"),
    "image_pull_secrets": (LocalRef(name="login"),),
    "command": ("serve",),
    "args": ("--fast",),
    "env": (EnvVar(name="A", value="1"),),
    "secrets": (SecretUse(rotating_secret_ref=LocalRef(name="hub"), file="token"),),
    "trust": "Unverified",
    "metrics": Metrics(path="/stats"),
}
IN_PLACE: dict[str, Any] = {
    "account_ref": LocalRef(name="other"),
    "replicas": 3,
    "spread": "None",
    "provider_policy_ref": LocalRef(name="eu"),
    "egress_policy_ref": LocalRef(name="hub"),
    "health": Health(period_seconds=1),
    "benchmark": Benchmark(api="OpenAI", min_tokens_per_second=1),
    "integrity": Integrity(paths=("/app/**",)),
    "adopt": Adopt(deployment="1763912345678"),
    "traffic": Traffic(drain_seconds=0),
    "budget": Budget(max_price_per_hour="1"),
    "deletion_policy": "Orphan",
}


def named(**changed: Any) -> str:
    return revision_name("chat", template_of(spec(**changed)))


@pytest.mark.parametrize("field", ROLLS)
def test_a_container_field_makes_a_new_revision(field: str) -> None:
    assert named(**{field: ROLLS[field]}) != named()


@pytest.mark.parametrize("field", IN_PLACE)
def test_every_other_field_applies_in_place(field: str) -> None:
    assert named(**{field: IN_PLACE[field]}) == named()


def test_every_field_of_the_spec_is_in_one_of_the_classes() -> None:
    assert {each.name for each in fields(WorkloadSpec)} == ROLLS.keys() | IN_PLACE.keys()
    assert {each.name for each in fields(Template)} == ROLLS.keys()


def test_the_same_template_has_the_same_name_and_workloads_do_not_share_one() -> None:
    assert named() == named()
    assert revision_name("other", template_of(spec())) != named()
    assert len(revision_name("x" * 253, template_of(spec()))) <= 253


@given(uid=st.uuids(), start=st.integers(0, 10**6))
def test_the_names_of_leases_fit_kubernetes_and_follow_from_uid_and_number(
    uid: object, start: int
) -> None:
    names = [lease_name("chat", str(uid), start + each) for each in range(3)]
    assert names == [lease_name("chat", str(uid), start + each) for each in range(3)]
    assert all(each.startswith("chat-") and each.isascii() for each in names)
    assert len(lease_name("x" * 253, str(uid), start)) <= 253


@given(
    numbers=st.lists(st.integers(0, 1000), unique=True, max_size=12),
    used=st.sets(st.integers(0, 1000)),
)
def test_history_keeps_the_newest_and_whatever_runs(numbers: list[int], used: set[int]) -> None:
    gone = outdated(
        [(str(each), each) for each in numbers], used=frozenset(str(each) for each in used)
    )
    assert set(gone).isdisjoint({str(each) for each in used})
    assert set(gone).isdisjoint({str(each) for each in sorted(numbers)[-HISTORY:]})
    assert len(numbers) - len(gone) <= HISTORY + len(used)
