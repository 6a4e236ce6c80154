"""The operator's and the leases' certificate authority, each in a Secret beside the operator.

A Secret that Garrison made (``tls.crt``, ``tls.key``, ``ca.crt``, and ``next.crt``, ``next.key`` while a
successor waits) is renewed by Garrison. One that was there before, cert-manager's for instance, is read
and never written: what it held is kept in another one, so that its renewals overlap in the same way.
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

from garrison.adapters.sentinel import succession
from garrison.adapters.sentinel.certificates import Signer, new_authority, pem
from garrison.adapters.sentinel.succession import Data
from garrison.api.meta import LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.errors import AlreadyExistsError, InvalidSpecError
from garrison.ports.clock import Clock
from garrison.ports.identity import DNS_SUFFIX
from garrison.ports.kube import Kube, Object

OPERATOR_CA = "garrison-operator-ca"
LEASE_CA = "garrison-lease-ca"
OVERLAP = "-overlap"
"""Ends the name of the Secret with what a given one held."""
RELOAD = timedelta(minutes=10)
MAX_TRUSTED = 7
"""A sentinel takes eight, and its operator's own certificate is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Who signs now, and every certificate to trust, PEM.

    ``chain`` leads from the signer towards a root; it is empty for one that is a root itself.
    """

    signer: Signer
    trusted: tuple[str, ...]
    chain: tuple[str, ...] = ()

    @property
    def bundle(self) -> str:
        """Return the certificates to trust as one PEM."""
        return "".join(self.trusted)

    def presented(self, certificate: x509.Certificate) -> str:
        """Return what a holder of a certificate of this authority presents, PEM."""
        return "".join((pem(certificate), *self.chain))


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
        kept = await self._kube.get(SECRET, self._namespace, self._name + OVERLAP)
        if raw is None and kept is None:
            raw = await self._created(self._name, succession.first(self._fresh(now)))
        if raw is not None and _is_ours(raw):
            return self._parsed(await self._renewed(raw, now), now)
        return self._parsed(await self._followed(raw, kept, now), now)

    async def _created(self, name: str, data: Mapping[str, str]) -> Object:
        try:
            return await self._kube.create(SECRET, self._body(name, data))
        except AlreadyExistsError:
            found = await self._kube.get(SECRET, self._namespace, name)
            if found is None:
                raise
            return found

    def _fresh(self, now: datetime) -> Signer:
        return new_authority(self._common_name, now, permitted=self._permitted)

    async def _renewed(self, raw: Object, now: datetime) -> Data:
        data = _decoded(raw)
        return await self._written(raw, succession.renewed(data, lambda: self._fresh(now), now))

    async def _followed(self, given: Object | None, kept: Object | None, now: datetime) -> Data:
        """What is in force while ``given`` holds what it does; missing, it changes nothing."""
        data = _decoded(given) if given is not None else None
        if data is not None:
            self._parsed(data, now)
        if kept is None:
            assert data is not None  # noqa: S101 - one of the two is there
            kept = await self._created(self._name + OVERLAP, succession.taken(data))
        return await self._written(kept, succession.followed(_decoded(kept), data, now))

    async def _written(self, raw: Object, data: Data) -> Data:
        if data == _decoded(raw):
            return data
        body = self._body(raw["metadata"]["name"], data)
        body["metadata"]["resourceVersion"] = raw["metadata"]["resourceVersion"]
        return _decoded(await self._kube.apply(SECRET, body))

    def _body(self, name: str, data: Mapping[str, str]) -> Object:
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            },
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }

    def _parsed(self, data: Mapping[str, str], now: datetime) -> Authority:
        try:
            key = serialization.load_pem_private_key(data["tls.key"].encode(), password=None)
            certificate, *issuers = _certificates(data["tls.crt"])
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
        if certificate.not_valid_after_utc <= now:
            raise InvalidSpecError(
                f"the authority in Secret {self._namespace}/{self._name} ended at "
                f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it there"
            )
        others = [
            each for each in trusted if each != certificate and each.not_valid_after_utc > now
        ]
        is_root = certificate.issuer == certificate.subject
        return Authority(
            signer=Signer(certificate=certificate, key=key),
            trusted=tuple(pem(each) for each in (certificate, *others))[:MAX_TRUSTED],
            chain=() if is_root else tuple(pem(each) for each in (certificate, *issuers)),
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


def _is_ours(raw: Object) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return bool(labels.get(LABEL_MANAGED_BY) == MANAGED_BY)


def _decoded(raw: Mapping[str, Any]) -> dict[str, str]:
    data = raw.get("data") or {}
    return {key: base64.b64decode(text).decode("utf-8", "replace") for key, text in data.items()}


def _certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())
