"""The provider's gateway as a source of facts: reads it when needed, remembers since when it fails."""

from __future__ import annotations

from datetime import datetime, timedelta

from garrison.core.lifecycle import Observation
from garrison.core.variant import variant
from garrison.errors import GarrisonError
from garrison.ports.market import LeaseGateway, LeaseTarget

REFRESH = timedelta(seconds=60)


class Gateways:
    """One per operator; keyed by lease uid; bounded by dropping leases that ended."""

    def __init__(self) -> None:
        self._down: dict[str, datetime] = {}
        self._read: dict[str, datetime] = {}

    async def observe(
        self, o: Observation, gateway: LeaseGateway, target: LeaseTarget | None
    ) -> Observation:
        """Return the observation with the service's status, or with why it is not known."""
        uid = o.lease.meta.uid
        if target is None:
            return variant(o, gateway_error="the provider's host is not known yet")
        if not self._is_due(o, uid):
            since = self._down.get(uid)
            return o if since is None else variant(o, gateway_down_since=since)
        self._read[uid] = o.now
        try:
            service = await gateway.status(target)
        except GarrisonError as error:
            since = self._down.setdefault(uid, o.now)
            return variant(o, gateway_error=str(error), gateway_down_since=since)
        self._down.pop(uid, None)
        return variant(o, service=service)

    def _is_due(self, o: Observation, uid: str) -> bool:
        """A serving replica's gateway is read once a minute, and whenever a probe has failed."""
        if o.status.phase == "Deploying" or not o.track.healthy:
            return True
        last = self._read.get(uid)
        return last is None or o.now - last >= REFRESH

    def forget(self, uid: str) -> None:
        """Drop what is remembered about a lease."""
        self._down.pop(uid, None)
        self._read.pop(uid, None)
