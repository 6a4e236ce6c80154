"""The bootstrap of a lease: made once, kept in a Secret beside the operator, injected by environment."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from cryptography import x509

from garrison.adapters.sentinel.authority import AuthorityStore
from garrison.adapters.sentinel.bundle import Bundle
from garrison.adapters.sentinel.certificates import (
    Subject,
    fingerprint,
    key_pem,
    new_key,
    pem,
    public_key,
    server_certificate,
)
from garrison.api.egress import SPEC_ADAPTER, EgressPolicySpec
from garrison.api.meta import LABEL_LEASE, LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.api.parsing import dump
from garrison.errors import AlreadyExistsError
from garrison.ports.clock import Clock
from garrison.ports.identity import LeaseIdentity, bootstrap_id
from garrison.ports.kube import Kube, Object
from garrison.ports.sentinel import Injection, KeptBootstrap, SentinelPorts

KEY = "bootstrap.json"
TYPE = "garrison.dev/bootstrap"
LIFE = timedelta(days=400)
CHUNK = 120_000
"""Linux refuses a single string of the environment from 128 KiB on (MAX_ARG_STRLEN)."""


class KubeBootstraps:
    """Implements ``Bootstraps``."""

    def __init__(
        self,
        *,
        kube: Kube,
        clock: Clock,
        namespace: str,
        domain: str,
        operator: AuthorityStore,
        leases: AuthorityStore,
        bundle: Callable[[], Bundle],
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._domain = domain
        self._operator = operator
        self._leases = leases
        self._bundle = bundle
        self._fingerprints: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the sentinel that this operator injects, hex."""
        return self._bundle().digest

    async def prepare(
        self, name: str, lease: LeaseIdentity, ports: SentinelPorts, egress: EgressPolicySpec
    ) -> None:
        """Create the Secret ``name`` with a fresh bootstrap unless it exists."""
        with contextlib.suppress(AlreadyExistsError):
            await self._kube.create(
                SECRET, self._body(name, lease, await self._made(lease, ports, egress))
            )

    async def _made(
        self, lease: LeaseIdentity, ports: SentinelPorts, egress: EgressPolicySpec
    ) -> dict[str, Any]:
        now = self._clock.now()
        signer = (await self._leases.current()).signer
        key = new_key()
        subject = Subject(
            uri=bootstrap_id(self._domain, lease),
            until=now.replace(microsecond=0) + LIFE,
        )
        certificate = server_certificate(signer, key.public_key(), subject, now)
        return {
            "version": 1,
            "lease": lease.uid,
            "namespace": lease.namespace,
            "workload": lease.workload,
            "trustDomain": self._domain,
            "operatorCAs": list((await self._operator.current()).trusted),
            "certificate": pem(certificate),
            "key": key_pem(key),
            "dataPort": ports.data,
            "controlPort": ports.control,
            "egress": {"version": 0, "spec": dump(SPEC_ADAPTER, egress)},
        }

    def _body(self, name: str, lease: LeaseIdentity, bootstrap: dict[str, Any]) -> Object:
        text = json.dumps(bootstrap, sort_keys=True)
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_LEASE: lease.uid},
            },
            "type": TYPE,
            "data": {KEY: base64.b64encode(text.encode()).decode()},
        }

    async def injection(self, name: str) -> Injection | None:
        """Return what starts the sentinel of a lease, None when there is no such Secret."""
        text = await self._read(name)
        if text is None:
            return None
        bootstrap = json.loads(text)
        archive = base64.b64encode(self._bundle().archive).decode()
        chunks = [archive[at : at + CHUNK] for at in range(0, len(archive), CHUNK)]
        ports = SentinelPorts(data=bootstrap["dataPort"], control=bootstrap["controlPort"])
        return injection_of(self._bundle(), chunks, base64.b64encode(text).decode(), ports)

    async def fingerprint(self, name: str) -> str | None:
        """Return the SHA-256 of the bootstrap's public key, None when there is no such Secret."""
        if name not in self._fingerprints:
            text = await self._read(name)
            if text is None:
                return None
            certificate = x509.load_pem_x509_certificate(json.loads(text)["certificate"].encode())
            self._fingerprints[name] = fingerprint(public_key(certificate))
        return self._fingerprints[name]

    async def _read(self, name: str) -> bytes | None:
        raw = await self._kube.get(SECRET, self._namespace, name)
        return base64.b64decode(raw["data"][KEY]) if raw is not None else None

    async def kept(self) -> Sequence[KeptBootstrap]:
        """Return every bootstrap that exists now, read afresh."""
        found = await self._kube.list(
            SECRET, namespace=self._namespace, labels={LABEL_MANAGED_BY: MANAGED_BY}
        )
        return [
            KeptBootstrap(
                name=each["metadata"]["name"], lease=each["metadata"]["labels"][LABEL_LEASE]
            )
            for each in found
            if each.get("type") == TYPE and LABEL_LEASE in each["metadata"]["labels"]
        ]

    async def discard(self, name: str) -> None:
        """Delete the Secret; a missing one is no error."""
        self._fingerprints.pop(name, None)
        await self._kube.delete(SECRET, self._namespace, name)


def injection_of(
    found: Bundle, archive: Sequence[str], bootstrap: str, ports: SentinelPorts
) -> Injection:
    """Return what starts a sentinel; ``archive`` and ``bootstrap`` are its own and its lease's, in base64."""
    env = [(f"GARRISON_SENTINEL_{index}", chunk) for index, chunk in enumerate(archive)]
    env += [("GARRISON_SENTINEL_DIGEST", found.digest), ("GARRISON_BOOTSTRAP", bootstrap)]
    command = ("python3", "-I", "-S", "-c", found.loader)
    return Injection(command=command, env=tuple(env), ports=ports)
