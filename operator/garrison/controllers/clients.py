"""The client identity of a workload, in a Secret beside it: who may send requests to its replicas.

The operator may create and delete Secrets there, and cannot read any.
"""

from __future__ import annotations

import base64
import contextlib

from garrison.api.meta import LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGED_BY, SECRET, WORKLOAD
from garrison.api.workload import Workload
from garrison.core.identity import client_secret
from garrison.errors import AlreadyExistsError
from garrison.ports.identity import Identities
from garrison.ports.kube import Kube, Object


class Clients:
    """Issues one identity per workload and turn; the one before last is deleted."""

    def __init__(self, *, kube: Kube, identities: Identities) -> None:
        self._kube = kube
        self._identities = identities

    async def issue(self, workload: Workload, turn: int) -> None:
        """Create the Secret of a turn unless it exists; delete the one that has ended."""
        namespace, name = workload.meta.namespace, workload.meta.name
        found = await self._identities.client(namespace, name, turn)
        data = {
            "tls.crt": found.certificate,
            "tls.key": found.key,
            "ca.crt": found.lease_authorities,
        }
        # One that exists is from an earlier try or another operator, and good for the same turn.
        with contextlib.suppress(AlreadyExistsError):
            await self._kube.create(SECRET, _body(workload, client_secret(name, turn), data))
        await self._kube.delete(SECRET, namespace, client_secret(name, turn - 2))


def _body(workload: Workload, name: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": name,
            "namespace": workload.meta.namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_WORKLOAD: workload.meta.name[:63]},
            "ownerReferences": [
                {
                    "apiVersion": WORKLOAD.api_version,
                    "kind": WORKLOAD.kind,
                    "name": workload.meta.name,
                    "uid": workload.meta.uid,
                }
            ],
        },
        "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }
