"""The bootstrap of a lease: made once, kept in a Secret beside the operator, injected by environment.

Both sides of the control port know each other's key by it: the container the operator's, and the operator
the bootstrap's. Neither certificate has an end, so a container that restarts is enrolled again however
old its lease is and whatever authorities were renewed meanwhile. Both are worthless once the Secret is
deleted, with the lease.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from garrison.adapters.sentinel.authority import AuthorityStore
from garrison.adapters.sentinel.bundle import Bundle
from garrison.adapters.sentinel.certificates import (
    fingerprint,
    key_pem,
    new_key,
    pem,
    pinned_client,
    pinned_server,
    public_key,
)
from garrison.api.egress import SPEC_ADAPTER, EgressPolicySpec
from garrison.api.meta import LABEL_LEASE, LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.api.parsing import dump
from garrison.errors import AlreadyExistsError, UnavailableError
from garrison.ports.clock import Clock
from garrison.ports.identity import LeaseIdentity, bootstrap_id, operator_id
from garrison.ports.kube import Kube, Object
from garrison.ports.sentinel import Injection, KeptBootstrap, SentinelPorts

KEY = "bootstrap.json"
OPERATOR_CERTIFICATE, OPERATOR_KEY = "operator.crt", "operator.key"
ENTRIES = {KEY, OPERATOR_CERTIFICATE, OPERATOR_KEY}
TYPE = "garrison.dev/bootstrap"
CHUNK = 120_000
"""Linux refuses a single string of the environment from 128 KiB on (MAX_ARG_STRLEN)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What the two sides of one lease's control port know each other by, PEM."""

    bootstrap: str
    certificate: str
    """The operator's, at this lease only."""
    key: str = field(repr=False)


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
        bundle: Callable[[], Bundle],
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._domain = domain
        self._operator = operator
        self._bundle = bundle
        self._fingerprints: dict[str, str] = {}
        self._pins: dict[str, Pins] = {}

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
    ) -> dict[str, str]:
        now, key, own = self._clock.now(), new_key(), new_key()
        certificate = pem(pinned_client(own, operator_id(self._domain), now))
        bootstrap = {
            "version": 1,
            "lease": lease.uid,
            "namespace": lease.namespace,
            "workload": lease.workload,
            "trustDomain": self._domain,
            "operatorCAs": [certificate, *(await self._operator.current()).trusted],
            "certificate": pem(pinned_server(key, bootstrap_id(self._domain, lease), now)),
            "key": key_pem(key),
            "dataPort": ports.data,
            "controlPort": ports.control,
            "egress": {"version": 0, "spec": dump(SPEC_ADAPTER, egress)},
        }
        text = json.dumps(bootstrap, sort_keys=True)
        return {KEY: text, OPERATOR_CERTIFICATE: certificate, OPERATOR_KEY: key_pem(own)}

    def _body(self, name: str, lease: LeaseIdentity, data: Mapping[str, str]) -> Object:
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY, LABEL_LEASE: lease.uid},
            },
            "type": TYPE,
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }

    async def injection(self, name: str) -> Injection | None:
        """Return what starts the sentinel of a lease, None when there is no such Secret."""
        data = await self._read(name)
        if data is None:
            return None
        text = data[KEY]
        bootstrap = json.loads(text)
        archive = base64.b64encode(self._bundle().archive).decode()
        chunks = [archive[at : at + CHUNK] for at in range(0, len(archive), CHUNK)]
        ports = SentinelPorts(data=bootstrap["dataPort"], control=bootstrap["controlPort"])
        return injection_of(self._bundle(), chunks, base64.b64encode(text).decode(), ports)

    async def fingerprint(self, name: str) -> str | None:
        """Return the SHA-256 of the bootstrap's public key, None when there is no such Secret."""
        if name not in self._fingerprints:
            data = await self._read(name)
            if data is None:
                return None
            bootstrap = json.loads(data[KEY])["certificate"]
            key = public_key(x509.load_pem_x509_certificate(bootstrap.encode()))
            self._fingerprints[name] = fingerprint(key)
            self._pins[self._fingerprints[name]] = Pins(
                bootstrap=bootstrap,
                certificate=data[OPERATOR_CERTIFICATE].decode(),
                key=data[OPERATOR_KEY].decode(),
            )
        return self._fingerprints[name]

    def pins(self, fingerprint: str) -> Pins:
        """Return what belongs to a fingerprint that was asked for.

        Raises UnavailableError when its Secret was discarded meanwhile.
        """
        if fingerprint not in self._pins:
            raise UnavailableError("the bootstrap of this lease was discarded: it is closed")
        return self._pins[fingerprint]

    async def _read(self, name: str) -> dict[str, bytes] | None:
        raw = await self._kube.get(SECRET, self._namespace, name)
        if raw is None or not raw["data"].keys() >= ENTRIES:
            return None
        return {key: base64.b64decode(text) for key, text in raw["data"].items()}

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
        self._pins.pop(self._fingerprints.pop(name, ""), None)
        await self._kube.delete(SECRET, self._namespace, name)


def injection_of(
    found: Bundle, archive: Sequence[str], bootstrap: str, ports: SentinelPorts
) -> Injection:
    """Return what starts a sentinel; ``archive`` and ``bootstrap`` are its own and its lease's, in base64."""
    env = [(f"GARRISON_SENTINEL_{index}", chunk) for index, chunk in enumerate(archive)]
    env += [("GARRISON_SENTINEL_DIGEST", found.digest), ("GARRISON_BOOTSTRAP", bootstrap)]
    command = ("python3", "-I", "-S", "-c", found.loader)
    return Injection(command=command, env=tuple(env), ports=ports)
