"""The reference's odd rules that no recorded vector shows; each is read off its source."""

from __future__ import annotations

import pytest

from garrison.adapters.akash.sdl import compile_sdl, parse
from tests.unit.adapters.akash.sdl.documents import BASE, changed

ENDPOINTS = "endpoints: {one: {kind: ip}, two: {kind: ip}}\n"


def storage_order(volumes: str) -> list[str]:
    mounts = "{storage: {a: {mount: /a}, b: {mount: /b}, c: {mount: /c}}}"
    text = changed(
        ("storage: {size: 512Mi}", f"storage: [{volumes}]"),
        ("image: nginx:1.27.3", f"image: nginx\n    params: {mounts}"),
    )
    (group,) = compile_sdl(parse(text)).groups
    return [each["name"] for each in group["resources"][0]["resource"]["storage"]]


@pytest.mark.parametrize(
    ("volumes", "order"),
    [
        ("{name: a, size: 2Gi}, {name: b, size: 1Gi}, {name: c, size: 3Gi}", "bac"),
        ("{name: a, size: 1Gi}, {name: b, size: 1Gi}, {name: c, size: 1Gi}", "cba"),
        (
            "{name: c, size: 1Gi, attributes: {persistent: true}},"
            "{name: b, size: 1Gi, attributes: {persistent: true}}, {name: a, size: 1Gi}",
            "abc",
        ),
        (
            "{name: a, size: 1Gi, attributes: {persistent: true}},"
            "{name: b, size: 1Gi, attributes: {class: ram}}, {name: c, size: 1Gi}",
            "cba",
        ),
    ],
)
def test_volumes_are_ordered_by_the_references_insertion_sort(volumes: str, order: str) -> None:
    assert "".join(storage_order(volumes)) == order


@pytest.mark.parametrize(
    ("targets", "numbers"),
    [
        (("{global: true, ip: one}", "{global: true, ip: two}"), {"one": 1, "two": 2}),
        (
            ("{global: true, ip: two}", "{global: true, ip: one}", "{global: true}"),
            {"one": 1, "two": 2},
        ),
        (
            ("{global: true, ip: one}", "{global: true, ip: two}", "{service: web}"),
            {"one": 2, "two": 3},
        ),
        (
            ("{global: true, ip: one}", "{global: true, ip: one}", "{global: true, ip: two}"),
            {"one": 2, "two": 3},
        ),
    ],
)
def test_leased_ips_are_numbered_by_their_last_use(
    targets: tuple[str, ...], numbers: dict[str, int]
) -> None:
    ports = "".join(
        f"      - {{port: {1000 + n}, as: {1000 + n}, to: [{target}]}}\n"
        for n, target in enumerate(targets)
    )
    text = changed(("    expose:\n", f"    expose:\n{ports}")) + ENDPOINTS
    (group,) = compile_sdl(parse(text)).manifest
    exposed = group["services"][0]["expose"]
    assert {each["ip"]: each["endpointSequenceNumber"] for each in exposed if each["ip"]} == numbers


def test_within_a_port_the_ip_comes_last() -> None:
    text = (
        changed(("- global: true", "- {global: true, ip: one}")) + "endpoints: {one: {kind: ip}}\n"
    )
    (group,) = compile_sdl(parse(text)).manifest
    assert group["services"][0]["resources"]["endpoints"] == [
        {"sequence_number": 0},
        {"kind": 2, "sequence_number": 1},
    ]


def test_a_single_volume_is_called_default_whatever_its_name() -> None:
    text = changed(("storage: {size: 512Mi}", "storage: {name: data, size: 512Mi}"))
    assert compile_sdl(parse(text)).version == compile_sdl(parse(BASE)).version


def test_lists_that_are_empty_and_lists_that_are_absent_differ() -> None:
    written = compile_sdl(parse(changed(("as: 80", "accept: []"))))
    assert written.manifest[0]["services"][0]["expose"][0]["hosts"] == []
    absent = compile_sdl(parse(changed(("as: 80", "accept:"))))
    assert absent.manifest[0]["services"][0]["expose"][0]["hosts"] is None


def test_an_attribute_without_a_value_has_none() -> None:
    text = changed(("p:\n      pricing", "p:\n      attributes: {tier: }\n      pricing"))
    (group,) = compile_sdl(parse(text)).groups
    assert group["requirements"]["attributes"] == [{"key": "tier"}]


def test_permissions_that_ask_for_nothing_are_kept() -> None:
    text = changed(("image: nginx:1.27.3", "image: a\n    params: {permissions: {read: []}}"))
    (group,) = compile_sdl(parse(text)).manifest
    assert group["services"][0]["params"] == {"storage": None, "permissions": {}}


def test_confidential_computing_becomes_a_requirement() -> None:
    text = changed(("image: nginx:1.27.3", "image: a\n    params: {tee: cpu}"))
    compiled = compile_sdl(parse(text))
    assert compiled.groups[0]["requirements"]["attributes"] == [{"key": "tee/type", "value": "cpu"}]
    assert compiled.manifest[0]["services"][0]["params"]["tee"] == {
        "type": "cpu",
        "attestation": True,
    }


def test_a_price_has_eighteen_decimals() -> None:
    text = changed(("amount: 1}", "amount: 0.000000000000000001}"))
    price = compile_sdl(parse(text)).groups[0]["resources"][0]["price"]
    assert price == {"denom": "uact", "amount": "0.000000000000000001"}
