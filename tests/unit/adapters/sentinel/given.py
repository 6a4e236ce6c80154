"""A Secret with an authority that somebody else writes and renews, as cert-manager does."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.sentinel.certificates import Signer, key_pem, new_key, pem
from garrison.api.meta import SECRET
from tests.unit.adapters.sentinel.trust import SYSTEM


def issued(name: str, now: datetime, life: timedelta, issuer: Signer | None = None) -> Signer:
    """An authority that ends after ``life``: a root, or an intermediate of ``issuer``."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = issuer.key if issuer is not None else key
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
        .sign(by, hashes.SHA256())
    )
    return Signer(certificate=certificate, key=key)


async def put(kube: MemoryKube, name: str, signer: Signer, root: Signer | None = None) -> None:
    """Write a Secret, new or renewed: ``ca.crt`` is the root, else the authority itself."""
    texts = {
        "tls.crt": pem(signer.certificate),
        "tls.key": key_pem(signer.key),
        "ca.crt": pem((root or signer).certificate),
    }
    body = {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {"name": name, "namespace": SYSTEM},
        "data": {key: base64.b64encode(each.encode()).decode() for key, each in texts.items()},
    }
    await kube.apply(SECRET, body)
