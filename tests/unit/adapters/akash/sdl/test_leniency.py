"""What the reference takes in error, or leaves out, is taken with a warning and compiles as it does there."""

from __future__ import annotations

import pytest

from garrison.adapters.akash.sdl import Problem, compile_sdl, parse
from tests.unit.adapters.akash.sdl.documents import BASE, ONE_GPU, changed

GPU_MODELS = "profiles.compute.web.resources.gpu.attributes.vendor.nvidia[0]"
UNMOUNTED = "storage: [{name: data, size: 1Gi, attributes: {persistent: true}}]"


@pytest.mark.parametrize(
    ("edits", "line", "said"),
    [
        ([('"2.0"', "3.0")], 1, "version: version 3.0.0 is read as 2.1"),
        ([("image: nginx:1.27.3", "image: a\n    imagee: b")], 5, "services.web.imagee: unknown"),
        (
            [("port: 80", "port: 80\n        portt: 8")],
            7,
            "expose[0].portt: unknown field; write port",
        ),
        (
            [("global: true", "global: true\n            ips: x")],
            10,
            "to[0].ips: unknown field; write ip",
        ),
        ([("count: 1", "count: 1, node: x")], 23, "deployment.web.p.node: unknown field"),
        (
            [("denom: uact", "currency: usd, denom: uact")],
            20,
            "pricing.web.currency: unknown field",
        ),
        (
            [("memory: {size: 512Mi}", "memory: {size: 512Mi, attributes: {a: b}}")],
            15,
            "memory.attributes",
        ),
        (
            [("p:\n      pricing", "p:\n      signedby: {}\n      pricing")],
            19,
            "write signedBy; it is left out",
        ),
        ([("as: 80", "as: 65536")], 7, "no port is above 65535"),
        (
            [("storage: {size: 512Mi}", ONE_GPU % "[{model: a100, ram: 512Mi}]")],
            17,
            "asked for as 0Gi",
        ),
        (
            [("storage: {size: 512Mi}", ONE_GPU % "[{model: a100, ram: 24.5Gi}]")],
            17,
            "asked for as 24Gi",
        ),
        ([("storage: {size: 512Mi}", ONE_GPU % "[{ram: 80Gi}]")], 17, f"{GPU_MODELS}: no model"),
        (
            [('"2.0"', "2.1"), ("storage: {size: 512Mi}", UNMOUNTED)],
            3,
            "'data' of profile 'web' is mounted nowhere",
        ),
        (
            [("p: {profile: web, count: 1}\n", "p: {profile: web, count: 1}\n---\n[\n")],
            24,
            "a second document",
        ),
    ],
)
def test_what_the_reference_takes_is_taken_with_a_warning(
    edits: list[tuple[str, str]], line: int, said: str
) -> None:
    warnings: list[Problem] = []
    parse(changed(*edits), warnings.append)
    (warning,) = warnings
    assert warning.line == line
    assert said in str(warning)


@pytest.mark.parametrize(
    ("edits", "manifest"),
    [
        ([("image: nginx:1.27.3", "image: nginx:1.27.3\n    imagee: b")], None),
        ([("global: true", "global: true\n            http_options: {max_body_size: 5}")], None),
        ([("p: {profile: web, count: 1}\n", "p: {profile: web, count: 1}\n---\n- 1\n")], None),
        ([('"2.0"', "2.7")], None),
        ([("as: 80", "as: 70000")], '"externalPort":70000'),
        ([("units: 1", "units: 1_0")], '"val":"10000"'),
        (
            [("storage: {size: 512Mi}", ONE_GPU % "[{ram: 80Gi, interface: sxm}]")],
            '"key":"vendor/nvidia/model//ram/80Gi/interface/sxm"',
        ),
        (
            [("storage: {size: 512Mi}", ONE_GPU % "[{model: a100, ram: 1.5Gi}]")],
            '"key":"vendor/nvidia/model/a100/ram/1Gi"',
        ),
        (
            [('"2.0"', "2.1"), ("storage: {size: 512Mi}", UNMOUNTED)],
            '"key":"persistent","value":"true"',
        ),
        (
            [
                (
                    "storage: {size: 512Mi}",
                    "storage: [{size: 1Gi, attributes: {persistent: no, class: beta2}}]",
                )
            ],
            '"attributes":[{"key":"class","value":"beta2"},{"key":"persistent","value":"false"}]',
        ),
    ],
)
def test_it_compiles_as_the_reference_compiles_it(
    edits: list[tuple[str, str]], manifest: str | None
) -> None:
    """None: what is left out leaves no trace."""
    compiled = compile_sdl(parse(changed(*edits))).manifest_text
    if manifest is None:
        assert compiled == compile_sdl(parse(BASE)).manifest_text
    else:
        assert manifest in compiled
