"""InferenceWorkload: accept revisions, keep the right leases, route, and tell how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from garrison.api.account import Account
from garrison.api.meta import (
    FINALIZER,
    LEASE,
    WORKLOAD,
    Key,
    Kind,
    Raw,
)
from garrison.api.parsing import dump
from garrison.api.workload import (
    STATUS_ADAPTER,
    ReplicaStatus,
    Workload,
    template_of,
)
from garrison.controllers.catalog import Catalog
from garrison.controllers.clients import Clients, client_status, turn_of
from garrison.controllers.dependents import Dependents
from garrison.controllers.finalizer import Finalizer, Hold, Release
from garrison.controllers.images import Images
from garrison.controllers.postponement import Postponement
from garrison.controllers.routes import Router, Routes
from garrison.controllers.stories import workload_notes
from garrison.controllers.triggers import workload_of_lease
from garrison.controllers.unreadable import unreadable
from garrison.controllers.writes import (
    Accept,
    Create,
    IssueClient,
    Prune,
    Retire,
    Route,
    Unroute,
    WorkloadAction,
)
from garrison.core.acceptance import problem
from garrison.core.fleet import Fleet, FleetView, fleet
from garrison.core.hindrance import unadopted, unusable, waits_for
from garrison.core.revision import revision_name
from garrison.core.situation import Problem, Routing, Situation
from garrison.core.summary import summarise
from garrison.core.traffic import backends
from garrison.errors import InvalidSpecError
from garrison.ports.clock import Clock
from garrison.ports.identity import client_turn
from garrison.ports.kube import Kube
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one pass over a workload knows."""

    raw: Raw
    workload: Workload | None
    """None: the spec cannot be read (``unreadable`` says why)"""
    unreadable: str = ""
    now: datetime
    account: Account | None = None
    known: FleetView = field(default_factory=lambda: FleetView(leases={}))
    unread: frozenset[str] = frozenset()
    """names that the last pass put on the ledger, whose absence nobody has read"""
    moves: Fleet = field(default_factory=lambda: Fleet(ledger=(), sequence=0))
    target: str | None = None
    accept: bool = False
    """whether the spec's template becomes the accepted revision in this pass"""
    problem: Problem | None = None
    waiting: Problem | None = None
    blocked: Problem | None = None
    routes: Routes = field(default_factory=lambda: Routes(routing=None))


class WorkloadController:
    """Reconciles one workload. The ledger in its status is the intent for its leases."""

    def __init__(
        self,
        *,
        cache: Cache,
        catalog: Catalog,
        kube: Kube,
        clock: Clock,
        images: Images,
        router: Router,
        dependents: Dependents,
        clients: Clients,
    ) -> None:
        self._cache = cache
        self._catalog = catalog
        self._kube = kube
        self._clock = clock
        self._images = images
        self._router = router
        self._dependents = dependents
        self._clients = clients
        self._finalizer = Finalizer(kube=kube, cache=cache, kind=WORKLOAD)
        self._named: dict[Key, frozenset[str]] = {}
        """names that the last pass put on the ledger: no object has had them"""
        self._postponement = Postponement()

    @property
    def kind(self) -> Kind:
        return WORKLOAD

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return {
            "AkashLease": workload_of_lease,
            "AkashAccount": self._all_workloads,
            "ProviderPolicy": self._workloads_beside,
            "EgressPolicy": self._workloads_beside,
            "RotatingSecret": self._workloads_beside,
        }

    def _all_workloads(self, raw: Raw) -> list[Key]:
        del raw
        return [_key(each) for each in self._catalog.all_workloads()]

    def _workloads_beside(self, raw: Raw) -> list[Key]:
        namespace = raw["metadata"].get("namespace")
        workloads = self._catalog.all_workloads()
        return [_key(each) for each in workloads if each.meta.namespace == namespace]

    def forget(self, key: Key) -> None:
        """Drop what is remembered about a workload that is gone."""
        self._images.forget(key)
        self._router.forget(key)
        self._named.pop(key, None)
        self._postponement.forget(key)

    async def observe(self, raw: Raw) -> Seen:
        """Read the leases, and decide everything that needs no write."""
        now = self._clock.now()
        try:
            workload = self._catalog.workloads.of(raw)
        except InvalidSpecError as error:
            return Seen(raw=raw, workload=None, unreadable=str(error), now=now)
        seen = Seen(raw=raw, workload=workload, now=now, account=self._account(workload))
        unread = self._named.pop(_key(workload), frozenset())
        seen = replace(seen, known=await self._known(workload, unread), unread=unread)
        return await self._routed(self._decided(seen, workload), workload)

    def _account(self, workload: Workload) -> Account | None:
        ref = workload.spec.account_ref
        return self._catalog.account(ref.name) if ref else self._catalog.default_account()

    async def _known(self, workload: Workload, unread: frozenset[str]) -> FleetView:
        """The leases; a ledger entry that the cache lacks is read afresh before it counts as gone.

        A name that was just put there is created unread: one that exists already is the same.
        """
        leases = self._catalog.leases_of(workload)
        gone = set()
        for entry in workload.status.leases:
            if entry.name in leases or (entry.name in unread and entry.uid is None):
                continue
            raw = await self._kube.get(LEASE, workload.meta.namespace, entry.name)
            if raw is None:
                gone.add(entry.name)
                continue
            self._cache.put(raw)
            lease = self._catalog.leases.of(raw)
            if workload.meta.uid in lease.meta.owners:
                leases[entry.name] = lease
        return FleetView(leases=leases, gone=frozenset(gone))

    def _decided(self, seen: Seen, workload: Workload) -> Seen:
        ref = workload.spec.provider_policy_ref
        policy = self._catalog.policy(workload.meta.namespace, ref.name) if ref else None
        accounts = [each["metadata"]["name"] for each in self._cache.list("AkashAccount")]
        egress = workload.spec.egress_policy_ref
        egress_policy = (
            self._catalog.egress_policy(workload.meta.namespace, egress.name) if egress else None
        )
        trouble = problem(
            workload,
            seen.account,
            policy,
            accounts,
            egress=egress_policy,
            secrets=self._secrets(workload.meta.namespace),
        )
        candidate = revision_name(workload.meta.name, template_of(workload.spec))
        accepted = workload.status.accepted_revision
        accept, waiting = False, None
        if trouble is None and candidate != accepted and not workload.meta.deleting:
            accept, trouble, waiting = self._images.verdict(workload)
        target = candidate if accept else accepted
        moves = fleet(workload, seen.known, target=accepted, now=seen.now)
        return replace(
            seen,
            problem=trouble,
            waiting=waiting or _waits_for(seen, moves, accepted),
            blocked=unusable(seen.account) or unadopted(workload, moves.failures),
            accept=accept,
            target=target,
            moves=moves,
        )

    def _secrets(self, namespace: str) -> frozenset[str]:
        raws = self._cache.list("RotatingSecret", namespace=namespace)
        return frozenset(each["metadata"]["name"] for each in raws)

    async def _routed(self, seen: Seen, workload: Workload) -> Seen:
        if workload.meta.deleting:
            return seen
        found = backends(seen.known.leases.values())
        if not found and (not workload.status.conditions or _had_no_lease(seen, workload)):
            return seen
        metas = {name: lease.meta for name, lease in seen.known.leases.items()}
        private = seen.account is not None and seen.account.spec.allow_private_addresses
        routes = await self._router.routes(workload, found, metas, allow_private=private)
        return replace(seen, routes=routes)

    def plan(self, observed: Seen, now: datetime) -> Plan[WorkloadAction]:
        """Return the writes of this pass, in the order in which a crash between them is harmless."""
        del now
        workload = observed.workload
        if workload is None:
            return Plan(requeue_after=300.0)
        if workload.meta.deleting:
            return Plan(actions=self._farewell(observed, workload))
        if FINALIZER not in workload.meta.finalizers:
            return Plan(actions=(Hold(),), requeue_after=0.0)
        actions: list[WorkloadAction] = []
        if observed.accept and observed.target is not None:
            actions.append(Accept(name=observed.target))
            if workload.status.accepted_revision is not None:
                actions.append(Prune())
        routes = observed.routes
        actions += [Unroute(name=name) for name in routes.stale]
        actions += [Route(kind=kind, body=body) for kind, body in routes.objects]
        if workload.spec.trust == "Verified" and client_turn(observed.now) != turn_of(workload):
            actions.append(IssueClient(turn=client_turn(observed.now)))
        actions += [Retire(name=name, uid=uid) for name, uid in observed.moves.delete]
        actions += [Create(entry=entry) for entry in observed.moves.create]
        return Plan(actions=tuple(actions), requeue_after=self._next_look(observed))

    def _next_look(self, seen: Seen) -> float:
        waits = [0.0 if _is_left_unread(seen) else 300.0]
        if seen.moves.requeue is not None:
            waits.append(seen.moves.requeue)
        if seen.problem is not None or seen.waiting is not None:
            waits.append(31.0)
        match seen.routes.routing:
            case Routing(routed=True):
                waits.append(60.0)
            case Routing(reason="NameTaken"):
                waits.append(10.0)
            case Routing(reason="AddressUnknown"):
                waits.append(30.0)
        return min(waits)

    def _farewell(self, seen: Seen, workload: Workload) -> tuple[WorkloadAction, ...]:
        if FINALIZER not in workload.meta.finalizers:
            return ()
        retire = tuple(Retire(name=name, uid=uid) for name, uid in seen.moves.delete)
        if retire or seen.known.leases or seen.moves.ledger:
            return retire
        return (Release(),)

    async def act(self, action: WorkloadAction, observed: Seen) -> None:
        """Perform one write."""
        workload = observed.workload
        assert workload is not None  # noqa: S101 - plan() has no action without one
        namespace = workload.meta.namespace
        match action:
            case Hold():
                await self._finalizer.add(workload.meta)
            case Release():
                await self._finalizer.remove(workload.meta)
            case Accept():
                await self._dependents.accept(workload, action.name)
            case Create():
                await self._create(observed, workload, action.entry)
            case Retire():
                await self._kube.delete(LEASE, namespace, action.name, uid=action.uid)
            case Route():
                await self._router.apply(workload, (action.kind, action.body))
            case Unroute():
                await self._router.remove(workload, action.name)
            case IssueClient():
                await self._clients.issue(workload, action.turn)
            case Prune():
                await self._dependents.prune(workload, kept=_revisions_in_use(observed, workload))
            case _:
                assert_never(action)

    async def _create(self, seen: Seen, workload: Workload, entry: ReplicaStatus) -> None:
        if seen.account is not None:
            account, excluded = seen.account.meta.name, seen.moves.excluded
            await self._dependents.create(workload, entry, account=account, excluded=excluded)

    def conclude(
        self, observed: Seen, outcomes: tuple[Outcome[WorkloadAction], ...], now: datetime
    ) -> Verdict:
        """Return the status; after a change of finalizers there is nothing to write yet."""
        if observed.workload is None:
            return unreadable(observed.raw, observed.unreadable, observed.now)
        if any(isinstance(each.action, Hold | Release) for each in outcomes):
            return Verdict(requeue_after=0.0)
        del now
        workload = observed.workload
        kept = observed.accept and all(
            each.error is None for each in outcomes if isinstance(each.action, Accept)
        )
        accepted = observed.target if kept else workload.status.accepted_revision
        if kept:
            observed = _with_accepted(observed, workload, accepted)
        status = summarise(self._situation(observed, workload, accepted))
        for each in outcomes:
            if isinstance(each.action, IssueClient) and each.error is None:
                status = replace(status, client=client_status(workload, each.action.turn))
        fresh = {each.name for each in status.leases} - {
            each.name for each in workload.status.leases
        }
        wait = self._postponement.left(_key(workload), workload.status, status, observed.now)
        if wait is not None:
            return Verdict(requeue_after=min(wait, self._next_look(observed)))
        self._named[_key(workload)] = frozenset(fresh)
        return Verdict(
            status=dump(STATUS_ADAPTER, status),
            notes=workload_notes(workload, status),
            requeue_after=0.0 if fresh or kept else self._next_look(observed),
        )

    def _situation(self, seen: Seen, workload: Workload, accepted: str | None) -> Situation:
        candidate = revision_name(workload.meta.name, template_of(workload.spec))
        return Situation(
            workload=workload,
            now=seen.now,
            fleet=seen.moves,
            leases=tuple(lease for _, lease in sorted(seen.known.leases.items())),
            accepted=accepted,
            accepted_image=workload.spec.image if candidate == accepted else workload.status.image,
            is_accepted=candidate == accepted,
            problem=seen.problem,
            waiting=seen.waiting,
            blocked=seen.blocked,
            routing=seen.routes.routing,
        )


def _with_accepted(seen: Seen, workload: Workload, accepted: str | None) -> Seen:
    """The pass that stores a revision also names its leases: both stand in the same write."""
    moves = fleet(workload, seen.known, target=accepted, now=seen.now)
    return replace(
        seen,
        moves=moves,
        waiting=_waits_for(seen, moves, accepted),
        blocked=unusable(seen.account) or unadopted(workload, moves.failures),
    )


def _is_left_unread(seen: Seen) -> bool:
    """Whether a new name is not wanted any more: it goes once its absence has been read."""
    left = seen.unread - {each.name for each in seen.moves.create} - set(seen.known.leases)
    return any(each.name in left for each in seen.moves.ledger)


def _had_no_lease(seen: Seen, workload: Workload) -> bool:
    """Whether no AkashLease of this workload ever existed: then no EndpointSlice did."""
    status = workload.status
    named = [each for each in status.leases if each.uid is None]
    return not seen.known.leases and len(named) == status.sequence


def _revisions_in_use(seen: Seen, workload: Workload) -> frozenset[str]:
    used = {lease.spec.revision for lease in seen.known.leases.values()}
    used |= {each.revision for each in seen.moves.ledger}
    named = {seen.target, workload.status.accepted_revision, workload.status.served_revision}
    return frozenset(used | {each for each in named if each})


def _waits_for(seen: Seen, moves: Fleet, accepted: str | None) -> Problem | None:
    failures = [each for each in moves.failures if each.revision == accepted]
    leases = tuple(seen.known.leases.values())
    return waits_for(seen.account, leases, failures, moves.failures_since_ready)


def _key(workload: Workload) -> Key:
    return Key(kind=WORKLOAD.kind, namespace=workload.meta.namespace, name=workload.meta.name)
