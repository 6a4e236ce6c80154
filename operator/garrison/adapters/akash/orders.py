"""The SDL of an order: one service, one placement group named by the marker.

The Console API returns a deployment's manifest once, when it is created, and never again. The
manifest holds neither prices nor placement requirements, the only parts that Console rewrites, so it
can be made again from the order after a restart, with the same hash.
"""

from __future__ import annotations

import re
from typing import Literal, cast

from garrison.adapters.akash.pricing import DENOM, per_block
from garrison.adapters.akash.sdl import Compiled, Sdl, compile_sdl, render_text
from garrison.adapters.akash.sdl.model import (
    DECIMALS,
    Assignment,
    Compute,
    Credentials,
    Expose,
    Gpu,
    GpuModel,
    Placement,
    Price,
    Service,
    Target,
    Version,
    Volume,
)
from garrison.errors import InvalidSpecError
from garrison.ports.market import GpuAsk, Order, PullLogin, exposed_as

SERVICE = "replica"
LEAST_PASSWORD = 6
_VENDOR = "nvidia"
_RAM = re.compile(r"([1-9][0-9]{0,3})Gi")


def sdl_of(order: Order) -> Sdl:
    """Return the order as an SDL. Raises InvalidSpecError when its price or GPU is unusable."""
    marker = order.marker
    return Sdl(
        version=Version.V2_0,
        services={SERVICE: _service(order)},
        compute={SERVICE: _compute(order)},
        placement={marker: _placement(order)},
        deployment={SERVICE: {marker: Assignment(profile=SERVICE, count=1)}},
    )


def sdl_text(order: Order) -> str:
    """Return the order's SDL as YAML. Raises InvalidSpecError as ``sdl_of`` does."""
    return render_text(sdl_of(order))


def compiled(order: Order) -> Compiled:
    """Return the order's groups and manifest. Raises InvalidSpecError as ``sdl_of`` does."""
    return compile_sdl(sdl_of(order))


def manifest_text(order: Order) -> str:
    """Return the order's manifest as canonical JSON. Raises InvalidSpecError as ``sdl_of`` does."""
    return compiled(order).manifest_text


def _service(order: Order) -> Service:
    return Service(
        image=order.image,
        command=order.command or None,
        args=order.args or None,
        env=tuple(f"{name}={value}" for name, value in order.env) or None,
        expose=tuple(
            Expose(port=port, external_port=exposed_as(port), to=(Target(everybody=True),))
            for port in sorted(order.ports)
        ),
        credentials=_credentials(order.login) if order.login is not None else None,
    )


def _credentials(login: PullLogin) -> Credentials:
    """Return the login by the reference's rules: none is empty, a password has six characters."""
    if not login.username.strip() or len(login.password) < LEAST_PASSWORD:
        raise InvalidSpecError(
            f"the login for {login.host} in imagePullSecrets has no user name, or a password of fewer "
            f"than {LEAST_PASSWORD} characters, which the market does not take; use an access token"
        )
    return Credentials(host=login.host, username=login.username, password=login.password)


def _compute(order: Order) -> Compute:
    return Compute(
        cpu=order.cpu_millis,
        memory=order.memory_bytes,
        storage=(Volume(size=order.storage_bytes),),
        gpu=_gpu(order.gpu) if order.gpu is not None else None,
    )


def _gpu(ask: GpuAsk) -> Gpu:
    if ask.vendor != _VENDOR or ask.interface not in {None, "pcie", "sxm"}:
        raise InvalidSpecError(
            f"the market has no GPU {ask.vendor}/{ask.model} {ask.interface or ''}; ask for one of "
            f"{_VENDOR}, on pcie or sxm"
        )
    model = GpuModel(
        model=ask.model,
        ram=_ram(ask.memory) if ask.memory is not None else None,
        interface=cast("Literal['pcie', 'sxm'] | None", ask.interface),
    )
    return Gpu(units=ask.count, models=(model,))


def _ram(memory: str) -> int:
    match = _RAM.fullmatch(memory)
    if match is None:
        raise InvalidSpecError(f"GPU memory {memory!r} must be whole gibibytes, such as 80Gi")
    return int(match[1])


def _placement(order: Order) -> Placement:
    amount = per_block(order.max_price_per_hour) * 10**DECIMALS
    return Placement(
        attributes=tuple(sorted(order.attributes)),
        any_of=order.audited_by or None,
        pricing={SERVICE: Price(denom=DENOM, amount=amount)},
    )
