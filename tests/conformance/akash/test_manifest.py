"""Our manifests against what the reference library answered for hand-written SDL.

The reference's service has another name; that is the only difference that is undone here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from garrison.adapters.akash.orders import SERVICE, manifest_text
from garrison.adapters.akash.status import service_status
from garrison.api.money import MicroUSD
from garrison.ports.market import ForwardedPort, GpuAsk, Order

HERE = Path(__file__).parent
VECTORS = HERE / "vectors"


def test_a_gpu_service_is_the_references_byte_for_byte() -> None:
    order = Order(
        marker="dc",
        image="vllm/vllm-openai@sha256:" + "0123456789abcdef" * 4,
        env=(("MODEL", "Qwen/Qwen2.5-7B-Instruct"), ("HF_HOME", "/models")),
        ports=(8000,),
        cpu_millis=8000,
        memory_bytes=32 << 30,
        storage_bytes=50 << 30,
        gpu=GpuAsk(vendor="nvidia", model="rtx4090", count=1, memory="24Gi", interface="pcie"),
        max_price_per_hour=MicroUSD(7_500_000),
        deposit=MicroUSD(500_000),
    )
    text = manifest_text(order).replace(f'"name":"{SERVICE}"', '"name":"vllm"')
    assert text == (VECTORS / "v20-gpu-model-ram-interface" / "manifest.json").read_text()
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == (VECTORS / "v20-gpu-model-ram-interface" / "version.txt").read_text().strip()
    )


def test_strings_are_escaped_as_the_reference_escapes_them() -> None:
    expected = (VECTORS / "v20-env-escapes" / "manifest.json").read_text()
    service = json.loads(expected)[0]["services"][0]
    env = [item for item in service["env"] if "=" in item]
    order = Order(
        marker="p",
        image=service["image"],
        command=tuple(service["command"]),
        args=tuple(service["args"]),
        env=tuple((name, value) for name, _, value in (item.partition("=") for item in env)),
        ports=(8000,),
        cpu_millis=1000,
        memory_bytes=1,
        storage_bytes=1,
        max_price_per_hour=MicroUSD(600),
        deposit=MicroUSD(500_000),
    )
    ours = manifest_text(order)
    assert len(env) >= 5
    assert _part(ours, '{"args":', ',"count"') == _part(expected, '{"args":', ',"count"')
    known = _part(expected, '"env":', ',"expose"').replace('"NOVALUE",', "")
    assert _part(ours, '"env":', ',"expose"') == known


@pytest.mark.parametrize("service", [SERVICE, "trainer"])
def test_a_real_gateways_status_is_understood(service: str) -> None:
    recorded = (
        (HERE / "gateway" / "lease-status.json").read_text().replace('"trainer"', f'"{service}"')
    )
    status = service_status(json.loads(recorded), "a recorded answer")
    port = ForwardedPort(host="provider.localtest", port=8443, external_port=30000)
    assert (status.available, status.ports) == (4, (port,))
    assert status.name == ("" if service == SERVICE else service), "as whoever adopts it needs it"


def test_of_several_services_only_our_own_counts() -> None:
    recorded = json.loads((HERE / "gateway" / "lease-status.json").read_text())
    recorded["services"]["other"] = recorded["services"]["trainer"]
    status = service_status(recorded, "a recorded answer")
    assert (status.available, status.ports, status.name) == (0, (), "")


def _part(text: str, start: str, end: str) -> str:
    return text[text.index(start) : text.index(end)]
