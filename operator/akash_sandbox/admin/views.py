"""What the admin API shows."""

from __future__ import annotations

from akash_sandbox import leased_service
from akash_sandbox.admin.bodies import (
    AdminChain,
    AdminInfo,
    AdminLease,
    AdminNode,
    AdminProvider,
    AdminWorkload,
)
from akash_sandbox.market.bank import UACT
from akash_sandbox.market.decimals import floor
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.lease import Lease
from akash_sandbox.market.provider import Provider
from akash_sandbox.venue import Venue

_BLOCKS_PER_HOUR = 600


def info(venue: Venue, console_url: str) -> AdminInfo:
    """Return the sandbox's own facts."""
    return AdminInfo(
        account=venue.account.address,
        console_url=console_url,
        isolation=venue.workloads.isolation,
        egress_namespace=venue.workloads.egress_namespace,
        balance_micro_usd=venue.book.bank.balance(venue.account.address, UACT),
    )


def chain(venue: Venue) -> AdminChain:
    """Return the chain with its nodes and their faults."""
    return AdminChain(
        id=venue.chain.id,
        height=venue.chain.height,
        halted=venue.book.blocks.halted is not None,
        waiting=venue.chain.waiting,
        gas_percent=venue.chain.gas_percent,
        nodes=tuple(
            AdminNode(name=name, url=url, fault=venue.faults.node(name))
            for name, url in zip(venue.nodes, venue.chain_urls, strict=True)
        ),
    )


def providers(venue: Venue) -> list[AdminProvider]:
    """Return every provider with its faults."""
    return [_provider(venue, provider) for provider in venue.book.providers.values()]


def leases(venue: Venue) -> list[AdminLease]:
    """Return every lease ever made, oldest first."""
    return [
        _lease(venue, deployment, lease)
        for deployment in venue.book.deployments.values()
        for lease in deployment.leases
    ]


def _provider(venue: Venue, provider: Provider) -> AdminProvider:
    fault = venue.faults.provider(provider.name)
    return AdminProvider(
        name=provider.name,
        address=provider.id,
        host_uri=venue.host_uri(provider),
        region=provider.region,
        gpus=tuple(gpu.model for gpu in provider.gpus),
        leases=venue.book.use(provider.id).leases,
        dead=fault.dead,
        silent=fault.silent or venue.faults.current.no_bids,
        latency_ms=fault.latency_ms,
        bytes_per_second=fault.bytes_per_second,
        slowdown=fault.slowdown * provider.slowdown,
        hostile=tuple(venue.faults.hostility(provider.name).in_words),
    )


def _lease(venue: Venue, deployment: Deployment, lease: Lease) -> AdminLease:
    provider = venue.book.providers.get(lease.provider)
    return AdminLease(
        dseq=deployment.dseq,
        gseq=lease.gseq,
        oseq=lease.oseq,
        provider=provider.name if provider else "",
        provider_address=lease.provider,
        group=deployment.group(lease.gseq).name,
        state=lease.state.value,
        reason=lease.reason.value,
        price_micro_usd_per_hour=floor(lease.price * _BLOCKS_PER_HOUR),
        escrow_micro_usd=max(0, floor(deployment.escrow.funds())),
        workloads=_workloads(venue, deployment, lease) if lease.is_open else (),
    )


def _workloads(venue: Venue, deployment: Deployment, lease: Lease) -> tuple[AdminWorkload, ...]:
    manifest = venue.manifest_of(deployment, lease.provider) or []
    found = []
    for service in leased_service.services(deployment, lease, manifest):
        id_ = leased_service.workload_id(deployment, lease, service)
        state = venue.workloads.state(id_)
        if state is not None:
            workload = AdminWorkload(
                id=id_,
                image=service["image"],
                running=state.running,
                restarts=state.restarts,
                message=state.message,
                forwarded=state.forwarded,
                egress_interface=state.egress_interface,
            )
            found.append(workload)
    return tuple(found)
