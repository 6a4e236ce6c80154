"""Which bid becomes the lease, and why each other one lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from garrison.api.lease import BidStatus
from garrison.api.meta import ANNOTATION_QUARANTINE
from garrison.api.money import MicroUSD, format_dollars, shown_dollars
from garrison.api.policy import MinUptime, PolicySpec
from garrison.api.provider import Provider, ProviderStatus
from garrison.core.reputation import quarantined_until, score
from garrison.ports.market import Bid, BidState, GpuAsk

MAX_BIDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """What a bid must satisfy. ``taken`` and ``taken_regions`` are those of sibling replicas."""

    max_price_per_hour: MicroUSD
    policy: PolicySpec | None = None
    gpu: GpuAsk | None = None
    excluded: frozenset[str] = frozenset()
    spread: str = "None"
    taken: frozenset[str] = frozenset()
    taken_regions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen bid (None: no acceptable one) and up to 20 bids with their verdicts."""

    bid: Bid | None
    verdicts: tuple[BidStatus, ...]


def choose(
    bids: Sequence[Bid], criteria: Criteria, providers: Mapping[str, Provider], now: datetime
) -> Choice:
    """Return the best acceptable bid: hard constraints first, then spread, price and record.

    Among bids within 10 % of the cheapest the better record wins; ties go to the lower price, then
    to the provider's name, so that the choice is the same wherever it is made.
    """
    objections = {
        bid.provider: objection(bid, criteria, providers.get(bid.provider), now) for bid in bids
    }
    acceptable = [bid for bid in bids if not objections[bid.provider]]
    chosen = _best(acceptable, criteria, providers)
    verdicts = [
        BidStatus(
            provider=bid.provider,
            price_per_hour=shown_dollars(bid.price_per_hour),
            verdict=_verdict(bid, chosen, objections[bid.provider], criteria, providers),
        )
        for bid in sorted(
            bids, key=lambda bid: (bid is not chosen, bid.price_per_hour, bid.provider)
        )
    ]
    return Choice(bid=chosen, verdicts=tuple(verdicts[:MAX_BIDS]))


def _best(bids: Sequence[Bid], criteria: Criteria, providers: Mapping[str, Provider]) -> Bid | None:
    if not bids:
        return None
    apart = [bid for bid in bids if not _crowded(bid, criteria, providers)] or list(bids)
    cheapest = min(bid.price_per_hour for bid in apart)
    close = [bid for bid in apart if bid.price_per_hour * 10 <= cheapest * 11]
    return min(close, key=lambda bid: (-_score(bid, providers), bid.price_per_hour, bid.provider))


def _score(bid: Bid, providers: Mapping[str, Provider]) -> int:
    provider = providers.get(bid.provider)
    return 50 if provider is None else score(provider.status)


def _crowded(bid: Bid, criteria: Criteria, providers: Mapping[str, Provider]) -> bool:
    match criteria.spread:
        case "Provider":
            return bid.provider in criteria.taken
        case "Region":
            return _region(bid, providers) in criteria.taken_regions
        case _:
            return False


def _region(bid: Bid, providers: Mapping[str, Provider]) -> str:
    provider = providers.get(bid.provider)
    return (provider.status.region or "") if provider else ""


def _verdict(
    bid: Bid,
    chosen: Bid | None,
    objection: str,
    criteria: Criteria,
    providers: Mapping[str, Provider],
) -> str:
    if bid is chosen:
        return "Chosen"
    if objection:
        return objection[:256]
    if _crowded(bid, criteria, providers):
        return f"Spread: another replica is at the same {criteria.spread.lower()}"
    assert chosen is not None  # noqa: S101 - an acceptable bid lost, so another one won
    if bid.price_per_hour > chosen.price_per_hour:
        return f"Dearer than {format_dollars(chosen.price_per_hour)} $/h"
    return f"Record: score {_score(bid, providers)}, the chosen one has {_score(chosen, providers)}"


def objection(bid: Bid, criteria: Criteria, provider: Provider | None, now: datetime) -> str:
    """Return why a bid is unacceptable, "" when it is fine."""
    if bid.state is not BidState.OPEN:
        return f"BidClosed: the bid is {bid.state.value}"
    if bid.provider in criteria.excluded:
        return "Excluded: an earlier replica of this workload failed here"
    if bid.price_per_hour > criteria.max_price_per_hour:
        return f"TooExpensive: above {format_dollars(criteria.max_price_per_hour)} $/h"
    if criteria.gpu and bid.gpu_model and bid.gpu_model != criteria.gpu.model:
        return f"WrongGPU: offers {bid.gpu_model}, wanted {criteria.gpu.model}"
    clause = violated(criteria.policy, bid.provider, provider)
    if clause:
        return clause
    return _quarantine(criteria.gpu, provider, now) if provider else ""


def _quarantine(gpu: GpuAsk | None, provider: Provider, now: datetime) -> str:
    if provider.meta.annotations.get(ANNOTATION_QUARANTINE) == "true":
        return f"Quarantined: by the annotation {ANNOTATION_QUARANTINE}"
    until = quarantined_until(provider.status, gpu.model if gpu else "none", now)
    return f"Quarantined: until {until:%Y-%m-%dT%H:%M:%SZ}" if until else ""


def violated(policy: PolicySpec | None, name: str, provider: Provider | None) -> str:
    """Return the policy clause that excludes a provider, as ``Clause: why``; "" when none does.

    A clause about facts excludes a provider of whom nothing is known.
    """
    if policy is None:
        return ""
    if policy.include and name not in policy.include:
        return "include: not on the list"
    if name in policy.exclude:
        return "exclude: on the list"
    status = provider.status if provider else ProviderStatus()
    return (
        _region_clause(policy, status)
        or _attribute_clause(policy, status)
        or _audit_clause(policy, status)
        or _uptime_clause(policy.min_uptime, status)
    )


def _region_clause(policy: PolicySpec, status: ProviderStatus) -> str:
    if not policy.regions or status.region in policy.regions:
        return ""
    return f"regions: is in {status.region or 'an unknown region'}"


def _attribute_clause(policy: PolicySpec, status: ProviderStatus) -> str:
    have = {(each.key, each.value) for each in status.attributes}
    for wanted in policy.attributes:
        if (wanted.key, wanted.value) not in have:
            return f"attributes: lacks {wanted.key}={wanted.value}"
    return ""


def _audit_clause(policy: PolicySpec, status: ProviderStatus) -> str:
    if not policy.audited_by:
        return ""
    auditors = {auditor for each in status.attributes for auditor in each.audited_by}
    return "" if auditors & set(policy.audited_by) else "auditedBy: not signed by any of them"


def _uptime_clause(wanted: MinUptime | None, status: ProviderStatus) -> str:
    if wanted is None:
        return ""
    measured = {"1d": status.uptime1d, "7d": status.uptime7d, "30d": status.uptime30d}[
        wanted.window
    ]
    if measured is None:
        return f"minUptime: no uptime known for {wanted.window}"
    if measured < _permille(wanted.percent):
        return f"minUptime: {measured / 10:.1f} % over {wanted.window}, wanted {wanted.percent} %"
    return ""


def _permille(percent: str) -> int:
    whole, _, tenth = percent.partition(".")
    return int(whole) * 10 + int(tenth or 0)
