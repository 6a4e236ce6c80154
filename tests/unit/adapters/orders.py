"""Orders for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from garrison.api.money import MicroUSD
from garrison.ports.market import GpuAsk, Order

MARKER = "garrison-0123abcd-" + "1" * 32 + "-1"
IMAGE = "registry.example/acme/model@sha256:" + "a" * 64
H100 = GpuAsk(vendor="nvidia", model="h100", count=1, memory="80Gi", interface="sxm")


def order(**fields: Any) -> Order:
    """An order for one CPU replica, with the given fields changed."""
    base = Order(
        marker=MARKER,
        image=IMAGE,
        ports=(8000,),
        cpu_millis=1000,
        memory_bytes=1 << 30,
        storage_bytes=1 << 30,
        max_price_per_hour=MicroUSD(2_000_000),
        deposit=MicroUSD(500_000),
    )
    return replace(base, **fields)
