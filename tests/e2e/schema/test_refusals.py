"""The API server refuses the same bad input as the operator, and names the field and the remedy."""

from __future__ import annotations

import json

import pytest

from garrison.adapters.kube.client import KubeClient
from garrison.api.meta import LEASE, ROTATING, WORKLOAD
from garrison.api.parsing import parse
from garrison.api.schema import DEFINITIONS, Definition
from garrison.api.workload import NAME_REMEDY
from garrison.errors import InvalidSpecError
from garrison.ports.kube import Object
from tests.e2e.schema.conftest import Kubectl
from tests.unit.api.cases import ACCEPTED, NAMES, RULED, Case, derived
from tests.unit.api.specs import FULL, MINIMAL, body, definition_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("controlplane")]


async def refusal_of(kube: KubeClient, case: Case) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        await kube.create(case.kind, body(case.kind, case.spec))
    return str(caught.value)


@pytest.mark.parametrize("case", tuple(derived()), ids=str)
async def test_type_and_bounds(kube: KubeClient, case: Case) -> None:
    assert case.named_for(server=True) in await refusal_of(kube, case)


@pytest.mark.parametrize("case", RULED, ids=str)
async def test_rules(kube: KubeClient, case: Case) -> None:
    refusal = await refusal_of(kube, case)
    assert case.named_for(server=True) in refusal
    assert (case.server_says or case.says) in refusal


@pytest.mark.parametrize("name", NAMES)
async def test_names(kube: KubeClient, name: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        await kube.create(WORKLOAD, body(WORKLOAD, FULL[WORKLOAD.kind], name))
    assert NAME_REMEDY in str(caught.value)


@pytest.mark.parametrize("case", ACCEPTED, ids=str)
async def test_neighbours_are_accepted(kube: KubeClient, case: Case) -> None:
    made = await create(kube, case.kind.kind, case.spec)
    parse(definition_of(case.kind.kind).spec, made["spec"], "spec")


@pytest.mark.parametrize("specs", [FULL, MINIMAL], ids=["full", "minimal"])
@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
async def test_both_sides_read_the_same_with_the_same_defaults(
    kube: KubeClient, definition: Definition, specs: dict[str, Object]
) -> None:
    spec = specs[definition.kind.kind]
    made = await create(kube, definition.kind.kind, spec)
    ours = parse(definition.spec, spec, "spec")
    assert parse(definition.spec, made.get("spec", {}), "spec") == ours


async def create(kube: KubeClient, kind: str, spec: Object) -> Object:
    definition = definition_of(kind)
    made = await kube.create(definition.kind, body(definition.kind, spec))
    meta = made["metadata"]
    await kube.delete(definition.kind, meta.get("namespace", ""), meta["name"])
    return made


def test_a_lease_cannot_change(kubectl: Kubectl) -> None:
    lease = body(LEASE, FULL[LEASE.kind], "chat-fixed")
    kubectl("create", "-f", "-", stdin=_yaml(lease))
    lease["spec"]["account"] = "other"
    with pytest.raises(AssertionError, match="the operator makes a new lease instead"):
        kubectl("apply", "-f", "-", stdin=_yaml(lease))


def test_a_secret_keeps_its_scope_and_may_change_its_source(kubectl: Kubectl) -> None:
    secret = body(ROTATING, {"source": {"type": "Generate"}}, "fixed-scope")
    kubectl("create", "-f", "-", stdin=_yaml(secret))
    for url in ("https://old.example/v1", "https://new.example/v1"):
        secret["spec"] = {"source": {"type": "Webhook", "webhook": {"url": url}}, "scope": "Lease"}
        kubectl("apply", "-f", "-", stdin=_yaml(secret))
    secret["spec"]["scope"] = "Workload"
    with pytest.raises(AssertionError, match="create another RotatingSecret and refer to that"):
        kubectl("apply", "-f", "-", stdin=_yaml(secret))


def test_an_unknown_field_is_refused_by_name(kubectl: Kubectl) -> None:
    workload = body(WORKLOAD, {**FULL[WORKLOAD.kind], "gpus": 1}, "unknown")
    with pytest.raises(AssertionError, match=r'unknown field "spec\.gpus"'):
        kubectl("create", "-f", "-", stdin=_yaml(workload))


def _yaml(document: Object) -> str:
    return json.dumps(document)
