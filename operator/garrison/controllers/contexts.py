"""What a replica's step sees without asking the market: its workload, siblings, account and template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from garrison.api.account import Account
from garrison.api.lease import Lease
from garrison.api.meta import WORKLOAD
from garrison.api.workload import Workload
from garrison.controllers.catalog import Catalog, ImageProcess
from garrison.controllers.secrets import Deliveries
from garrison.controllers.sentinels import Sentinels
from garrison.core.admission import launch_of
from garrison.core.budget import is_granted
from garrison.core.egress import WantedEgress
from garrison.core.lifecycle import Observation, Timing
from garrison.core.order import environment, price_ceiling
from garrison.core.record import is_recorded
from garrison.core.rotation import WantedSecret, newest
from garrison.core.target import target_of
from garrison.core.variant import variant
from garrison.core.winding import is_leaving
from garrison.ports.clock import Chance, Clock
from garrison.ports.kube import Kube
from garrison.ports.market import LeaseTarget, MarketTraits
from garrison.ports.sentinel import Launch

UNPLACED = frozenset({"Pending", "Ordering", "Bidding", "Leasing"})
"""phases in which it is not settled yet at which provider the replica runs"""
CHOOSING = frozenset({"Ordering", "Bidding"})
UNKNOWN_MARKET = MarketTraits(chooses_id=True, outcome_horizon=timedelta(hours=1))
"""Until the account is known, every outcome counts as open for long."""


class Contexts:
    """Begins every observation of a lease. ``tokens`` are those that this process may still use."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        kube: Kube,
        clock: Clock,
        chance: Chance,
        sentinels: Sentinels,
        deliveries: Deliveries,
        installation: str,
        timing: Timing,
    ) -> None:
        self._catalog = catalog
        self._kube = kube
        self._clock = clock
        self._chance = chance
        self._sentinels = sentinels
        self._deliveries = deliveries
        self._installation = installation
        self._timing = timing
        self.tokens: dict[str, str] = {}
        """by the lease's uid: each is good for one call, and lost with the process"""

    async def of(self, lease: Lease) -> Observation:
        """Return what the cache, the clock and the template say; nothing is asked of the market."""
        account = self._catalog.account(lease.spec.account)
        workload = self.owner(lease)
        status, leaving = lease.status, is_leaving(lease)
        o = Observation(
            lease=lease,
            now=self._clock.now(),
            installation=self._installation,
            token=self._chance.token(),
            holds_token=status.intent is not None
            and self.tokens.get(lease.meta.uid) == status.intent.token,
            traits=UNKNOWN_MARKET,
            timing=self._timing,
            account=account,
            recorded=self._is_recorded(lease),
            orphaned=lease.meta.deleting and await self._is_orphaned(lease),
            unlisted=account is not None and await self._is_unlisted(lease, account),
            template=await self._catalog.template(lease.meta.namespace, lease.spec.revision)
            if not leaving or status.phase == "Closing"
            else None,
        )
        if o.verified and not leaving:
            o = await self._with_sentinel(o, workload)
        if o.verified and status.closed_at is not None and lease.meta.deleting:
            o = variant(o, unrevoked=await self._deliveries.unrevoked(lease))
        if status.phase in UNPLACED and not leaving:
            o = self._with_rivals(o, workload)
        return self._with_workload(o, workload) if workload is not None else o

    def _wanted(self, lease: Lease, workload: Workload, name: str) -> WantedSecret:
        secret = self._catalog.rotating_secret(lease.meta.namespace, name)
        if secret is None:
            return WantedSecret(name=name, version=None)
        holder = lease.meta.uid if secret.spec.scope == "Lease" else workload.meta.uid
        live = newest(secret.status, holder)
        return WantedSecret(name=name, version=live.version if live is not None else None)

    async def _with_sentinel(self, o: Observation, workload: Workload | None) -> Observation:
        process = await self._catalog.process(o.lease.meta.namespace, o.lease.spec.revision)
        return variant(
            o,
            injection=await self._sentinels.injection(o.lease),
            launch=_launch(o, workload, process) if process is not None else None,
            secrets=self._secrets(o, workload),
        )

    def _secrets(self, o: Observation, workload: Workload | None) -> tuple[WantedSecret, ...]:
        if workload is None or o.template is None:
            return ()
        names = [each.rotating_secret_ref.name for each in o.template.secrets]
        return tuple(self._wanted(o.lease, workload, each) for each in names)

    async def _is_unlisted(self, lease: Lease, account: Account) -> bool:
        """Another operator may have dropped the name while this one was creating the object.

        Once the object exists its name is never dropped, so one look after that is enough.
        """
        status, meta = lease.status, lease.meta
        waits = status.phase == "Pending" and status.intent is None and not meta.deleting
        grants, now = account.status.grants, self._clock.now()
        if not waits or not is_granted(meta.uid, status.attempt, grants, now):
            return False
        raw = await self._kube.get(WORKLOAD, meta.namespace, lease.spec.workload)
        workload = self._catalog.workloads.valid(raw) if raw is not None else None
        if workload is None or workload.meta.uid not in meta.owners:
            return True
        return all(each.name != meta.name for each in workload.status.leases)

    async def _is_orphaned(self, lease: Lease) -> bool:
        """Read afresh: a stale cache must neither close nor leave running what a person wants else."""
        raw = await self._kube.get(WORKLOAD, lease.meta.namespace, lease.spec.workload)
        workload = self._catalog.workloads.valid(raw) if raw is not None else None
        return (
            workload is not None
            and workload.meta.uid in lease.meta.owners
            and workload.meta.deleting
            and workload.spec.deletion_policy == "Orphan"
        )

    def owner(self, lease: Lease) -> Workload | None:
        """Return the workload that a lease belongs to, None when it is gone."""
        workload = self._catalog.workload(lease.meta.namespace, lease.spec.workload)
        return workload if workload is not None and workload.meta.uid in lease.meta.owners else None

    def _with_workload(self, o: Observation, workload: Workload) -> Observation:
        spec = workload.spec
        ref = spec.provider_policy_ref
        policy = self._catalog.policy(workload.meta.namespace, ref.name) if ref else None
        return variant(
            o,
            policy=policy.spec if policy is not None else None,
            policy_missing=ref is not None and policy is None,
            health=spec.health,
            benchmark=spec.benchmark,
            spread=spec.spread,
            drain_seconds=spec.traffic.drain_seconds,
            egress=self._egress(workload),
            ceiling=price_ceiling(spec.budget, policy.spec if policy else None, o.account)
            if o.account is not None
            else o.ceiling,
        )

    def _with_rivals(self, o: Observation, workload: Workload | None) -> Observation:
        """What the choice of a provider looks at: all of them, and where the siblings are."""
        siblings = [
            each
            for name, each in (self._catalog.leases_of(workload) if workload else {}).items()
            if name != o.lease.meta.name and each.status.closed_at is None
        ]
        held = sorted({name for each in siblings if (name := _held(each)) is not None})
        return variant(
            o,
            providers=self._catalog.providers(),
            taken=frozenset(held),
            taken_regions=frozenset(self._regions(held)),
            yields=any(
                each.status.phase in CHOOSING and each.meta.name < o.lease.meta.name
                for each in siblings
            ),
        )

    def _egress(self, workload: Workload) -> WantedEgress:
        """A policy that does not exist allows nothing; the workload's status says what is missing."""
        ref = workload.spec.egress_policy_ref
        if ref is None:
            return WantedEgress()
        policy = self._catalog.egress_policy(workload.meta.namespace, ref.name)
        if policy is None:
            return WantedEgress(name=ref.name)
        return WantedEgress(name=ref.name, generation=policy.meta.generation, spec=policy.spec)

    def _regions(self, providers: Sequence[str]) -> list[str]:
        known = [self._catalog.provider(each) for each in providers]
        return [each.status.region for each in known if each is not None and each.status.region]

    def _is_recorded(self, lease: Lease) -> bool:
        provider = self._catalog.provider(lease.status.provider) if lease.status.provider else None
        if provider is None:
            return True
        return is_recorded(lease, provider.status.results)

    def target(self, o: Observation) -> LeaseTarget | None:
        """Return where the container is managed, None while the host is not known."""
        if o.status.provider is None:
            return None
        provider = self._catalog.provider(o.status.provider)
        return target_of(o.status, provider.status.host if provider else None)


def _launch(o: Observation, workload: Workload | None, process: ImageProcess) -> Launch | None:
    template = o.template
    if template is None or workload is None:
        return None
    return launch_of(
        command=template.command,
        args=template.args,
        image_entrypoint=process.entrypoint,
        image_command=process.command,
        env=environment(template),
        port=template.port,
        drain_seconds=workload.spec.traffic.drain_seconds,
        metrics_path=template.metrics.path if template.metrics is not None else None,
    )


def _held(lease: Lease) -> str | None:
    """The provider that a lease is at, or is about to be."""
    intent = lease.status.intent
    return lease.status.provider or (intent.provider if intent is not None else None)
