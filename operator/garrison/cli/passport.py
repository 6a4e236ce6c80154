"""The client identity of a workload, read from the Secret beside it, renewed as the operator renews it."""

from __future__ import annotations

import base64
from ssl import SSLContext

from garrison.adapters.sentinel.identities import context_of, domain_of
from garrison.api.meta import SECRET, WORKLOAD
from garrison.api.workload import parse_workload
from garrison.errors import AuthError, UnavailableError
from garrison.ports.identity import ClientIdentity, Peer
from garrison.ports.kube import Kube

CACHED = 256


class Passport:
    """Gives a TLS context per replica. Needs the right to read the workload's client Secret."""

    def __init__(self, kube: Kube, namespace: str, workload: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._workload = workload
        self._contexts: dict[tuple[str, Peer], SSLContext] = {}
        self._identities: dict[str, ClientIdentity] = {}
        self._secret = ""

    async def refresh(self) -> None:
        """Read which Secret is the newest. Raises what the API server answers."""
        raw = await self._kube.get(WORKLOAD, self._namespace, self._workload)
        client = parse_workload(raw).status.client if raw is not None else None
        self._secret = client.secret if client is not None else ""

    async def context(self, peer: Peer) -> SSLContext:
        """Return a context that presents the identity and accepts only the peer.

        Raises UnavailableError while there is no identity, AuthError when it may not be read.
        """
        if not self._secret:
            raise UnavailableError(
                f"InferenceWorkload {self._namespace}/{self._workload} has no client identity yet"
            )
        slot = (self._secret, peer)
        if slot not in self._contexts:
            identity = await self._identity(self._secret)
            if len(self._contexts) >= CACHED:
                self._contexts.clear()
            self._contexts[slot] = context_of(identity, peer, domain_of(identity))
        return self._contexts[slot]

    async def _identity(self, name: str) -> ClientIdentity:
        if name not in self._identities:
            self._identities = {name: await identity(self._kube, self._namespace, name)}
        return self._identities[name]


async def identity(kube: Kube, namespace: str, name: str) -> ClientIdentity:
    """Return the client identity in a Secret. Raises UnavailableError, AuthError: it may not be read."""
    try:
        raw = await kube.get(SECRET, namespace, name)
    except AuthError as error:
        raise AuthError(
            f"you may not read Secret {namespace}/{name}, and who can read it is let in: {error}. "
            f"Ask for the right to get Secrets in {namespace}; Kubernetes' role edit has it"
        ) from None
    if raw is None:
        raise UnavailableError(f"Secret {namespace}/{name} does not exist yet")
    return _identity_of(name, raw.get("data") or {})


def _identity_of(name: str, data: dict[str, str]) -> ClientIdentity:
    try:
        found = {
            key: base64.b64decode(data[key]).decode() for key in ("tls.crt", "tls.key", "ca.crt")
        }
    except (KeyError, ValueError):
        raise AuthError(
            f"Secret {name} holds no client identity (tls.crt, tls.key, ca.crt); delete it, the "
            "operator makes it again"
        ) from None
    return ClientIdentity(
        certificate=found["tls.crt"], key=found["tls.key"], lease_authorities=found["ca.crt"]
    )
