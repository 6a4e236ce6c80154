"""The operator's and the leases' certificate authority, each in a Secret beside the operator.

A Secret that Garrison made (``tls.crt``, ``tls.key``, ``ca.crt``, and ``next.crt``, ``next.key`` while a
successor waits) is renewed by Garrison. One that was there before, cert-manager's for instance, is read
and never written.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.adapters.sentinel.certificates import Signer, key_pem, new_authority, pem
from garrison.adapters.sentinel.tenure import Tenure, Turn, turn
from garrison.api.meta import LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.errors import AlreadyExistsError, InvalidSpecError
from garrison.ports.clock import Clock
from garrison.ports.identity import DNS_SUFFIX
from garrison.ports.kube import Kube, Object

OPERATOR_CA = "garrison-operator-ca"
LEASE_CA = "garrison-lease-ca"
RELOAD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who signs now, and every certificate to trust, PEM."""

    signer: Signer
    trusted: tuple[str, ...]

    @property
    def bundle(self) -> str:
        """Return the certificates to trust as one PEM."""
        return "".join(self.trusted)


class AuthorityStore:
    """One authority, made on first use; reread every ten minutes, renewed in time."""

    def __init__(
        self,
        *,
        kube: Kube,
        clock: Clock,
        namespace: str,
        name: str,
        common_name: str,
        permitted: tuple[x509.GeneralName, ...] = (),
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._common_name = common_name
        self._permitted = permitted
        self._known: tuple[datetime, Authority] | None = None

    async def current(self) -> Authority:
        """Return the authority. Raises InvalidSpecError when the Secret holds none."""
        now = self._clock.now()
        if self._known is None or now - self._known[0] >= RELOAD:
            self._known = (now, await self._loaded(now))
        return self._known[1]

    async def _loaded(self, now: datetime) -> Authority:
        raw = await self._kube.get(SECRET, self._namespace, self._name)
        if raw is None:
            raw = await self._made(now)
        data = _decoded(raw)
        if _is_ours(raw):
            data = await self._turned(raw, data, now)
        return self._parsed(data)

    async def _made(self, now: datetime) -> Object:
        signer = new_authority(self._common_name, now, permitted=self._permitted)
        data = _entry("tls", signer) | {"ca.crt": pem(signer.certificate)}
        try:
            return await self._kube.create(SECRET, self._body(data))
        except AlreadyExistsError:
            found = await self._kube.get(SECRET, self._namespace, self._name)
            if found is None:
                raise
            return found

    async def _turned(self, raw: Object, data: dict[str, str], now: datetime) -> dict[str, str]:
        signs = _certificate(data["tls.crt"])
        waits = _certificate(data["next.crt"]) if "next.crt" in data else None
        since = waits.not_valid_before_utc if waits is not None else None
        match turn(Tenure(until=signs.not_valid_after_utc, successor_since=since), now):
            case Turn.KEEP:
                return data
            case Turn.PREPARE:
                successor = new_authority(self._common_name, now, permitted=self._permitted)
                fresh = data | _entry("next", successor)
                fresh["ca.crt"] = data["ca.crt"] + pem(successor.certificate)
            case Turn.PROMOTE:
                kept = {key: text for key, text in data.items() if not key.startswith("next.")}
                fresh = kept | {"tls.crt": data["next.crt"], "tls.key": data["next.key"]}
                fresh["ca.crt"] = "".join(
                    pem(each)
                    for each in _certificates(data["ca.crt"])
                    if each.not_valid_after_utc > now
                )
        body = self._body(fresh)
        body["metadata"]["resourceVersion"] = raw["metadata"]["resourceVersion"]
        return _decoded(await self._kube.apply(SECRET, body))

    def _body(self, data: Mapping[str, str]) -> Object:
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            },
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }

    def _parsed(self, data: Mapping[str, str]) -> Authority:
        try:
            key = serialization.load_pem_private_key(data["tls.key"].encode(), password=None)
            certificate = _certificate(data["tls.crt"])
            trusted = _certificates(data.get("ca.crt") or data["tls.crt"])
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidSpecError(
                f"Secret {self._namespace}/{self._name} holds no certificate authority: it needs "
                f"tls.crt, tls.key and ca.crt in PEM ({type(error).__name__})"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise InvalidSpecError(
                f"the key in Secret {self._namespace}/{self._name} is not P-256; issue the authority "
                "with an ECDSA key of 256 bits"
            )
        roots = [certificate, *(each for each in trusted if each != certificate)]
        return Authority(
            signer=Signer(certificate=certificate, key=key),
            trusted=tuple(pem(each) for each in roots),
        )


def authorities(
    kube: Kube, clock: Clock, namespace: str, domain: str
) -> tuple[AuthorityStore, AuthorityStore]:
    """Return the operator's and the leases' authority of a trust domain.

    The first signs clients only, the second servers only; its name constraints hold it to leases.
    """
    operator = AuthorityStore(
        kube=kube,
        clock=clock,
        namespace=namespace,
        name=OPERATOR_CA,
        common_name=f"Garrison operator CA {domain}",
    )
    permitted = (x509.DNSName(DNS_SUFFIX), x509.UniformResourceIdentifier(domain))
    leases = AuthorityStore(
        kube=kube,
        clock=clock,
        namespace=namespace,
        name=LEASE_CA,
        common_name=f"Garrison lease CA {domain}",
        permitted=permitted,
    )
    return operator, leases


def _entry(name: str, signer: Signer) -> dict[str, str]:
    return {f"{name}.crt": pem(signer.certificate), f"{name}.key": key_pem(signer.key)}


def _is_ours(raw: Object) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return bool(labels.get(LABEL_MANAGED_BY) == MANAGED_BY)


def _decoded(raw: Mapping[str, Any]) -> dict[str, str]:
    data = raw.get("data") or {}
    return {key: base64.b64decode(text).decode("utf-8", "replace") for key, text in data.items()}


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())
