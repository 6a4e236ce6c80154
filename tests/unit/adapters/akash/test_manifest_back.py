"""From what a provider keeps of a manifest back to an SDL: either the same hash again, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devenv.checkout import ROOT
from garrison.adapters.akash.conversion import sdl_of_manifest
from garrison.adapters.akash.orders import compiled
from garrison.adapters.akash.sdl import compile_sdl
from tests.unit.adapters.orders import H100, order

VECTORS = ROOT / "tests" / "conformance" / "akash" / "vectors"
ALONE = [
    "v20-credentials",
    "v20-empty-lists",
    "v20-env-escapes",
    "v20-gpu-any-nvidia",
    "v20-gpu-model-ram-interface",
    "v20-http-options-full",
    "v20-minimal",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ),
    max_leaves=12,
)


def kept(manifest: list[dict[str, Any]]) -> str:
    """The manifest without the endpoints of its resources, as a provider's cluster keeps it."""
    groups = json.loads(json.dumps(manifest))
    for service in (service for group in groups for service in group["services"]):
        service["resources"]["endpoints"] = None
    return json.dumps(groups)


@pytest.mark.parametrize("name", ALONE)
def test_one_service_comes_back_with_its_hash(name: str) -> None:
    manifest = json.loads((VECTORS / name / "manifest.json").read_text())
    found = sdl_of_manifest(kept(manifest), 5000)
    assert found is not None
    assert compile_sdl(found).version == (VECTORS / name / "version.txt").read_text().strip()


@pytest.mark.parametrize("gpu", [None, H100])
def test_an_order_of_ours_comes_back(gpu: Any) -> None:
    made = compiled(order(gpu=gpu, args=("--fast",), env=(("A", "b=c"),)))
    found = sdl_of_manifest(kept(made.manifest), 5000)
    assert found is not None
    assert compile_sdl(found).version == made.version


@pytest.mark.parametrize(
    "path", sorted(VECTORS.glob("*/manifest.json")), ids=lambda p: p.parent.name
)
def test_whatever_a_provider_keeps_is_read_or_refused(path: Any) -> None:
    """A wrong reading is no harm: its hash is not the deployment's."""
    found = sdl_of_manifest(kept(json.loads(path.read_text())), 5000)
    assert found is None or len(found.services) == 1


@given(JSON)
def test_nonsense_is_refused(value: Any) -> None:
    assert sdl_of_manifest(json.dumps(value), 1) is None
    assert sdl_of_manifest(json.dumps([{"name": "g", "services": [value]}]), 1) is None
