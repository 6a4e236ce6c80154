"""EgressPolicy: who uses it, how far it is enforced, what was denied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from garrison.api.egress import STATUS_ADAPTER, EgressPolicy
from garrison.api.meta import EGRESS, LEASE, WORKLOAD, Kind, Raw
from garrison.api.parsing import dump
from garrison.api.workload import Workload
from garrison.controllers.catalog import Catalog
from garrison.controllers.mining import mining_notes
from garrison.controllers.triggers import beside
from garrison.core.audit import Usage, policy_status
from garrison.ports.clock import Clock
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict

PERIOD = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one pass over a policy knows."""

    policy: EgressPolicy
    usage: Usage
    now: datetime


class EgressController:
    """Reconciles one policy's status. The leases themselves put the policy in force."""

    def __init__(self, *, cache: Cache, catalog: Catalog, clock: Clock) -> None:
        self._cache = cache
        self._catalog = catalog
        self._clock = clock

    @property
    def kind(self) -> Kind:
        return EGRESS

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        found = beside(self._cache, EGRESS)
        return {WORKLOAD.kind: found, LEASE.kind: found}

    async def observe(self, raw: Raw) -> Used:
        """Read who refers to the policy."""
        policy = self._catalog.egress_policies.of(raw)
        workloads = [each for each in self._catalog.all_workloads() if _refers(each, policy)]
        leases = [
            lease
            for each in workloads
            for _, lease in sorted(self._catalog.leases_of(each).items())
            if lease.status.closed_at is None
        ]
        usage = Usage(workloads=workloads, leases=leases)
        return Used(policy=policy, usage=usage, now=self._clock.now())

    def plan(self, observed: Used, now: datetime) -> Plan[NoReturn]:
        """Return nothing to do: a policy is only explained."""
        del observed, now
        return Plan(requeue_after=PERIOD)

    async def act(self, action: NoReturn, observed: Used) -> object:
        """Never called: the plan has no actions."""
        del observed
        return action

    def conclude(
        self, observed: Used, outcomes: tuple[Outcome[NoReturn], ...], now: datetime
    ) -> Verdict:
        """Return the status, and an Event for every mining pool that was asked for anew."""
        del outcomes, now
        policy = observed.policy
        status = policy_status(policy, observed.usage)
        return Verdict(
            status=dump(STATUS_ADAPTER, status),
            notes=mining_notes(
                EGRESS.kind,
                policy.meta,
                before=policy.status.denied,
                after=status.denied,
                audits=policy.spec.mode == "Audit",
            ),
            requeue_after=PERIOD,
        )


def _refers(workload: Workload, policy: EgressPolicy) -> bool:
    ref = workload.spec.egress_policy_ref
    near = workload.meta.namespace == policy.meta.namespace
    return near and ref is not None and ref.name == policy.meta.name
