"""What must hold after every call of every port, whoever acted, whatever failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.minter import MemoryMinter
from garrison.adapters.memory.records import EXHAUSTED, DeploymentRecord
from garrison.core.marker import parse_marker
from garrison.core.minting import MINT_EVERY, REFUSED_PAUSE
from garrison.core.order import MIN_DEPOSIT
from kube_light.store import Store
from tests.simulation.faults import CALLER
from tests.simulation.operator import INSTALLATION
from tests.simulation.scenario import (
    LOST_LEASE,
    MAX_LEASES,
    MAX_NEW,
    MAX_PRICE,
    MIN_RUNWAY_HOURS,
)

SURGE = 1
SLACK = timedelta(minutes=3)
"""how much later than its intent a mint may take effect"""
HASTE = timedelta(minutes=1)
"""how much later than its intent a mint may be tried"""
WINDING = frozenset({"Draining", "Closing", "Closed", "Failed"})


def objects(store: Store, kind: str) -> list[Mapping[str, Any]]:
    """Return the objects of a kind as they are stored."""
    return [body for _, body in store.everything() if body.get("kind") == kind]


def mine(record: DeploymentRecord) -> str | None:
    """Return the uid of the lease that a deployment's marker names, None for somebody else's."""
    return _owner(record.order.marker)


def _is_made(record: DeploymentRecord) -> bool:
    """Whether an operator of this seed has ordered a deployment."""
    uid = mine(record)
    return uid is not None and not uid.startswith(LOST_LEASE)


@cache
def _owner(name: str) -> str | None:
    marker = parse_marker(name)
    return marker.lease if marker is not None and marker.installation == INSTALLATION else None


class Invariants:
    """Checks the truth of market and store, never what an operator believes."""

    def __init__(self, market: MemoryMarket, store: Store, minter: MemoryMinter) -> None:
        self._market = market
        self._minter = minter
        self._store = store
        self.released: set[str] = set()
        """uids of leases that were deleted with deletionPolicy Orphan"""
        self.by_hand: set[str] = set()
        """deployments that people started without Garrison"""
        self._adopted: dict[str, str] = {}
        """which of them an AkashLease has recorded, with its uid"""
        self._unlisted: set[str] = set()
        """which of them the account did not list yet when the lease was removed by force"""
        self._topped_up: dict[str, int] = {}
        """how many deposits into each deployment were checked already"""
        self._strays: dict[str, str] = {}
        """names of leases that were in no ledger when they were created, by uid"""
        self._seen: set[str] = set()
        """names of all leases that ever existed: a name is never used twice"""
        self.stripped: set[str] = set()
        """uids of leases whose finalizer a person took away: only the sweep can save those"""

    def violations(self, now: datetime) -> Iterator[str]:
        """Yield every broken promise."""
        paid = [each for each in self._market.paid() if mine(each) is not None]
        yield from self._doubled(paid)
        ours = [each for each in paid if _is_made(each) and mine(each) not in self.released]
        yield from self._ceilings(ours, now)
        yield from self._escrows()
        owners = {*(str(mine(each)) for each in paid), *self._adopted.values()}
        for uid in owners & self._strays.keys():
            yield f"lease {self._strays[uid]} is paid, and is in no ledger or came before it"
        yield from self._untouched()
        for (before, _), (at, amount) in pairwise(self._minter.asked):
            if at - before < MINT_EVERY - SLACK:
                yield f"{amount} minted {at - before} after the last mint"
        for earlier, later in pairwise(self._minter.tried):
            if later - earlier < REFUSED_PAUSE - HASTE:
                yield f"a mint was tried {later - earlier} after the last one"

    def _untouched(self) -> Iterator[str]:
        """What people started is not ended by Garrison before a lease has recorded it."""
        for number in self.by_hand - self._adopted.keys():
            record = self._market.deployments[number]
            ended = record.lease is not None and record.lease.reason == "deployment_closed"
            if ended or len(record.deposits) > 1:
                yield f"deployment {number} was touched, and no lease had adopted it"

    def on_recorded(self, lease: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is broken by a lease's status: a deployment is adopted once."""
        number = ((lease.get("status") or {}).get("deployment") or {}).get("id")
        if number not in self.by_hand:
            return
        uid = lease["metadata"]["uid"]
        if self._adopted.get(number, uid) not in {uid, *self.stripped}:
            yield f"deployment {number} is adopted twice"
        self._adopted[number] = uid

    def kept_of_adopted(self) -> list[str]:
        """Return the adopted deployments that are paid, though nobody let them go on purpose."""
        open_now = {each.id for each in self._market.paid()}
        return sorted(
            number
            for number, uid in self._adopted.items()
            if number in open_now - self._unlisted and uid not in self.released
        )

    def _escrows(self) -> Iterator[str]:
        """No escrow runs out while there is money, and none is filled that needed nothing."""
        for record in self._market.deployments.values():
            lease, known = record.lease, self._topped_up.get(record.id, 1)
            if lease is None or (lease.reason != EXHAUSTED and len(record.deposits) == known):
                continue
            if mine(record) is None:
                continue
            if lease.reason == EXHAUSTED:
                yield f"the escrow of deployment {record.id} ran out"
            self._topped_up[record.id] = len(record.deposits)
            for at, amount in record.deposits[known:]:
                needed = lease.price * MIN_RUNWAY_HOURS
                before = record.left(at) - amount
                if before >= needed or before + amount > needed + lease.price + MIN_DEPOSIT:
                    yield f"{amount} went into deployment {record.id}, which had {before}"

    def _doubled(self, paid: list[DeploymentRecord]) -> Iterator[str]:
        for uid, count in Counter(mine(each) for each in paid).items():
            if count > 1:
                yield f"{count} open deployments for one lease {uid}"

    def _ceilings(self, paid: list[DeploymentRecord], now: datetime) -> Iterator[str]:
        if len(paid) > MAX_LEASES:
            names = sorted(f"{each.id}:{mine(each)}" for each in paid)
            yield f"{len(paid)} open deployments, the ceiling is {MAX_LEASES}: {names}"
        price = sum(
            each.lease.price if each.lease is not None else each.order.max_price_per_hour
            for each in paid
        )
        if price > MAX_PRICE:
            yield f"{price} micro-dollars per hour, the ceiling is {MAX_PRICE}"
        since = now - timedelta(minutes=10)
        new = sum(
            each.since > since and _is_made(each) for each in self._market.deployments.values()
        )
        if new > MAX_NEW:
            yield f"{new} new deployments in ten minutes, the ceiling is {MAX_NEW}"

    def on_ledger(self, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
        """Yield what is broken by a workload's status: it grows only up to replicas and surge."""
        names = _ledger(body)
        if names <= _ledger(before or {}):
            return
        leases = {each["metadata"]["name"]: each for each in objects(self._store, "AkashLease")}
        active = sorted(
            each
            for each in names
            if (not _is_winding(leases[each]) if each in leases else each not in self._seen)
        )
        wanted = body["spec"]["replicas"]
        if len(active) > wanted + SURGE:
            yield f"{body['metadata']['name']} holds {active}, wants {wanted}, surge {SURGE}"

    def on_created(self, lease: Mapping[str, Any]) -> None:
        """Note a new lease object, and whether its name was in the ledger first.

        With two operators it may be in none: one drops the name while the other creates the object.
        """
        meta = lease["metadata"]
        self._seen.add(meta["name"])
        owners = {each["uid"] for each in meta["ownerReferences"]}
        known = [
            _ledger(each)
            for each in objects(self._store, "InferenceWorkload")
            if each["metadata"]["uid"] in owners
        ]
        if not any(meta["name"] in each for each in known):
            self._strays[meta["uid"]] = meta["name"]

    def on_removed(self, kind: str, body: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is broken by an object that is gone for good."""
        uid = body["metadata"]["uid"]
        if kind == "AkashLease" and uid in self.stripped:
            self._unlisted |= {each for each, by in self._adopted.items() if by == uid}
            self._unlisted -= self._listed()
        if kind != "AkashLease" or uid in self.released | self.stripped:
            return
        left = [
            each.id
            for each in self._market.paid()
            if mine(each) == uid or self._adopted.get(each.id) == uid
        ]
        if left:
            yield f"lease {body['metadata']['name']} is gone, deployments {left} are still paid"

    def _listed(self) -> set[str]:
        """Which adopted deployments the account keeps a record of."""
        statuses = [each.get("status") or {} for each in objects(self._store, "AkashAccount")]
        return {each["deployment"] for status in statuses for each in status.get("adopted", ())}

    def on_ready(self, body: Mapping[str, Any], started: set[str]) -> Iterator[str]:
        """Yield what is broken by a lease that became Ready: sealed start and guard came first."""
        if body["spec"].get("sentinel") is None:
            return
        status, name = body["status"], body["metadata"]["name"]
        if (status.get("sentinel") or {}).get("instance") not in started:
            yield f"replica {name} is Ready, its enrolled instance was never told to start"
        found = status.get("integrity") or {}
        if self._is_asked(body) and (
            found.get("stage") != "Running"
            or found.get("state") == "Unknown"
            or found.get("instance") != (status.get("sentinel") or {}).get("instance")
        ):
            yield f"replica {name} is Ready, nobody has looked inside: {found}"
        guard = status.get("egress") or {}
        if not guard.get("inForce") or guard["level"] != "Enforced":
            yield f"replica {name} is Ready, its guard is {guard.get('level')}"

    def on_measured(
        self, body: Mapping[str, Any], before: Mapping[str, Any], ever_ready: set[str]
    ) -> Iterator[str]:
        """Yield what is broken by a lease that served a moment ago, and had failed a repeat.

        It is not failed for that, and an operator deletes it only for a successor that was Ready.
        """
        name, status = body["metadata"]["name"], body.get("status") or {}
        if (before.get("status") or {}).get("phase") != "Ready":
            return
        reason = (status.get("failure") or {}).get("reason", "")
        if reason.startswith("Benchmark"):
            yield f"replica {name} served, and failed with {reason}"
        if not is_retired(body, before):
            return
        for each in objects(self._store, "InferenceWorkload"):
            if self._needs(each, body) and not _ledger(each) & (ever_ready - {name}):
                yield f"replica {name} served, and was deleted before a successor was Ready"

    def _needs(self, workload: Mapping[str, Any], lease: Mapping[str, Any]) -> bool:
        """Return whether a lease's workload wants replicas, and has for as long as it was told."""
        meta = workload["metadata"]
        owners = {each["uid"] for each in lease["metadata"]["ownerReferences"]}
        known = (workload.get("status") or {}).get("observedGeneration")
        return (
            meta["uid"] in owners
            and not meta.get("deletionTimestamp")
            and known == meta["generation"]
            and workload["spec"]["replicas"] > 0
            and lease["metadata"]["name"] in _ledger(workload)
        )

    def _is_asked(self, lease: Mapping[str, Any]) -> bool:
        """Return whether the lease's workload asks for integrity; nobody edits that here."""
        owners = {each["uid"] for each in lease["metadata"]["ownerReferences"]}
        return any(
            each["metadata"]["uid"] in owners and each["spec"].get("integrity") is not None
            for each in objects(self._store, "InferenceWorkload")
        )

    def on_credentials(
        self, before: Mapping[str, Any] | None, body: Mapping[str, Any], live: Collection[str]
    ) -> Iterator[str]:
        """Yield the credentials that are listed no more, and so count as revoked, and are valid."""
        for key in sorted(_credentials(before or {}) - _credentials(body)):
            if key in live:
                yield f"credential {key} counts as revoked, and is still valid"

    def serving_with_dead_secrets(self, dead: list[tuple[str, str]]) -> Iterator[str]:
        """Yield the replicas that serve while a credential in their container is revoked.

        What is on its way out loses its credentials first; nobody sends requests there any more.
        """
        if not dead:
            return
        leases = {each["metadata"]["uid"]: each for each in objects(self._store, "AkashLease")}
        for uid, key in dead:
            status = (leases.get(uid) or {}).get("status") or {}
            if status.get("phase") in {"Ready", "Draining"} and status.get("failure") is None:
                yield f"lease {uid} serves with the revoked credential {key}"

    def on_slice(self, body: Mapping[str, Any], ever_ready: set[str]) -> Iterator[str]:
        """Yield what is broken by a slice that was written."""
        name = body["metadata"]["name"]
        ready = any(each["conditions"]["ready"] for each in body["endpoints"])
        if ready and name not in ever_ready:
            yield f"replica {name} gets traffic and was never Ready"


def _credentials(secret: Mapping[str, Any]) -> set[str]:
    """Return the keys of what a RotatingSecret's status lists."""
    listed = (secret.get("status") or {}).get("credentials", ())
    return {f"{secret['metadata']['uid']}/{each['holder']}/{each['version']}" for each in listed}


def _ledger(body: Mapping[str, Any]) -> set[str]:
    return {each["name"] for each in (body.get("status") or {}).get("leases", ())}


def is_retired(lease: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether an operator has just deleted a lease whose benchmark had failed."""
    gone, was = (each["metadata"].get("deletionTimestamp") for each in (lease, before))
    slow = not ((lease.get("status") or {}).get("benchmark") or {"passed": True})["passed"]
    return bool(gone) and not was and slow and CALLER.get() is not None


def _is_winding(lease: Mapping[str, Any]) -> bool:
    status = lease.get("status") or {}
    leaving = status.get("failure") is not None or status.get("phase") in WINDING
    return leaving or bool(lease["metadata"].get("deletionTimestamp"))
