"""ProviderPolicy: how many known providers match, and which clause excludes the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from garrison.api.meta import POLICY, PROVIDER, Kind, Raw
from garrison.api.parsing import dump
from garrison.api.policy import STATUS_ADAPTER, Policy
from garrison.api.provider import Provider
from garrison.controllers.catalog import Catalog
from garrison.controllers.triggers import of_kind
from garrison.core.matching import policy_status
from garrison.ports.clock import Clock
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict

PERIOD = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What one pass over a policy knows."""

    policy: Policy
    providers: Mapping[str, Provider]
    now: datetime


class PolicyController:
    """Reconciles one policy's status. It writes nothing else."""

    def __init__(self, *, cache: Cache, catalog: Catalog, clock: Clock) -> None:
        self._cache = cache
        self._catalog = catalog
        self._clock = clock

    @property
    def kind(self) -> Kind:
        return POLICY

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return {PROVIDER.kind: of_kind(self._cache, POLICY)}

    async def observe(self, raw: Raw) -> Match:
        """Read what is known of every provider."""
        return Match(
            policy=self._catalog.policies.of(raw),
            providers=self._catalog.providers(),
            now=self._clock.now(),
        )

    def plan(self, observed: Match, now: datetime) -> Plan[NoReturn]:
        """Return nothing to do: a policy is only explained."""
        del observed, now
        return Plan(requeue_after=PERIOD)

    async def act(self, action: NoReturn, observed: Match) -> object:
        """Never called: the plan has no actions."""
        del observed
        return action

    def conclude(
        self, observed: Match, outcomes: tuple[Outcome[NoReturn], ...], now: datetime
    ) -> Verdict:
        """Return the status."""
        del outcomes, now
        status = policy_status(observed.policy, observed.providers, observed.now)
        return Verdict(status=dump(STATUS_ADAPTER, status), requeue_after=PERIOD)
