"""Every YAML block is one that the API server would take, or a configuration that loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from akash_sandbox.settings import load_settings
from devenv.checkout import ROOT
from garrison.api.account import parse_account
from garrison.api.egress import parse_egress_policy
from garrison.api.policy import parse_policy
from garrison.api.schema import crds
from garrison.api.secret import parse_rotating_secret
from garrison.api.workload import parse_workload
from kube_light.schema import check, unknown_fields
from tests.docs.document import document, documents

BLOCKS = [
    pytest.param(block.text, id=f"{each}-{number}")
    for each in documents()
    for number, block in enumerate(each.blocks)
    if block.language == "yaml"
]
SCHEMAS: dict[str, dict[str, Any]] = {
    each["spec"]["names"]["kind"]: each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for each in crds()
}
PARSERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "InferenceWorkload": parse_workload,
    "AkashAccount": parse_account,
    "ProviderPolicy": parse_policy,
    "EgressPolicy": parse_egress_policy,
    "RotatingSecret": parse_rotating_secret,
}
STORED = {
    "uid": "u",
    "resourceVersion": "1",
    "generation": 1,
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks_are_valid(text: str, tmp_path: Path) -> None:
    body = yaml.safe_load(text)
    if "kind" not in body:
        file = tmp_path / "market.yaml"
        file.write_text(text)
        assert load_settings(file).providers
        return
    schema = SCHEMAS[body["kind"]]
    assert check(schema, body) == []
    assert unknown_fields(schema, body) == []
    stored = {**body, "metadata": {**body["metadata"], **STORED}}
    assert PARSERS[body["kind"]](stored)


def test_the_readme_shows_the_example_workload() -> None:
    (shown,) = [each.text for each in document("README.md").blocks if each.language == "yaml"]
    assert shown == (ROOT / "docs" / "examples" / "20-workload.yaml").read_text()
    assert len(shown.splitlines()) <= 10


def test_the_first_account_is_the_example() -> None:
    first = next(
        each.text for each in document("docs/first-workload.md").blocks if each.language == "yaml"
    )
    example = (ROOT / "docs" / "examples" / "00-account.yaml").read_text()
    assert yaml.safe_load(first) == yaml.safe_load(example)
