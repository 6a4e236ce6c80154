"""Logins that were made for leases: one Secret per lease beside the operator."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from garrison.api.meta import LABEL_LEASE, LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.ports.kube import Kube, Object
from garrison.ports.logins import KeptLogin, ProviderLogin
from garrison.ports.registry import Credentials

TYPE = "garrison.dev/pull-login"


class KubeKeptLogins:
    """Implements ``KeptLogins``."""

    def __init__(self, *, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace

    async def keep(self, kept: KeptLogin) -> None:
        """Write the lease's Secret."""
        await self._kube.apply(SECRET, self._body(kept))

    async def find(self, lease: str, attempt: int) -> ProviderLogin | None:
        """Return what the Secret has, if it is of this attempt."""
        raw = await self._kube.get(SECRET, self._namespace, name_of(lease))
        data = _decoded(raw["data"]) if raw is not None else {}
        if data.get("attempt") != str(attempt):
            return None
        return ProviderLogin(
            credentials=Credentials(username=data["username"], password=data["password"]),
            until=datetime.fromisoformat(data["until"]) if data["until"] else None,
        )

    async def discard(self, lease: str) -> None:
        """Delete the Secret; a missing one is no error."""
        await self._kube.delete(SECRET, self._namespace, name_of(lease))

    async def leases(self) -> Sequence[str]:
        """Return the leases of the Secrets that exist."""
        found = await self._kube.list(
            SECRET, namespace=self._namespace, labels={LABEL_MANAGED_BY: MANAGED_BY}
        )
        return [
            each["metadata"]["labels"][LABEL_LEASE]
            for each in found
            if each.get("type") == TYPE and LABEL_LEASE in each["metadata"]["labels"]
        ]

    def _body(self, kept: KeptLogin) -> Object:
        login = kept.login
        data = {
            "attempt": str(kept.attempt),
            "username": login.credentials.username,
            "password": login.credentials.password,
            "until": login.until.isoformat() if login.until is not None else "",
        }
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": name_of(kept.lease),
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_LEASE: kept.lease},
            },
            "type": TYPE,
            "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
        }


def name_of(lease: str) -> str:
    """Return the name of the Secret for a lease's uid."""
    return f"pull-login-{lease}"


def _decoded(data: Mapping[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(text).decode() for name, text in data.items()}
