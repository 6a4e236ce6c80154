"""AkashAccount: grants under the ceilings, the sweep for lost deployments, the balance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from garrison.api.account import STATUS_ADAPTER, Account, AccountStatus, Stranger
from garrison.api.lease import Lease, parse_lease
from garrison.api.meta import (
    ACCOUNT,
    FINALIZER,
    LEASE,
    PROVIDER,
    Key,
    Kind,
    Meta,
    Raw,
)
from garrison.api.money import MicroUSD
from garrison.api.parsing import dump
from garrison.controllers.catalog import Catalog
from garrison.controllers.directory import Directory
from garrison.controllers.finalizer import Finalizer, Hold, Release
from garrison.controllers.mints import Mints
from garrison.controllers.stories import account_warnings
from garrison.controllers.surveys import Survey, Surveys
from garrison.controllers.triggers import account_triggers
from garrison.core.adoption import without_ended
from garrison.core.budget import has_lapsed, reserved
from garrison.core.holdings import escrows
from garrison.core.ledger import MarketView, Standing, standing, summarise
from garrison.core.order import price_ceiling
from garrison.core.sweep import strangers
from garrison.errors import AlreadyExistsError
from garrison.ports.clock import Clock
from garrison.ports.kube import Kube, Note
from garrison.ports.market import DeploymentState, Exchanges
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseOrphan:
    """Close a deployment of ours that no lease owns. It is named in the status already."""

    deployment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduce:
    """Create the AkashProvider of a provider that the market lists."""

    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """Make credit out of the wallet's coins. It is recorded in the status already."""

    amount: MicroUSD


AccountAction: TypeAlias = Hold | Release | CloseOrphan | Introduce | Mint


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What one pass over an account knows."""

    account: Account
    now: datetime
    leases: tuple[Lease, ...]
    gone: frozenset[str]
    survey: Survey | None
    standing: Standing
    strangers: tuple[Stranger, ...]
    unknown_providers: tuple[str, ...] = field(default=())


class AccountController:
    """Reconciles one account. Its status is the ledger of the ceilings: one writer, checked writes."""

    def __init__(
        self,
        *,
        cache: Cache,
        catalog: Catalog,
        kube: Kube,
        clock: Clock,
        exchanges: Exchanges,
        surveys: Surveys,
        mints: Mints,
        directory: Directory,
        installation: str,
    ) -> None:
        self._cache = cache
        self._catalog = catalog
        self._kube = kube
        self._clock = clock
        self._exchanges = exchanges
        self._surveys = surveys
        self._mints = mints
        self._directory = directory
        self._installation = installation
        self._finalizer = Finalizer(kube=kube, cache=cache, kind=ACCOUNT)

    @property
    def kind(self) -> Kind:
        return ACCOUNT

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return account_triggers(self._cache)

    def forget(self, key: Key) -> None:
        """Drop what is remembered about an account that is gone."""
        self._surveys.forget(key)

    async def observe(self, raw: Raw) -> Books:
        """Read the leases and the newest survey; verify afresh whatever seems to be missing."""
        account = self._catalog.accounts.of(raw)
        name = account.meta.name
        leases = tuple(each for each in self._catalog.all_leases() if each.spec.account == name)
        leases = await self._reread(account, leases)
        survey, fresh = self._surveys.newest(account)
        if fresh and survey is not None and survey.error is None:
            self._directory.update(name, survey.providers)
        known = {each.meta.uid for each in leases}
        gone = frozenset(
            [
                each.lease
                for each in account.status.grants
                if each.lease not in known
                and await self._is_gone(each.lease, each.namespace, each.name)
            ]
        )
        now = self._clock.now()
        books = Books(
            account=account,
            now=now,
            leases=leases,
            gone=gone,
            survey=survey,
            standing=standing(account, leases, self._ceilings(account, leases), gone, now),
            strangers=account.status.strangers,
            unknown_providers=self._unknown(),
        )
        return await self._swept(books) if survey is not None and survey.error is None else books

    async def _reread(self, account: Account, leases: tuple[Lease, ...]) -> tuple[Lease, ...]:
        """Read afresh the leases whose grant has lapsed: only an unused one is given anew."""
        now = self._clock.now()
        lapsed = {each.lease for each in account.status.grants if has_lapsed(each, now)}
        found = []
        for lease in leases:
            if lease.meta.uid not in lapsed or lease.status.phase != "Pending":
                found.append(lease)
                continue
            raw = await self._kube.get(LEASE, lease.meta.namespace, lease.meta.name)
            if raw is not None and raw["metadata"]["uid"] == lease.meta.uid:
                self._cache.put(raw)
                found.append(self._catalog.leases.of(raw))
        return tuple(found)

    async def _is_gone(self, uid: str, namespace: str, name: str) -> bool:
        raw = await self._kube.get(LEASE, namespace, name)
        if raw is not None:
            self._cache.put(raw)
        return raw is None or raw["metadata"]["uid"] != uid

    def _ceilings(self, account: Account, leases: tuple[Lease, ...]) -> dict[str, MicroUSD]:
        """The highest price per hour of each lease, from its workload's budget and policy."""
        found = {}
        for lease in leases:
            workload = self._catalog.workload(lease.meta.namespace, lease.spec.workload)
            ref = workload.spec.provider_policy_ref if workload else None
            policy = self._catalog.policy(lease.meta.namespace, ref.name) if ref else None
            found[lease.meta.uid] = price_ceiling(
                workload.spec.budget if workload else None, policy.spec if policy else None, account
            )
        return found

    def _unknown(self) -> tuple[str, ...]:
        return tuple(
            each
            for each in self._directory.ids()
            if self._cache.get(Key(kind=PROVIDER.kind, namespace="", name=each)) is None
        )

    async def _swept(self, books: Books) -> Books:
        """Compare the survey with the leases; a candidate for closing is checked on a fresh list."""
        books = self._remembered(books)
        cached = {each.meta.uid: each for each in books.leases}
        found = self._strangers(books, cached)
        if any(each.kind == "Orphan" for each in found):
            fresh = [parse_lease(raw) for raw in await self._kube.list(LEASE)]
            found = self._strangers(books, {each.meta.uid: each for each in fresh})
            found = await self._still_open(books.account, found)
        return replace(books, strangers=found)

    def _remembered(self, books: Books) -> Books:
        """Forget what was adopted and has ended without a lease that saw it."""
        survey, settings = books.survey, books.account.spec.backend.settings
        assert survey is not None  # noqa: S101 - the caller checked
        kept = without_ended(
            books.standing.adopted,
            books.leases,
            frozenset(each.id for each in survey.deployments),
            began=survey.began,
            horizon=timedelta(seconds=settings.outcome_horizon_seconds),
        )
        return replace(books, standing=replace(books.standing, adopted=kept))

    async def _still_open(
        self, account: Account, found: tuple[Stranger, ...]
    ) -> tuple[Stranger, ...]:
        """A survey is a while old: an orphan counts only while the market says it is open now.

        All at once: on a slow market, dozens that were just closed must not hold up the grants.
        """
        market = (await self._exchanges.of(account)).market
        orphans = [each.deployment for each in found if each.kind == "Orphan"]
        looks = await asyncio.gather(*(market.deployment(each) for each in orphans))
        ended = set()
        for number, deployment in zip(orphans, looks, strict=True):
            if deployment is None or deployment.state is DeploymentState.CLOSED:
                self._surveys.strike(account, number)
                ended.add(number)
        return tuple(each for each in found if each.deployment not in ended)

    def _strangers(self, books: Books, leases: Mapping[str, Lease]) -> tuple[Stranger, ...]:
        assert books.survey is not None  # noqa: S101 - the caller checked
        return strangers(
            books.survey.deployments,
            leases,
            installation=self._installation,
            released=frozenset((*books.account.status.released, *books.standing.released)),
            adopted=frozenset(each.deployment for each in books.standing.adopted),
        )

    def plan(self, observed: Books, now: datetime) -> Plan[AccountAction]:
        """Return the writes of this pass. Orphans are closed only once the status has named them."""
        del now
        account = observed.account
        if account.meta.deleting:
            free = FINALIZER in account.meta.finalizers and not observed.leases
            return Plan(actions=(Release(),) if free else (), requeue_after=self._surveys.period)
        if FINALIZER not in account.meta.finalizers:
            return Plan(actions=(Hold(),), requeue_after=0.0)
        named = {each.deployment for each in account.status.strangers if each.kind == "Orphan"}
        orphans = [each for each in observed.strangers if each.kind == "Orphan"]
        closing = account.spec.orphans == "Close"
        actions: list[AccountAction] = [
            Introduce(provider=each) for each in observed.unknown_providers
        ]
        actions += [
            CloseOrphan(deployment=each.deployment)
            for each in orphans
            if closing and each.deployment in named
        ]
        due = self._mints.due(account, observed.now)
        actions += [Mint(amount=due)] if due is not None else []
        return Plan(actions=tuple(actions), requeue_after=self._next_look(observed))

    def _next_look(self, books: Books) -> float:
        """The next survey, an orphan that was just named, or a slot that frees by itself."""
        if any(each.kind == "Orphan" for each in books.strangers):
            return min(5.0, self._surveys.period)
        refused = books.standing.refusal
        waits = [self._surveys.period]
        if refused is not None and refused.retry_at is not None:
            waits.append(max(0.5, (refused.retry_at - books.now).total_seconds()))
        elif refused is not None:
            waits.append(10.0)
        return min(waits)

    async def act(self, action: AccountAction, observed: Books) -> None:
        """Perform one write."""
        account = observed.account
        match action:
            case Hold():
                await self._finalizer.add(account.meta)
            case Release():
                await self._release(account.meta)
            case CloseOrphan():
                exchange = await self._exchanges.of(account)
                await exchange.market.close(action.deployment)
            case Mint():
                self._mints.start(account, action.amount)
            case Introduce():
                await self._introduce(action.provider)
            case _:
                assert_never(action)

    async def _release(self, meta: Meta) -> None:
        for raw in await self._kube.list(LEASE):
            if raw["spec"]["account"] == meta.name:
                self._cache.put(raw)
                return
        await self._finalizer.remove(meta)

    async def _introduce(self, provider: str) -> None:
        body = {
            "apiVersion": PROVIDER.api_version,
            "kind": PROVIDER.kind,
            "metadata": {"name": provider},
            "spec": {},
        }
        try:
            self._cache.put(await self._kube.create(PROVIDER, body))
        except AlreadyExistsError:
            return

    def conclude(
        self, observed: Books, outcomes: tuple[Outcome[AccountAction], ...], now: datetime
    ) -> Verdict:
        """Return the ledger, the balance and the conditions."""
        del now
        if any(isinstance(each.action, Hold | Release) for each in outcomes):
            return Verdict(requeue_after=0.0)
        status = summarise(
            observed.account,
            observed.standing,
            _market_view(observed.survey, observed.leases),
            observed.strangers,
            observed.now,
        )
        burn = reserved(observed.standing.grants)
        minted = self._mints.record(observed.account, observed.survey, burn, observed.now)
        is_new = minted != observed.account.status.mint
        status = replace(status, mint=minted)
        return Verdict(
            status=dump(STATUS_ADAPTER, status),
            notes=_notes(observed, status),
            requeue_after=0.0 if is_new else self._next_look(observed),
        )


def _market_view(survey: Survey | None, leases: tuple[Lease, ...]) -> MarketView | None:
    if survey is None:
        return None
    error = survey.error
    return MarketView(
        at=survey.began,
        balance=survey.balance,
        error=str(error) if error is not None else "",
        error_reason=error.reason if error is not None else "",
        endpoints=survey.endpoints,
        escrows=escrows(survey.deployments, leases) if error is None else None,
        mint_problem=survey.mintage.problem if survey.mintage is not None else "",
    )


def _notes(books: Books, status: AccountStatus) -> tuple[Note, ...]:
    named = {each.deployment for each in books.account.status.strangers}
    meta = books.account.meta
    lost = tuple(
        Note(
            about=Key(kind=ACCOUNT.kind, namespace="", name=meta.name),
            uid=meta.uid,
            type="Warning",
            reason="OrphanedDeployment",
            message=f"deployment {each.deployment} {_claim(each, status)}; "
            f"spec.orphans is {books.account.spec.orphans}",
        )
        for each in status.strangers
        if each.kind == "Orphan" and each.deployment not in named
    )
    return (*lost, *account_warnings(books.account, status))


def _claim(lost: Stranger, status: AccountStatus) -> str:
    """Why an orphan is ours."""
    by = next((each.lease for each in status.adopted if each.deployment == lost.deployment), None)
    if by is None:
        return "carries this installation's marker and no AkashLease owns it"
    return f"was adopted by AkashLease {by}, which is gone without having closed it"
