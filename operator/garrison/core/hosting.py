"""Which known providers could host a workload, and why each other one could not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from garrison.api.container import Gpu, GpuModel
from garrison.api.lease import Lease
from garrison.api.meta import ANNOTATION_QUARANTINE
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.policy import Policy
from garrison.api.provider import GpuStatus, Provider
from garrison.api.workload import Workload
from garrison.core.fleet import excluded
from garrison.core.placement import Criteria, objection
from garrison.core.reputation import quarantined_until
from garrison.ports.market import Bid, BidState, GpuAsk


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A provider. ``price_per_hour``: of its newest bid for this workload, None without one.

    ``objection`` is why it cannot host, "" when nothing that is known speaks against it.
    """

    provider: Provider
    price_per_hour: MicroUSD | None = None
    objection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A workload with what limits the choice. ``ceiling``: highest price of a replica per hour."""

    workload: Workload
    policy: Policy | None
    ceiling: MicroUSD


def candidates(
    providers: Iterable[Provider], leases: Iterable[Lease], wanted: Wanted, now: datetime
) -> tuple[Candidate, ...]:
    """Return every provider for a workload: those without an objection first, by price and name.

    ``leases`` are the workload's own; the prices come from the bids that they record.
    """
    own, of = tuple(leases), wanted.workload
    prices = bid_prices(own)
    alone = frozenset(excluded(of.status.failures, own, of.spec.benchmark, now))
    found = [_candidate(each, prices.get(each.meta.name), wanted, alone, now) for each in providers]
    return tuple(sorted(found, key=_order))


def known(providers: Iterable[Provider], now: datetime) -> tuple[Candidate, ...]:
    """Return every provider, with what speaks against it whatever the workload is."""
    found = [Candidate(provider=each, objection=_general(each, now)) for each in providers]
    return tuple(sorted(found, key=_order))


def bid_prices(leases: Iterable[Lease]) -> dict[str, MicroUSD]:
    """Return the newest price per hour that each provider bid."""
    return {
        bid.provider: parse_dollars(bid.price_per_hour)
        for lease in sorted(leases, key=lambda each: each.meta.created_at)
        for bid in lease.status.bids
    }


def _order(each: Candidate) -> tuple[bool, bool, int, str]:
    price = each.price_per_hour
    return (bool(each.objection), price is None, price or 0, each.provider.meta.name)


def _candidate(
    provider: Provider,
    price: MicroUSD | None,
    wanted: Wanted,
    alone: frozenset[str],
    now: datetime,
) -> Candidate:
    gpu = wanted.workload.spec.resources.gpu
    model = _matching(gpu, provider.status.gpus)
    if not provider.status.online:
        why = "Offline: the market does not reach it"
    elif gpu is not None and model is None:
        why = f"GPU: has {provider.status.gpu_summary or _named(provider.status.gpus)}"
    else:
        ask = GpuAsk(vendor=model.vendor, model=model.model, count=1) if model else None
        why = _objection(provider, _criteria(wanted, ask, alone), price, now)
    return Candidate(provider=provider, price_per_hour=price, objection=why)


def _objection(
    provider: Provider, criteria: Criteria, price: MicroUSD | None, now: datetime
) -> str:
    """What placement would say to an open bid at the newest known price."""
    bid = Bid(
        deployment="",
        gseq=1,
        oseq=1,
        provider=provider.meta.name,
        price_per_hour=price or MicroUSD(0),
        state=BidState.OPEN,
    )
    return objection(bid, criteria, provider, now)


def _criteria(wanted: Wanted, gpu: GpuAsk | None, alone: frozenset[str]) -> Criteria:
    return Criteria(
        max_price_per_hour=wanted.ceiling,
        policy=wanted.policy.spec if wanted.policy else None,
        gpu=gpu,
        excluded=alone,
    )


def _general(provider: Provider, now: datetime) -> str:
    if not provider.status.online:
        return "Offline: the market does not reach it"
    if provider.meta.annotations.get(ANNOTATION_QUARANTINE) == "true":
        return f"Quarantined: by the annotation {ANNOTATION_QUARANTINE}"
    held = [
        f"{each.gpu_model} until {each.until:%Y-%m-%dT%H:%M:%SZ}"
        for each in provider.status.quarantine
        if quarantined_until(provider.status, each.gpu_model, now)
    ]
    return f"Quarantined: {', '.join(held)}" if held else ""


def _matching(gpu: Gpu | None, offered: Iterable[GpuStatus]) -> GpuModel | None:
    """Return the most preferred model that is offered. What an offer leaves open does not match."""
    offers = tuple(offered)
    for model in gpu.models if gpu else ():
        if any(_fits(model, offer) for offer in offers):
            return model
    return None


def _fits(model: GpuModel, offer: GpuStatus) -> bool:
    return (
        (model.vendor, model.model) == (offer.vendor, offer.model)
        and model.memory in {None, offer.memory}
        and (model.interface is None or offer.interface in {None, model.interface})
    )


def _named(gpus: Iterable[GpuStatus]) -> str:
    return ", ".join(sorted({each.model for each in gpus})) or "none"
