"""What must be looked at again when an object of another kind changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from garrison.api.meta import (
    ACCOUNT,
    EGRESS,
    LABEL_WORKLOAD,
    LEASE,
    PROVIDER,
    ROTATING,
    WORKLOAD,
    Key,
    Kind,
    Raw,
    key_of,
)
from garrison.api.workload import Workload
from garrison.controllers.catalog import Catalog
from garrison.core.rotation import uses
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Trigger


def of_kind(cache: Cache, kind: Kind) -> Trigger:
    """Return a trigger of every object of a kind."""

    def every(raw: Raw) -> list[Key]:
        del raw
        return _named(kind, cache.list(kind.kind))

    return every


def beside(cache: Cache, kind: Kind) -> Trigger:
    """Return a trigger of every object of a kind in the namespace of what changed."""

    def near(raw: Raw) -> list[Key]:
        return _named(kind, cache.list(kind.kind, namespace=_namespace(raw)))

    return near


def _named(kind: Kind, raws: Iterable[Raw]) -> list[Key]:
    return [
        Key(kind=kind.kind, namespace=_namespace(each), name=each["metadata"]["name"])
        for each in raws
    ]


def lease_triggers(catalog: Catalog) -> Mapping[str, Trigger]:
    """Return the triggers of AkashLease, by the kind that changed."""
    found = _Leases(catalog)
    return {
        WORKLOAD.kind: found.of_workload,
        ACCOUNT.kind: found.granted,
        PROVIDER.kind: found.to_record,
        EGRESS.kind: found.under,
        ROTATING.kind: found.holding,
    }


def account_triggers(cache: Cache) -> Mapping[str, Trigger]:
    """Return the triggers of AkashAccount, by the kind that changed."""

    def of_lease(raw: Raw) -> list[Key]:
        name = (raw.get("spec") or {}).get("account") or ""
        return [Key(kind=ACCOUNT.kind, namespace="", name=name)]

    def to_list_anew(raw: Raw) -> Sequence[Key]:
        """All, when a provider was deleted: who forgives one so need not wait for the next survey."""
        return () if cache.get(key_of(raw)) is not None else cache.keys(ACCOUNT.kind)

    return {LEASE.kind: of_lease, PROVIDER.kind: to_list_anew}


def workload_of_lease(raw: Raw) -> list[Key]:
    """Return the workload that an AkashLease belongs to."""
    name = (raw["metadata"].get("labels") or {}).get(LABEL_WORKLOAD)
    return [Key(kind=WORKLOAD.kind, namespace=_namespace(raw), name=name)] if name else []


@dataclass(frozen=True, slots=True)
class _Leases:
    catalog: Catalog

    def of_workload(self, raw: Raw) -> list[Key]:
        """Those in a workload's ledger."""
        ledger = (raw.get("status") or {}).get("leases") or ()
        return [_key(_namespace(raw), each["name"]) for each in ledger]

    def granted(self, raw: Raw) -> list[Key]:
        """Those that an account has let order."""
        grants = (raw.get("status") or {}).get("grants") or ()
        return [_key(each["namespace"], each["name"]) for each in grants]

    def to_record(self, raw: Raw) -> list[Key]:
        """Those that are over and wait until their provider's record holds how they went."""
        return [
            _key(each.meta.namespace, each.meta.name)
            for each in self.catalog.all_leases()
            if each.status.provider == raw["metadata"]["name"]
            and each.meta.deleting
            and each.status.closed_at is not None
        ]

    def under(self, raw: Raw) -> list[Key]:
        """Those of every workload that refers to an EgressPolicy."""
        name = raw["metadata"]["name"]
        return [
            key
            for workload in self._near(raw)
            if workload.spec.egress_policy_ref is not None
            and workload.spec.egress_policy_ref.name == name
            for key in _keys(workload)
        ]

    def holding(self, raw: Raw) -> list[Key]:
        """Those that hold, or wait for, a credential of a RotatingSecret."""
        name = raw["metadata"]["name"]
        return [
            key for workload in self._near(raw) if uses(workload, name) for key in _keys(workload)
        ]

    def _near(self, raw: Raw) -> list[Workload]:
        namespace = _namespace(raw)
        return [each for each in self.catalog.all_workloads() if each.meta.namespace == namespace]


def _namespace(raw: Raw) -> str:
    return raw["metadata"].get("namespace") or ""


def _keys(workload: Workload) -> list[Key]:
    return [_key(workload.meta.namespace, each.name) for each in workload.status.leases]


def _key(namespace: str, name: str) -> Key:
    return Key(kind=LEASE.kind, namespace=namespace, name=name)
