"""An SDL becomes workloads that our schema takes; what is lost is said, and no secret is printed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from devenv.checkout import ROOT
from garrison.adapters.akash.conversion import convert, convert_text
from garrison.adapters.akash.sdl import Sdl, parse
from garrison.api.policy import parse_policy
from garrison.api.workload import Workload, parse_workload
from tests.unit.adapters.akash.sdl.documents import BASE, changed, sdls

VECTORS = ROOT / "tests" / "conformance" / "akash" / "vectors"
ACCEPTED = sorted(path.parent for path in VECTORS.glob("v2*/input.yaml"))
SERVER = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}


def accepted(text: str) -> list[Workload]:
    """Return the workloads of a text after our schema took every document."""
    workloads = []
    for raw in yaml.safe_load_all(text):
        stored = {**raw, "metadata": {**raw["metadata"], "namespace": "prod", **SERVER}}
        if raw["kind"] == "ProviderPolicy":
            parse_policy(stored)
        else:
            workloads.append(parse_workload(stored))
    return workloads


def only(*edits: tuple[str, str]) -> tuple[dict[str, Any], str]:
    """Return spec and notes of the base document's one workload."""
    (converted,) = convert(parse(changed(*edits)))
    accepted(convert_text(parse(changed(*edits))))
    return converted.body["spec"], "\n".join(converted.notes)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: str(case.name))
def test_every_vector_becomes_workloads(case: Any) -> None:
    sdl = parse((case / "input.yaml").read_bytes())
    assert len(accepted(convert_text(sdl))) == len(list(sdl.units()))


@settings(max_examples=40)
@given(sdls())
def test_every_document_becomes_workloads(sdl: Sdl) -> None:
    workloads = accepted(convert_text(sdl))
    assert len(workloads) == len({each.meta.name for each in workloads}) == len(list(sdl.units()))


def test_what_has_a_counterpart_is_kept() -> None:
    spec, notes = only(
        ("image: nginx:1.27.3", f"image: ghcr.io/a/b@sha256:{'a' * 64}\n    args: [serve]"),
        ("as: 80\n", "\n"),
        ("units: 1}", "units: 1.5}"),
        ("count: 1", "count: 3"),
        ("amount: 1}", "amount: 10000.5}"),
    )
    assert spec["args"] == ["serve"]
    assert (spec["replicas"], spec["port"]) == (3, 80)
    assert spec["resources"] == {"cpu": "1500m", "memory": "512Mi", "storage": "512Mi"}
    assert spec["budget"] == {"maxPricePerHour": "6.0003"}
    assert notes == ""


@pytest.mark.parametrize(
    ("image", "becomes"),
    [
        ("nginx:1.27.3", "docker.io/library/nginx:1.27.3@"),
        ("vllm/vllm-openai", "docker.io/vllm/vllm-openai@"),
        ("localhost:5000/a", "localhost:5000/a@"),
        ("UPPER", "registry.example/replace-me@"),
    ],
)
def test_an_image_needs_a_digest(image: str, becomes: str) -> None:
    spec, notes = only(("nginx:1.27.3", image))
    assert spec["image"] == becomes + "sha256:" + "0" * 64
    assert "services.web.image" in notes


@pytest.mark.parametrize(
    "secret",
    [
        "env: [HF_TOKEN=canary]",
        "env: [DATABASE=postgres://user:canary@db/x]",
        "env: [KEY=sk-canary]",
        "args: [--api-key, canary]",
        "args: [--api-key=canary]",
        "args: [serve, hf_canary]",
        "credentials: {host: h, username: u, password: canary}",
    ],
)
def test_no_credential_is_printed(secret: str) -> None:
    sdl = parse(changed(("image: nginx:1.27.3", f"image: a\n    {secret}")))
    text = convert_text(sdl)
    assert "canary" not in text
    assert "left out" in text
    assert accepted(text)


def test_an_ordinary_variable_is_kept() -> None:
    spec, _ = only(("image: nginx:1.27.3", "image: a\n    env: [RISK=task-force, EMPTY, B=a=b]"))
    assert spec["env"] == [
        {"name": "RISK", "value": "task-force"},
        {"name": "EMPTY", "value": ""},
        {"name": "B", "value": "a=b"},
    ]


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ((("as: 80", "as: 81"),), "`as: 81` has no counterpart"),
        ((("as: 80", "accept: [a.b]"),), "host names a.b"),
        ((("as: 80", "http_options: {next_tries: 5}"),), "http_options"),
        ((("- global: true", "- global: true\n          - service: web"),), "`service: web`"),
        ((("image: nginx:1.27.3", "image: a\n    params: {tee: cpu}"),), "NOT asked for"),
        ((("image: nginx:1.27.3", "image: a\n    dependencies: [{service: web}]"),), "no effect"),
        ((("denom: uact", "denom: uakt"),), "no fixed value in dollars"),
        ((("count: 1", "count: 51"),), "51 is more than 50"),
        ((("units: 1}", "units: 1, attributes: {arch: arm64}}"),), "arch arm64"),
    ],
)
def test_what_is_lost_is_said(edits: tuple[tuple[str, str], ...], said: str) -> None:
    _, notes = only(*edits)
    assert said in notes


def test_what_the_document_says_beside_its_services_is_said() -> None:
    sdl = parse(BASE + "reclamation: {min_window: 2h}\ninclude: [other.yaml]\n")
    (converted,) = convert(sdl)
    assert {each.partition(":")[0] for each in converted.notes} >= {"reclamation", "include"}


def test_a_service_in_two_placements_becomes_two_workloads() -> None:
    text = changed(
        (
            "    p:\n      pricing",
            "    Q_1:\n      signedBy: {anyOf: [akash1a]}\n      pricing:\n        web: {denom: uact, amount: 2}\n    p:\n      pricing",
        ),
        ("    p: {profile", "    Q_1: {profile: web, count: 1}\n    p: {profile"),
    )
    policy, first, second = convert(parse(text))
    assert policy.body["metadata"]["name"] == "q-1"
    assert policy.body["spec"] == {"auditedBy": ["akash1a"]}
    assert first.body["spec"]["providerPolicyRef"] == {"name": "q-1"}
    assert [each.body["metadata"]["name"] for each in (first, second)] == ["web-q-1", "web-p"]
    assert "providerPolicyRef" not in second.body["spec"]


def test_a_comment_cannot_be_left() -> None:
    sdl = parse(changed(("image: nginx:1.27.3", 'image: "a\\nkind: Evil\\u2028x"')))
    text = convert_text(sdl)
    assert [raw["kind"] for raw in yaml.safe_load_all(text)] == ["InferenceWorkload"]
    assert "\nkind: Evil" not in text
