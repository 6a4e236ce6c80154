"""Values beside the operator: one Secret per credential, named by the hash of its key."""

from __future__ import annotations

import base64
import contextlib
import hashlib

from garrison.api.meta import LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.errors import AlreadyExistsError
from garrison.ports.kube import Kube, Object

FIELD = "value"


class Vault:
    """Keeps what was minted until it is revoked."""

    def __init__(self, *, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def get(self, key: str) -> bytes | None:
        """Return a value, None when there is none."""
        raw = await self._kube.get(SECRET, self._namespace, name_of(key))
        return base64.b64decode(raw["data"][FIELD]) if raw is not None else None

    async def put(self, key: str, value: bytes) -> None:
        """Keep a value; the first one of a key stays."""
        with contextlib.suppress(AlreadyExistsError):
            await self._kube.create(SECRET, self._body(key, value))

    async def drop(self, key: str) -> None:
        """Forget a value; a missing one is no error."""
        await self._kube.delete(SECRET, self._namespace, name_of(key))

    def _body(self, key: str, value: bytes) -> Object:
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": name_of(key),
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            },
            "type": "garrison.dev/credential",
            "data": {FIELD: base64.b64encode(value).decode()},
        }


def name_of(key: str) -> str:
    """Return the name of the Secret that holds a key's value."""
    return f"credential-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
