"""The client identities of a workload, in Secrets beside it: who may send requests to its replicas,
and who may look inside.

The operator may create and delete Secrets there, and cannot read any.
"""

from __future__ import annotations

import base64
import contextlib

from garrison.api.meta import LABEL_MANAGED_BY, LABEL_WORKLOAD, MANAGED_BY, SECRET, WORKLOAD
from garrison.api.workload import ClientStatus, Workload
from garrison.core.identity import client_secret, console_secret
from garrison.errors import AlreadyExistsError
from garrison.ports.identity import ClientIdentity, Identities, client_until
from garrison.ports.kube import Kube, Object


class Clients:
    """Issues two identities per workload and turn; those before last are deleted."""

    def __init__(self, *, kube: Kube, identities: Identities) -> None:
        self._kube = kube
        self._identities = identities

    async def issue(self, workload: Workload, turn: int) -> None:
        """Create the Secrets of a turn unless they exist; delete those that have ended."""
        namespace, name = workload.meta.namespace, workload.meta.name
        client = await self._identities.client(namespace, name, turn)
        await self._keep(workload, client_secret(name, turn), client)
        console = await self._identities.console(namespace, name, turn)
        await self._keep(workload, console_secret(name, turn), console)
        await self._kube.delete(SECRET, namespace, client_secret(name, turn - 2))
        await self._kube.delete(SECRET, namespace, console_secret(name, turn - 2))

    async def _keep(self, workload: Workload, secret: str, found: ClientIdentity) -> None:
        data = {
            "tls.crt": found.certificate,
            "tls.key": found.key,
            "ca.crt": found.lease_authorities,
        }
        # One that exists is from an earlier try or another operator, and good for the same turn.
        with contextlib.suppress(AlreadyExistsError):
            await self._kube.create(SECRET, _body(workload, secret, data))


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


def turn_of(workload: Workload) -> int | None:
    """Return the turn whose identities are all there; an older operator made none for the console."""
    known = workload.status.client
    return known.turn if known is not None and known.console is not None else None


def client_status(workload: Workload, turn: int) -> ClientStatus:
    """Return what the status says of a turn's identities."""
    return ClientStatus(
        secret=client_secret(workload.meta.name, turn),
        console=console_secret(workload.meta.name, turn),
        turn=turn,
        until=client_until(turn),
    )
