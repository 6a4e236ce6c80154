"""What a workload says whose spec cannot be read, and what it keeps."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.api.meta import Raw
from garrison.controllers.unreadable import unreadable
from tests.builders import NOW

BEFORE = "2026-01-01T00:00:00Z"


def conditions(raw: Raw, why: str = "spec.port is missing") -> dict[str, dict[str, Any]]:
    status = unreadable(raw, why, NOW).status
    assert status is not None
    return {each["type"]: each for each in status["conditions"]}


def workload(*known: tuple[str, str]) -> Raw:
    told = [
        {"type": type_, "status": state, "reason": "Earlier", "lastTransitionTime": BEFORE}
        for type_, state in known
    ]
    meta = {
        "name": "chat",
        "namespace": "prod",
        "uid": "u1",
        "resourceVersion": "9",
        "generation": 7,
        "creationTimestamp": BEFORE,
    }
    return {"metadata": meta, "spec": {}, "status": {"url": "http://chat", "conditions": told}}


def test_it_stalls_and_says_why() -> None:
    found = conditions(workload())
    said = {type_: (each["status"], each["reason"]) for type_, each in found.items()}
    assert said == {"Ready": ("False", "InvalidSpec"), "Stalled": ("True", "InvalidSpec")}
    assert {each["message"] for each in found.values()} == {"spec.port is missing"}
    assert {each["observedGeneration"] for each in found.values()} == {7}


def test_what_runs_is_told_as_before() -> None:
    raw = workload(("Available", "True"), ("Reconciling", "True"), ("Ready", "True"))
    found = conditions(raw)
    assert sorted(found) == ["Available", "Ready", "Stalled"]
    assert found["Available"]["reason"] == "Earlier"
    status = unreadable(raw, "no", NOW).status
    assert status is not None
    assert status["url"] == "http://chat"


@pytest.mark.parametrize(("state", "is_new"), [("False", False), ("True", True)])
def test_the_time_is_that_of_the_change(state: str, is_new: bool) -> None:
    since = conditions(workload(("Ready", state)))["Ready"]["lastTransitionTime"]
    assert (since == BEFORE) != is_new


def test_a_long_explanation_fits_the_schema() -> None:
    assert len(conditions(workload(), "x" * 5000)["Ready"]["message"]) == 1024
