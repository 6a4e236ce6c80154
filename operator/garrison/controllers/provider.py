"""AkashProvider: the market's word and our own record, folded into one status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from garrison.api.meta import LEASE, PROVIDER, Key, Kind, Raw
from garrison.api.parsing import dump
from garrison.api.provider import STATUS_ADAPTER, Provider, ResultStatus
from garrison.controllers.catalog import Catalog
from garrison.controllers.directory import Directory
from garrison.core.record import provider_status, results
from garrison.ports.clock import Clock
from garrison.ports.market import ProviderFact
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict

PERIOD = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one pass over a provider knows."""

    provider: Provider
    now: datetime
    fact: ProviderFact | None
    listed: bool
    results: tuple[ResultStatus, ...]
    open_leases: int


class ProviderController:
    """Reconciles one provider's status. It writes nothing else."""

    def __init__(self, *, catalog: Catalog, directory: Directory, clock: Clock) -> None:
        self._catalog = catalog
        self._directory = directory
        self._clock = clock

    @property
    def kind(self) -> Kind:
        return PROVIDER

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return {LEASE.kind: _provider_of_lease, "InferenceWorkload": _blamed_providers}

    async def observe(self, raw: Raw) -> Record:
        """Read the leases held here and the verdicts of workloads on leases that ended here."""
        provider = self._catalog.provider_objects.of(raw)
        name = provider.meta.name
        leases = [each for each in self._catalog.all_leases() if each.status.provider == name]
        failures = [
            failure
            for workload in self._catalog.all_workloads()
            for failure in workload.status.failures
            if failure.provider == name
        ]
        return Record(
            provider=provider,
            now=self._clock.now(),
            fact=self._directory.fact(name),
            listed=not self._directory.is_empty,
            results=results(leases, failures),
            open_leases=sum(each.status.closed_at is None for each in leases),
        )

    def plan(self, observed: Record, now: datetime) -> Plan[NoReturn]:
        """Return nothing to do: a provider is only watched."""
        del observed, now
        return Plan(requeue_after=PERIOD)

    async def act(self, action: NoReturn, observed: Record) -> object:
        """Never called: the plan has no actions."""
        del observed
        return action

    def conclude(
        self, observed: Record, outcomes: tuple[Outcome[NoReturn], ...], now: datetime
    ) -> Verdict:
        """Return the status."""
        del outcomes, now
        status = provider_status(
            observed.provider,
            observed.fact,
            listed=observed.listed,
            new=observed.results,
            open_leases=observed.open_leases,
            now=observed.now,
        )
        return Verdict(status=dump(STATUS_ADAPTER, status), requeue_after=PERIOD)


def _provider_of_lease(raw: Raw) -> list[Key]:
    name = (raw.get("status") or {}).get("provider")
    return [Key(kind=PROVIDER.kind, namespace="", name=name)] if name else []


def _blamed_providers(raw: Raw) -> list[Key]:
    failures = (raw.get("status") or {}).get("failures") or ()
    names = sorted({each["provider"] for each in failures if each.get("provider")})
    return [Key(kind=PROVIDER.kind, namespace="", name=name) for name in names]
