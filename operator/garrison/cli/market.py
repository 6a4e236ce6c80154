"""``garrison account`` and ``garrison providers``: money, and who could host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from garrison.adapters.kube.client import connect as connect_kube
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, parse_account
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import ACCOUNT, LABEL_WORKLOAD, LEASE, PROVIDER, Condition
from garrison.api.money import MicroUSD, format_dollars, parse_dollars
from garrison.api.provider import parse_provider
from garrison.cli.place import Place, completed, placed
from garrison.cli.resources import found_in
from garrison.cli.table import print_table
from garrison.cli.target import TargetType
from garrison.core.hosting import Candidate, Wanted, candidates, known
from garrison.core.order import price_ceiling
from garrison.core.reputation import score
from garrison.errors import AuthError, NotFoundError
from garrison.ports.kube import Kube

OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True
)
_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rent:
    """A lease that is paid for. ``so_far``: its price times its age, which escrow may differ from.

    ``escrow``: what is left for its rent, as the account's newest look at the market had it.
    """

    namespace: str
    name: str
    workload: str = ""
    provider: str = ""
    phase: str = ""
    price_per_hour: str = ""
    so_far: str = ""
    escrow: str = ""


@click.command()
@click.argument("name", required=False)
@OUTPUT
@placed
def account(*, place: Place, name: str | None, output: str) -> None:
    """Print balances, burn, runway and leases of every AkashAccount, or of NAME.

    Figures are those of the operator's newest look; a line says so when it could not look, or when
    the money gets short.

    What a lease cost so far is its price times the time since it was taken: an estimate, the
    market's own bill is the escrow. Without the right to list AkashLeases everywhere, the account's
    ledger is shown instead: which leases hold a slot, and the highest price that each was granted.
    """
    completed(_account(place, name, output))


async def _account(place: Place, name: str | None, output: str) -> None:
    kube = await connect_kube(place.kubeconfig, place.context)
    try:
        accounts = await _accounts(kube, name)
        leases = await _leases(kube)
    finally:
        await kube.close()
    now = SystemClock().now()
    shown = [(each, rents(each, leases, now)) for each in accounts]
    if output == "json":
        click.echo(json.dumps([_account_json(each, mine) for each, mine in shown], indent=2))
        return
    for each, mine in shown:
        _print_account(each, mine)
    if leases is None:
        click.echo("prices are what was granted at most: you may not list AkashLeases everywhere")


async def _accounts(kube: Kube, name: str | None) -> list[Account]:
    if name is None:
        found = [parse_account(each) for each in await kube.list(ACCOUNT)]
        if not found:
            raise NotFoundError("there is no AkashAccount; see docs/examples/00-account.yaml")
        return sorted(found, key=lambda each: each.meta.name)
    raw = await kube.get(ACCOUNT, "", name)
    if raw is None:
        raise NotFoundError(f"AkashAccount {name} does not exist; see: kubectl get aa")
    return [parse_account(raw)]


async def _leases(kube: Kube) -> list[Lease] | None:
    """Every lease of the cluster, None when they may not be listed."""
    try:
        return [parse_lease(each) for each in await kube.list(LEASE)]
    except AuthError:
        return None


def rents(of: Account, leases: Sequence[Lease] | None, now: datetime) -> tuple[Rent, ...]:
    """Return what an account pays for; ``leases`` None: as its ledger has it."""
    left = {each.lease: each.left for each in of.status.escrows if each.lease is not None}
    if leases is None:
        return tuple(
            Rent(
                namespace=each.namespace,
                name=each.name,
                price_per_hour=each.price_per_hour,
                escrow=left.get(f"{each.namespace}/{each.name}", ""),
            )
            for each in of.status.grants
        )
    mine = [each for each in leases if each.spec.account == of.meta.name and _is_paid(each)]
    return tuple(
        replace(_rent(each, now), escrow=left.get("/".join(_by_name(each)), ""))
        for each in sorted(mine, key=_by_name)
    )


def _is_paid(lease: Lease) -> bool:
    return lease.status.deployment is not None and lease.status.closed_at is None


def _by_name(lease: Lease) -> tuple[str, str]:
    return (lease.meta.namespace, lease.meta.name)


def _rent(lease: Lease, now: datetime) -> Rent:
    status = lease.status
    return Rent(
        namespace=lease.meta.namespace,
        name=lease.meta.name,
        workload=lease.spec.workload,
        provider=status.provider or "",
        phase=status.phase,
        price_per_hour=status.price_per_hour or "",
        so_far=_so_far(lease, now),
    )


def _so_far(lease: Lease, now: datetime) -> str:
    taken = next((each.at for each in lease.status.timings if each.phase == "Deploying"), None)
    if taken is None or lease.status.price_per_hour is None:
        return ""
    seconds = max(0, int((now - taken).total_seconds()))
    return format_dollars(parse_dollars(lease.status.price_per_hour) * seconds // _HOUR)


def _problems(of: Account) -> tuple[Condition, ...]:
    """Return the conditions that do not hold, or of which nobody knows: each holds when all is well."""
    return tuple(each for each in of.status.conditions if each.status != "True")


def _account_json(of: Account, mine: Sequence[Rent]) -> dict[str, Any]:
    status, limits = of.status, of.spec.limits
    return {
        "name": of.meta.name,
        "backend": of.spec.backend.type,
        "address": status.address,
        "balance": status.balance,
        "feeBalance": status.fee_balance,
        "escrowed": status.escrowed,
        "burnPerHour": status.burn_per_hour,
        "runwayHours": status.runway_hours,
        "openLeases": status.open_leases,
        "maxLeases": limits.max_leases,
        "maxPricePerHour": limits.max_price_per_hour,
        "problems": [
            {
                "type": each.type,
                "status": each.status,
                "reason": each.reason,
                "message": each.message,
            }
            for each in _problems(of)
        ],
        "strangers": [
            {"deployment": each.deployment, "kind": each.kind} for each in status.strangers
        ],
        "leases": [
            {
                "namespace": each.namespace,
                "name": each.name,
                "workload": each.workload or None,
                "provider": each.provider or None,
                "phase": each.phase or None,
                "pricePerHour": each.price_per_hour or None,
                "costSoFar": each.so_far or None,
                "escrow": each.escrow or None,
            }
            for each in mine
        ],
    }


def _print_account(of: Account, mine: Sequence[Rent]) -> None:
    status, limits = of.status, of.spec.limits
    runway = f"{status.runway_hours} h" if status.runway_hours is not None else "-"
    click.echo(f"{of.meta.name}  {of.spec.backend.type}  {status.address or ''}".rstrip())
    click.echo(f"  balance  {status.balance or '-'} $")
    if status.fee_balance is not None:
        click.echo(f"  fees     {status.fee_balance} AKT to pay them from")
    if status.escrowed is not None:
        click.echo(f"  escrow   {status.escrowed} $ in open deployments")
    click.echo(
        f"  burn     {status.burn_per_hour or '-'} $/h of {limits.max_price_per_hour} allowed"
    )
    click.echo(f"  runway   {runway}")
    click.echo(f"  leases   {status.open_leases} of {limits.max_leases} allowed")
    for problem in _problems(of):
        click.echo(f"  {problem.type} is {problem.status}: {problem.message or problem.reason}")
    for each in status.strangers:
        click.echo(f"  {each.kind.lower()}  deployment {each.deployment}: no AkashLease owns it")
    if mine:
        _print_rents(mine)


def _print_rents(mine: Sequence[Rent]) -> None:
    titles = (
        "NAMESPACE",
        "LEASE",
        "WORKLOAD",
        "PROVIDER",
        "PHASE",
        "PRICE/H",
        "SO FAR",
        "ESCROW",
    )
    rows = [
        (
            each.namespace,
            each.name,
            each.workload,
            each.provider,
            each.phase,
            each.price_per_hour,
            each.so_far,
            each.escrow,
        )
        for each in mine
    ]
    print_table(titles, rows)


@click.command()
@click.argument("workload", type=TargetType(), required=False)
@OUTPUT
@placed
def providers(*, place: Place, workload: str | None, output: str) -> None:
    """Print which known providers could host WORKLOAD, and why not each other one.

    \b
    garrison providers iw/chat -n prod
    garrison providers

    The price is that of a provider's newest bid for this workload, and "-" where none is recorded:
    providers name prices only when an order is open. Whether one has room now, only a bid tells.
    """
    completed(_providers(place, workload, output))


async def _providers(place: Place, workload: str | None, output: str) -> None:
    kube = await connect_kube(place.kubeconfig, place.context)
    try:
        found = await hosts(kube, place.namespace, workload, SystemClock().now())
    finally:
        await kube.close()
    if output == "json":
        click.echo(json.dumps([_candidate_json(each) for each in found], indent=2))
        return
    titles = ("PROVIDER", "REGION", "GPUS", "UPTIME 7D", "SCORE", "PRICE/H", "WHY NOT")
    print_table(titles, [_row(each) for each in found])
    able = sum(not each.objection for each in found)
    click.echo(f"{able} of {len(found)} known providers could host")


async def hosts(
    kube: Kube, namespace: str, workload: str | None, now: datetime
) -> tuple[Candidate, ...]:
    """Return the providers, judged for a workload if one is named. Raises NotFoundError."""
    all_providers = [parse_provider(each) for each in await kube.list(PROVIDER)]
    if not all_providers:
        raise NotFoundError(
            "no provider is known yet; the operator lists them once there is a usable AkashAccount: "
            "kubectl get aa"
        )
    if workload is None:
        return known(all_providers, now)
    found = await found_in(kube, namespace, workload)
    policy = found.policy.spec if found.policy else None
    ceiling = price_ceiling(found.workload.spec.budget, policy, found.account)
    raws = await kube.list(LEASE, namespace=namespace, labels={LABEL_WORKLOAD: workload})
    wanted = Wanted(workload=found.workload, policy=found.policy, ceiling=ceiling)
    return candidates(all_providers, [parse_lease(each) for each in raws], wanted, now)


def _row(each: Candidate) -> tuple[str, ...]:
    status = each.provider.status
    return (
        each.provider.meta.name,
        status.region or "",
        status.gpu_summary or ", ".join(sorted({gpu.model for gpu in status.gpus})),
        f"{status.uptime7d / 10:.1f} %" if status.uptime7d is not None else "-",
        str(score(status)),
        _dollars(each.price_per_hour) or "-",
        each.objection,
    )


def _candidate_json(each: Candidate) -> dict[str, Any]:
    status = each.provider.status
    return {
        "provider": each.provider.meta.name,
        "region": status.region,
        "gpus": sorted({gpu.model for gpu in status.gpus}),
        "uptime7d": status.uptime7d / 1000 if status.uptime7d is not None else None,
        "score": score(status),
        "pricePerHour": _dollars(each.price_per_hour),
        "couldHost": not each.objection,
        "objection": each.objection or None,
    }


def _dollars(amount: MicroUSD | None) -> str | None:
    return format_dollars(amount) if amount is not None else None
