"""From a template and its limits to what is ordered on the market."""

from __future__ import annotations

from garrison.api.account import Account
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.policy import PolicySpec
from garrison.api.quantity import parse_bytes, parse_millicores
from garrison.api.workload import Budget, Gpu, Template
from garrison.ports.market import GpuAsk, Order

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
) -> Order:
    """Return the order for one replica. Raises InvalidSpecError for an unreadable quantity."""
    resources = template.resources
    return Order(
        marker=marker,
        image=template.image,
        command=template.command,
        args=template.args,
        env=tuple((each.name, each.value) for each in template.env),
        ports=(template.port,),
        cpu_millis=parse_millicores(resources.cpu),
        memory_bytes=parse_bytes(resources.memory),
        storage_bytes=parse_bytes(resources.storage),
        gpu=gpu_ask(resources.gpu, model_index),
        attributes=tuple((each.key, each.value) for each in policy.attributes) if policy else (),
        audited_by=policy.audited_by if policy else (),
        max_price_per_hour=max_price_per_hour,
        deposit=MicroUSD(max(MIN_DEPOSIT, max_price_per_hour * deposit_hours)),
    )


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
