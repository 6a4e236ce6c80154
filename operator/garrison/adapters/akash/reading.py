"""From the market's words to the port's values."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from pydantic import ValidationError

from garrison.adapters.akash.answers import (
    BID,
    PROVIDER,
    BidBody,
    Coin,
    DeploymentEntry,
    LeaseEntry,
    ListedProvider,
)
from garrison.adapters.akash.pricing import BLOCKS_PER_HOUR, DENOM, per_hour
from garrison.api.money import MicroUSD
from garrison.errors import UnavailableError
from garrison.ports.market import (
    Bid,
    BidState,
    Deployment,
    DeploymentState,
    LeaseState,
    MarketLease,
    ProviderAttribute,
    ProviderFact,
    ProviderGpu,
)

MAX_ATTRIBUTES = 256
MAX_GPUS = 64
HASH_BYTES = 32
_REGION_KEYS = ("location-region", "region")


def deployment_of(entry: DeploymentEntry, marker: str) -> Deployment:
    """Return a deployment. Raises UnavailableError for a state or currency nobody knows."""
    number = entry.deployment.id.dseq
    return Deployment(
        id=number,
        marker=marker,
        state=deployment_state(entry.deployment.state, number),
        leases=tuple(lease_of(each) for each in entry.leases),
        escrow=_sum(entry.escrow_account.state.funds) if entry.escrow_account else None,
        spent=_sum(entry.escrow_account.state.transferred) if entry.escrow_account else None,
        version=version_of(entry.deployment.hash),
    )


def version_of(text: str) -> str:
    """Return a manifest's hash in hex, "" for what is none. On chain it is base64, hex elsewhere."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return ""
    return raw.hex() if len(raw) == HASH_BYTES else ""


def is_open(entry: DeploymentEntry) -> bool:
    """Return whether a listed deployment is open: anything but "closed" is taken for open."""
    return entry.deployment.state != DeploymentState.CLOSED


def priced(leases: Iterable[LeaseEntry]) -> tuple[LeaseEntry, ...]:
    """Return the leases in the currency of today, for a list of all that an account has.

    One that its owner took long ago, for other coins, must not hide the others.
    """
    return tuple(
        each for each in leases if each.price.denom == DENOM and each.price.amount.is_finite()
    )


def lease_of(entry: LeaseEntry, blocks: int = BLOCKS_PER_HOUR) -> MarketLease:
    """Return a lease, its price with so many blocks per hour. Raises UnavailableError for a state or currency nobody knows."""
    return MarketLease(
        provider=entry.id.provider,
        gseq=entry.id.gseq,
        oseq=entry.id.oseq,
        state=_lease_state(entry.state, entry.id.dseq),
        price_per_hour=per_hour(entry.price.denom, entry.price.amount, blocks),
        reason=entry.reason if entry.state == LeaseState.CLOSED else "",
        reclaim_deadline=entry.reclamation.deadline if entry.reclamation else None,
    )


def bids_of(
    entries: Sequence[Any], blocks: int = BLOCKS_PER_HOUR, owner: str | None = None
) -> tuple[Bid, ...]:
    """Return the readable bids of the newest order; a bid that makes no sense is left out.

    With an ``owner``, bids for anybody else's orders are left out too.
    """
    found = [bid for entry in entries if (bid := _bid(entry, blocks, owner)) is not None]
    newest = max(((each.gseq, each.oseq) for each in found), default=(0, 0))
    return tuple(each for each in found if (each.gseq, each.oseq) == newest)


def providers_of(entries: Sequence[Any]) -> tuple[ProviderFact, ...]:
    """Return the readable providers, one per id; a record that makes no sense is left out."""
    found: dict[str, ProviderFact] = {}
    for entry in entries:
        try:
            listed = PROVIDER.validate_python(entry)
        except ValidationError:
            continue
        found.setdefault(listed.owner, _fact(listed))
    return tuple(found.values())


def _bid(entry: Any, blocks: int, owner: str | None) -> Bid | None:
    try:
        body = BID.validate_python(entry).bid
        price = per_hour(body.price.denom, body.price.amount, blocks)
    except (ValidationError, UnavailableError):
        return None
    if price <= 0 or owner not in {None, body.id.owner}:
        return None
    return Bid(
        deployment=body.id.dseq,
        gseq=body.id.gseq,
        oseq=body.id.oseq,
        provider=body.id.provider,
        price_per_hour=price,
        state=BidState(body.state) if body.state in set(BidState) else BidState.CLOSED,
        gpu_model=_offered_model(body),
    )


def _offered_model(body: BidBody) -> str | None:
    for offer in body.resources_offer or ():
        for attribute in (offer.resources.gpu.attributes if offer.resources.gpu else None) or ():
            model = model_of(attribute.key)
            if model is not None:
                return model
    return None


def model_of(key: str) -> str | None:
    """Return the model in ``vendor/nvidia/model/h100/...``, None when there is none or "*"."""
    parts = key.split("/")
    if len(parts) < 4 or parts[0] != "vendor" or parts[2] != "model" or parts[3] == "*":
        return None
    return parts[3]


def _fact(listed: ListedProvider) -> ProviderFact:
    return ProviderFact(
        id=listed.owner,
        host_uri=listed.host_uri,
        region=_region(listed),
        online=listed.is_online,
        attributes=tuple(
            ProviderAttribute(key=each.key, value=each.value, audited_by=each.audited_by)
            for each in listed.attributes[:MAX_ATTRIBUTES]
        ),
        gpus=tuple(
            ProviderGpu(
                vendor=each.vendor,
                model=each.model,
                memory=each.ram or None,
                interface=each.interface or None,
            )
            for each in listed.gpu_models[:MAX_GPUS]
        ),
        uptime_1d=_thousandths(listed.uptime_1d),
        uptime_7d=_thousandths(listed.uptime_7d),
        uptime_30d=_thousandths(listed.uptime_30d),
    )


def _region(listed: ListedProvider) -> str:
    declared = {each.key: each.value for each in listed.attributes}
    named = (declared[key] for key in _REGION_KEYS if declared.get(key))
    return next(named, listed.location_region or "")


def _thousandths(fraction: Decimal | None) -> int | None:
    if fraction is None or not fraction.is_finite() or not 0 <= fraction <= 1:
        return None
    return int((fraction * 1000).to_integral_value(ROUND_FLOOR))


def _sum(coins: Sequence[Coin]) -> MicroUSD:
    funds = [each.amount for each in coins if each.denom == DENOM]
    total = sum((each for each in funds if each.is_finite()), Decimal(0))
    return MicroUSD(max(0, int(total.to_integral_value(ROUND_FLOOR))))


def deployment_state(text: str, number: str) -> DeploymentState:
    try:
        return DeploymentState(text)
    except ValueError:
        raise UnavailableError(f"deployment {number} is in the unknown state {text!r}") from None


def _lease_state(text: str, number: str) -> LeaseState:
    try:
        return LeaseState(text)
    except ValueError:
        raise UnavailableError(
            f"a lease of deployment {number} is in the unknown state {text!r}"
        ) from None
