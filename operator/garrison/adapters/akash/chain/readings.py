"""From the chain's words to the port's values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from pydantic import ValidationError

from garrison.adapters.akash.answers import Coin, LeaseEntry
from garrison.adapters.akash.chain.answers import (
    LEASE,
    PROVIDER,
    Attribute,
    Audit,
    ChainDeployment,
    ChainProvider,
)
from garrison.adapters.akash.pricing import DENOM
from garrison.adapters.akash.reading import (
    MAX_ATTRIBUTES,
    MAX_GPUS,
    deployment_state,
    lease_of,
    version_of,
)
from garrison.api.money import MicroUSD
from garrison.ports.market import (
    Deployment,
    LeaseState,
    ProviderAttribute,
    ProviderFact,
    ProviderGpu,
)

_GPU = "capabilities/gpu/vendor/"
_REGION_KEYS = ("location-region", "region")
_PAYING = {LeaseState.ACTIVE, LeaseState.RECLAIMING}


def deployment_of(
    entry: ChainDeployment, leases: Sequence[LeaseEntry], *, height: int, blocks: int
) -> Deployment:
    """Return a deployment at ``height``, prices with ``blocks`` per hour.

    Raises UnavailableError for a state or currency nobody knows.
    """
    number = entry.deployment.id.dseq
    return Deployment(
        id=number,
        marker=entry.groups[0].group_spec.name if entry.groups else "",
        state=deployment_state(entry.deployment.state, number),
        leases=tuple(lease_of(each, blocks) for each in leases),
        escrow=remaining(entry, leases, height),
        spent=MicroUSD(int(held(entry.escrow_account.state.transferred))),
        version=version_of(entry.deployment.hash),
    )


def remaining(entry: ChainDeployment, leases: Iterable[LeaseEntry], height: int) -> MicroUSD:
    """Return what is left in escrow at ``height``, rounded down.

    Nothing is charged until something touches the account, so what was owed since is taken off here.
    """
    state = entry.escrow_account.state
    rate = held(each.price for each in leases if each.state in _PAYING)
    owed = rate * max(0, height - state.settled_at) if state.state == "open" else Decimal(0)
    return _whole(held(state.funds) - owed)


def held(coins: Iterable[Coin]) -> Decimal:
    """Return how much of the currency for rent is in a list of coins."""
    amounts = [each.amount for each in coins if each.denom == DENOM and each.amount.is_finite()]
    return sum(amounts, Decimal(0))


def leases_of(items: Sequence[Any], owner: str) -> Mapping[str, list[LeaseEntry]]:
    """Return an owner's readable leases by deployment.

    A node that is given the key of a page ignores the filters beside it, and anybody may give a
    deployment the number that another's has.
    """
    found: dict[str, list[LeaseEntry]] = {}
    for item in items:
        try:
            entry = LEASE.validate_python(item).lease
        except ValidationError:
            continue
        if entry.id.owner == owner:
            found.setdefault(entry.id.dseq, []).append(entry)
    return found


def provider_of(item: Any, audits: Sequence[Audit]) -> ProviderFact | None:
    """Return a provider's record, None when it makes no sense.

    The chain does not know whether a provider is alive, so each counts as online: a dead one does not
    bid. An attribute is audited when the auditor signed the same value.
    """
    try:
        record = PROVIDER.validate_python(item)
    except ValidationError:
        return None
    attributes = record.attributes[:MAX_ATTRIBUTES]
    return ProviderFact(
        id=record.owner,
        host_uri=record.host_uri,
        region=_region(record),
        online=True,
        attributes=tuple(_attribute(each, audits) for each in attributes),
        gpus=tuple(_gpus(attributes))[:MAX_GPUS],
    )


def _attribute(attribute: Attribute, audits: Sequence[Audit]) -> ProviderAttribute:
    signers = (each.auditor for each in audits if attribute in each.attributes)
    return ProviderAttribute(
        key=attribute.key, value=attribute.value, audited_by=tuple(sorted(set(signers)))
    )


def _gpus(attributes: Sequence[Attribute]) -> list[ProviderGpu]:
    """Return the declared GPUs: ``.../nvidia/model/h100[/ram/80Gi][/interface/sxm]`` = true."""
    keys = (each.key.removeprefix(_GPU) for each in attributes if each.key.startswith(_GPU))
    found = [gpu for key in keys if (gpu := _gpu(key.split("/"))) is not None]
    return [each for each in found if not _is_vague(each, found)]


def _gpu(parts: Sequence[str]) -> ProviderGpu | None:
    vendor, *rest = parts
    named = dict(zip(rest[::2], rest[1::2], strict=False))
    if len(rest) % 2 or not named.get("model") or set(named) - {"model", "ram", "interface"}:
        return None
    return ProviderGpu(
        vendor=vendor,
        model=named["model"],
        memory=named.get("ram"),
        interface=named.get("interface"),
    )


def _is_vague(gpu: ProviderGpu, others: Sequence[ProviderGpu]) -> bool:
    """Return whether another entry says the same and more."""
    return any(
        other != gpu
        and (other.vendor, other.model) == (gpu.vendor, gpu.model)
        and gpu.memory in {None, other.memory}
        and gpu.interface in {None, other.interface}
        for other in others
    )


def _region(record: ChainProvider) -> str:
    declared = {each.key: each.value for each in record.attributes}
    return next((declared[key] for key in _REGION_KEYS if declared.get(key)), "")


def _whole(amount: Decimal) -> MicroUSD:
    return MicroUSD(max(0, int(amount.to_integral_value(ROUND_FLOOR))))
