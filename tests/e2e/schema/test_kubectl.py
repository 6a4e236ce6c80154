"""What people see and do with kubectl."""

from __future__ import annotations

import json

import pytest

from devenv.checkout import ROOT
from garrison.adapters.kube.client import KubeClient
from garrison.api.meta import WORKLOAD, Kind
from garrison.api.schema import DEFINITIONS, Definition
from tests.e2e.schema.conftest import Kubectl
from tests.unit.api.specs import MINIMAL, body

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("controlplane")]

EXAMPLES = str(ROOT / "docs" / "examples")


@pytest.fixture
def examples(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", EXAMPLES)


def test_examples_are_accepted_twice(kubectl: Kubectl, examples: None) -> None:
    lines = kubectl("apply", "-f", EXAMPLES).splitlines()
    assert lines
    assert all(line.endswith(" unchanged") for line in lines)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
def test_the_columns_answer_the_first_question(kubectl: Kubectl, definition: Definition) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(body(definition.kind, _spec(definition), "seen")))
    header = kubectl("get", definition.short, "-A").splitlines()[0].split()
    wide = kubectl("get", definition.short, "-A", "-o", "wide").splitlines()[0].split()
    every = [each.name for each in definition.columns]
    narrow = [each.name for each in definition.columns if not each.wide]
    assert header[-len(narrow) :] == narrow
    assert wide[-len(every) :] == every


def _spec(definition: Definition) -> dict[str, object]:
    return MINIMAL[definition.kind.kind]


def test_the_category_lists_every_kind(kubectl: Kubectl, examples: None) -> None:
    listed = kubectl("get", "garrison", "-A", "-o", "name")
    assert "akashaccount.garrison.dev/treasury" in listed
    assert "inferenceworkload.garrison.dev/chat" in listed
    assert "providerpolicy.garrison.dev/reliable" in listed


def test_scale_sets_replicas(kubectl: Kubectl, examples: None) -> None:
    kubectl("scale", "--namespace", "prod", "iw/chat", "--replicas=3")
    path = "-o=jsonpath={.spec.replicas}"
    assert kubectl("get", "--namespace", "prod", "iw/chat", path) == "3"


async def test_status_is_shown_and_conditions_can_be_waited_for(
    kube: KubeClient, kubectl: Kubectl
) -> None:
    made = await kube.create(WORKLOAD, body(WORKLOAD, MINIMAL[WORKLOAD.kind], "serving"))
    await _report(kube, WORKLOAD, made["metadata"]["resourceVersion"])
    row = kubectl("get", "iw", "serving").splitlines()[1].split()
    assert row[:5] == ["serving", "1/1", "1.84", "https://chat", "Serving"]
    kubectl("wait", "--for=condition=Ready", "iw/serving", "--timeout=5s")


async def _report(kube: KubeClient, kind: Kind, version: str) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Serving",
        "lastTransitionTime": "2026-11-23T12:00:00Z",
    }
    status = {
        "ready": "1/1",
        "pricePerHour": "1.84",
        "url": "https://chat",
        "phase": "Serving",
        "conditions": [ready],
    }
    await kube.replace_status(kind, "default", "serving", status=status, resource_version=version)


def test_explain_tells_what_a_field_is_for(kubectl: Kubectl) -> None:
    assert "Image by digest" in kubectl("explain", "iw.spec.image")
