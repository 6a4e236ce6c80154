"""From a template and its limits to what is ordered on the market."""

from __future__ import annotations

from garrison.api.account import Account
from garrison.api.container import Gpu, Template
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.policy import PolicySpec
from garrison.api.quantity import parse_bytes, parse_millicores
from garrison.api.workload import Budget
from garrison.ports.market import GpuAsk, Order
from garrison.ports.sentinel import Injection, SentinelPorts

FIRST_PORT = 18_443
MIN_DEPOSIT = MicroUSD(500_000)
"""The market's lowest deposit: half a dollar."""


def price_ceiling(budget: Budget | None, policy: PolicySpec | None, account: Account) -> MicroUSD:
    """Return the highest price per hour of one replica: the lowest ceiling that is set.

    Without any, a replica gets its share of the account's ceiling: ``maxPricePerHour / maxLeases``.
    """
    limits = account.spec.limits
    total = parse_dollars(limits.max_price_per_hour)
    ceilings = [total]
    if budget is not None and budget.max_price_per_hour is not None:
        ceilings.append(parse_dollars(budget.max_price_per_hour))
    if policy is not None and policy.max_price_per_hour is not None:
        ceilings.append(parse_dollars(policy.max_price_per_hour))
    if len(ceilings) == 1:
        ceilings.append(MicroUSD(total // max(1, limits.max_leases)))
    return min(ceilings)


def order_of(
    *,
    template: Template,
    policy: PolicySpec | None,
    model_index: int,
    marker: str,
    max_price_per_hour: MicroUSD,
    deposit_hours: int,
    injection: Injection | None = None,
) -> Order:
    """Return the order for one replica, with the sentinel in front of the image's own process.

    Raises InvalidSpecError for an unreadable quantity.
    """
    resources = template.resources
    return Order(
        marker=marker,
        image=template.image,
        command=injection.command if injection else template.command,
        args=() if injection else template.args,
        env=injection.env if injection else environment(template),
        ports=(injection.ports.data, injection.ports.control) if injection else (template.port,),
        cpu_millis=parse_millicores(resources.cpu),
        memory_bytes=parse_bytes(resources.memory),
        storage_bytes=parse_bytes(resources.storage),
        gpu=gpu_ask(resources.gpu, model_index),
        attributes=tuple((each.key, each.value) for each in policy.attributes) if policy else (),
        audited_by=policy.audited_by if policy else (),
        max_price_per_hour=max_price_per_hour,
        deposit=MicroUSD(max(MIN_DEPOSIT, max_price_per_hour * deposit_hours)),
    )


def environment(template: Template) -> tuple[tuple[str, str], ...]:
    """Return the workload's variables; a sentinel hands them over when it starts the process."""
    return tuple((each.name, each.value) for each in template.env)


def sentinel_ports(port: int) -> SentinelPorts:
    """Return the data and control port of a container whose workload listens on ``port``."""
    first = FIRST_PORT + 2 if port in {FIRST_PORT, FIRST_PORT + 1} else FIRST_PORT
    return SentinelPorts(data=first, control=first + 1)


def gpu_ask(gpu: Gpu | None, model_index: int) -> GpuAsk | None:
    """Return the GPU request for one of the acceptable models, None for a CPU workload."""
    if gpu is None:
        return None
    model = gpu.models[min(model_index, len(gpu.models) - 1)]
    return GpuAsk(
        vendor=model.vendor,
        model=model.model,
        count=gpu.count,
        memory=model.memory,
        interface=model.interface,
    )


def model_count(gpu: Gpu | None) -> int:
    """Return how many alternatives there are to try."""
    return 1 if gpu is None else len(gpu.models)
