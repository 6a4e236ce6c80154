"""Registry logins from ``kubernetes.io/dockerconfigjson`` Secrets."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from garrison.adapters.registry.reference import parse_reference
from garrison.api.meta import SECRET
from garrison.errors import AuthError
from garrison.ports.kube import Kube
from garrison.ports.registry import Credentials

FIELD = ".dockerconfigjson"
NULL_USER = "00000000-0000-0000-0000-000000000000"
"""Whose password is a token of hours, by the documentation of Azure's registry; `docker login` keeps it apart.

Kubelets, and so providers, know user names and passwords only: no other identity token can be handed on.
"""
DOCKER_HUB = ("docker.io", "index.docker.io", "https://index.docker.io/v1/")


class KubePullSecrets:
    """Reads the Secrets that a workload names, in its namespace, each time anew."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        """Return the first login for the reference's registry, None when no Secret has one.

        Raises AuthError when a Secret is missing, unreadable, or of another type.
        """
        authority = parse_reference(reference).authority
        for name in names:
            secret = await self._secret(namespace, name)
            if secret is None:
                raise AuthError(
                    f"Secret {namespace}/{name} of imagePullSecrets does not exist; create it with: "
                    f"kubectl create secret docker-registry {name} -n {namespace} --docker-server=…"
                )
            found = _login(secret, authority, f"Secret {namespace}/{name}")
            if found is not None:
                return found
        return None

    async def _secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        try:
            return await self._kube.get(SECRET, namespace, name)
        except AuthError as error:
            raise AuthError(
                f"Garrison may not read Secret {namespace}/{name} of imagePullSecrets; allow it with "
                f"the chart's value imagePullSecrets.namespaces: [{namespace}]"
            ) from error


def _login(secret: Mapping[str, Any], authority: str, where: str) -> Credentials | None:
    try:
        raw = base64.b64decode(secret["data"][FIELD], validate=True)
        entries = json.loads(raw)["auths"]
        for server in _names(authority):
            if server in entries:
                return _credentials(entries[server])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise AuthError(
            f"{where} is not a kubernetes.io/dockerconfigjson Secret ({type(error).__name__}); "
            "create it with: kubectl create secret docker-registry"
        ) from None
    return None


def _names(authority: str) -> tuple[str, ...]:
    plain = (authority, f"https://{authority}", f"https://{authority}/v1/")
    return (*plain, *DOCKER_HUB) if authority.endswith("docker.io") else plain


def _credentials(entry: Mapping[str, Any]) -> Credentials:
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    else:
        user, password = entry["username"], entry.get("password", "")
    if user == NULL_USER and entry.get("identitytoken"):
        password = entry["identitytoken"]
    if not password:
        raise KeyError("password")
    return Credentials(username=user, password=password)
