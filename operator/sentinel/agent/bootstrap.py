"""What a container is born with: good for enrolling, and for nothing else."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Dict, List, NamedTuple  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import fields
from sentinel.agent.errors import BootstrapError, Refusal
from sentinel.tls import certificate, der, p256

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9A-Za-z][-0-9A-Za-z.]{0,62}")
_MAX_PEM = 64 * 1024
_MAX_AUTHORITIES = 8


class Bootstrap(NamedTuple):
    """One lease's bootstrap; certificates and key are PEM and parsed."""

    lease: str
    namespace: str
    workload: str
    domain: str
    authorities: List[str]  # noqa: UP006
    chain: str
    key: p256.Key
    data_port: int
    control_port: int
    egress_version: int
    egress: Dict[str, Any]  # noqa: UP006
    given: Dict[str, Any]  # noqa: UP006

    def __repr__(self) -> str:
        """Show what is no secret."""
        return f"Bootstrap(lease={self.lease!r})"

    @property
    def lease_uri(self) -> str:
        """The name that the lease's certificate must have."""
        return f"spiffe://{self.domain}/lease/{self.lease}"

    @property
    def lease_dns(self) -> str:
        """The same for clients that know host names only."""
        return f"{self.lease}.{self.workload}.{self.namespace}.lease.garrison.internal"

    @property
    def operator_uri(self) -> str:
        """The client that ``control`` takes every call from."""
        return f"spiffe://{self.domain}/operator"

    @property
    def console_uri(self) -> str:
        """The client that may look inside, through ``control``."""
        return f"{self.client_uri}/console"

    @property
    def client_uri(self) -> str:
        """The clients that ``data`` takes."""
        return f"spiffe://{self.domain}/ns/{self.namespace}/iw/{self.workload}"


def decode(text: str) -> Bootstrap:
    """Return the bootstrap of base64 ``text``. Raises BootstrapError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BootstrapError("the bootstrap is not base64") from error
    return parse(data)


def parse(data: bytes) -> Bootstrap:
    """Return the bootstrap of JSON ``data``. Raises BootstrapError."""
    try:
        return _parse(fields.read_object(data))
    except Refusal as error:
        raise BootstrapError(f"bootstrap: {error.message}") from error
    except der.DerError as error:
        raise BootstrapError(f"bootstrap: certificate or key: {error}") from error


def _parse(body: fields.Body) -> Bootstrap:
    if body.get("version") != 1:
        raise BootstrapError("bootstrap: version 1 is needed")
    egress = body.get("egress")
    if not isinstance(egress, dict) or not isinstance(egress.get("spec"), dict):
        raise BootstrapError("bootstrap: egress with version and spec is needed")
    found = Bootstrap(
        lease=_matching(body, "lease", _UID),
        namespace=_matching(body, "namespace", _NAME),
        workload=_matching(body, "workload", _NAME),
        domain=_matching(body, "trustDomain", _NAME),
        authorities=authorities(body),
        chain=fields.text(body, "certificate", limit=_MAX_PEM),
        key=p256.load(fields.text(body, "key", limit=_MAX_PEM)),
        data_port=fields.port(body, "dataPort"),
        control_port=fields.port(body, "controlPort"),
        egress_version=fields.number(egress, "version", 0, 2**53),
        egress=egress["spec"],
        given=dict(body),
    )
    if certificate.parse(found.chain).spki != found.key.spki():
        raise BootstrapError("bootstrap: certificate and key do not belong together")
    if found.data_port == found.control_port:
        raise BootstrapError("bootstrap: dataPort and controlPort must differ")
    return found


def authorities(body: fields.Body) -> list[str]:
    """Return the operator's authorities in a body, PEM. Raises Refusal and DerError."""
    found = fields.texts(body, "operatorCAs", limit=_MAX_AUTHORITIES, length=_MAX_PEM)
    for each in found:
        certificate.parse(each)
    if not found:
        raise BootstrapError("operatorCAs: at least one certificate is needed")
    return found


def _matching(body: fields.Body, name: str, pattern: re.Pattern[str]) -> str:
    value = fields.text(body, name, limit=253)
    if not pattern.fullmatch(value):
        raise BootstrapError(f"bootstrap: {name} is not a name")
    return value
