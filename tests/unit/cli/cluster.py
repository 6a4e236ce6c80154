"""A cluster in memory for commands, in this process or in one of its own."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner, Result

from garrison.adapters.memory.kube import MemoryKube, register
from garrison.api.account import SPEC_ADAPTER as ACCOUNT_SPEC
from garrison.api.account import STATUS_ADAPTER as ACCOUNT_STATUS
from garrison.api.account import Account
from garrison.api.lease import SPEC_ADAPTER as LEASE_SPEC
from garrison.api.lease import STATUS_ADAPTER as LEASE_STATUS
from garrison.api.lease import Lease
from garrison.api.meta import (
    ACCOUNT,
    LABEL_WORKLOAD,
    LEASE,
    POLICY,
    PROVIDER,
    SECRET,
    WORKLOAD,
    Kind,
    Meta,
)
from garrison.api.parsing import dump
from garrison.api.policy import SPEC_ADAPTER as POLICY_SPEC
from garrison.api.policy import Policy
from garrison.api.provider import STATUS_ADAPTER as PROVIDER_STATUS
from garrison.api.provider import Provider
from garrison.api.workload import SPEC_ADAPTER as WORKLOAD_SPEC
from garrison.api.workload import STATUS_ADAPTER as WORKLOAD_STATUS
from garrison.api.workload import Workload
from garrison.cli import inside, market
from garrison.cli.main import main
from garrison.errors import AuthError
from kube_light.resource import NAMESPACE
from kube_light.store import Store, random_uid

Json = dict[str, Any]
KINDS = {each.kind: each for each in (SECRET, WORKLOAD, LEASE, ACCOUNT, PROVIDER, POLICY)}


def document(resource: Workload | Lease | Account | Provider | Policy) -> Json:
    """Return a typed resource as the API server has it."""
    match resource:
        case Workload():
            spec, status = (
                dump(WORKLOAD_SPEC, resource.spec),
                dump(WORKLOAD_STATUS, resource.status),
            )
            return _object(WORKLOAD, resource.meta, spec, status)
        case Lease():
            spec, status = dump(LEASE_SPEC, resource.spec), dump(LEASE_STATUS, resource.status)
            labels = {LABEL_WORKLOAD: resource.spec.workload}
            return _object(LEASE, replace(resource.meta, labels=labels), spec, status)
        case Account():
            spec, status = dump(ACCOUNT_SPEC, resource.spec), dump(ACCOUNT_STATUS, resource.status)
            return _object(ACCOUNT, resource.meta, spec, status)
        case Provider():
            return _object(PROVIDER, resource.meta, {}, dump(PROVIDER_STATUS, resource.status))
        case Policy():
            return _object(POLICY, resource.meta, dump(POLICY_SPEC, resource.spec), {})


def _object(kind: Kind, meta: Meta, spec: Json, status: Json) -> Json:
    written: Json = {
        "name": meta.name,
        "uid": meta.uid,
        "labels": dict(meta.labels),
        "annotations": dict(meta.annotations),
    }
    if kind.namespaced:
        written["namespace"] = meta.namespace
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": written}
    return {**body, "spec": spec, "status": status}


def secret(namespace: str, name: str, **data: str) -> Json:
    """Return a Secret; underscores in keys stand for dots."""
    encoded = {
        key.replace("_", "."): base64.b64encode(text.encode()).decode()
        for key, text in data.items()
    }
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded}


class Cluster(MemoryKube):
    """What a command connects to; ``forbidden`` kinds and namespaces are refused as RBAC does."""

    def __init__(self, objects: Sequence[Json], forbidden: Sequence[tuple[str, str]] = ()) -> None:
        self._uid = ""
        self.store = Store(uid=lambda: self._uid or random_uid())
        register(self.store, KINDS.values())
        for name in ("prod", "garrison-system"):
            self.store.create(NAMESPACE, {"metadata": {"name": name}})
        self.forbidden = set(forbidden)
        super().__init__(self.store)
        for each in objects:
            self.put(each)

    def put(self, body: Json) -> None:
        """Create an object with its uid and status."""
        kind, meta = KINDS[body["kind"]], body["metadata"]
        resource, namespace = self._resource(kind), meta.get("namespace", "")
        self._uid = meta.get("uid", "")
        made = self.store.create(resource, body, namespace)
        self._uid = ""
        if "status" in body:
            version = {"resourceVersion": made["metadata"]["resourceVersion"]}
            status = {"metadata": version, "status": body["status"]}
            self.store.update(resource, status, namespace, meta["name"], "status")

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object."""
        self.store.delete(self._resource(kind), namespace, name)

    async def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        self._check(kind, namespace)
        return await super().get(kind, namespace, name)

    async def list(self, kind: Kind, **query: Any) -> Sequence[Json]:
        self._check(kind, query.get("namespace") or "")
        return await super().list(kind, **query)

    def _check(self, kind: Kind, namespace: str) -> None:
        if (kind.kind, namespace) in self.forbidden:
            raise AuthError(f"{kind.plural} is forbidden (HTTP 403)")

    async def close(self) -> None:
        """Nothing to close."""


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Let every command of this process speak to it, meanwhile."""

    async def connect(_kubeconfig: str | None, _context: str | None) -> Cluster:
        return cluster

    with (
        patch.object(inside, "connect_kube", connect),
        patch.object(market, "connect_kube", connect),
    ):
        yield


def invoked(cluster: Cluster, *arguments: str) -> Result:
    """Run a command on it, in this process."""
    with connected(cluster):
        return CliRunner().invoke(main, list(arguments))


if __name__ == "__main__":
    path, *given = sys.argv[1:]
    with connected(Cluster(json.loads(Path(path).read_text()))):
        main(given)
