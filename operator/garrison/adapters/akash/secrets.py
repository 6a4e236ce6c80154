"""Credentials of accounts: one line of text in a Secret of the operator's namespace."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from garrison.api.meta import SECRET, SecretKeyRef
from garrison.errors import AuthError, InvalidSpecError
from garrison.ports.kube import Kube

MAX_TEXT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Where a credential is, and what it is called when it is missing: "an API key"."""

    reference: SecretKeyRef
    namespace: str
    what: str
    placeholder: str

    async def secret(self, kube: Kube) -> Mapping[str, Any]:
        """Return the Secret. Raises AuthError when it does not exist."""
        secret = await kube.get(SECRET, self.namespace, self.reference.name)
        if secret is None:
            raise AuthError(
                f"Secret {self.namespace}/{self.reference.name} does not exist; {self._remedy()}"
            )
        return secret

    def text(self, secret: Mapping[str, Any]) -> str:
        """Return the credential. Raises AuthError when it is missing, InvalidSpecError: unusable."""
        encoded = (secret.get("data") or {}).get(self.reference.key)
        where = f"key {self.reference.key!r} of Secret {self.namespace}/{self.reference.name}"
        if not encoded:
            raise AuthError(f"{where} is missing or empty; {self._remedy()}")
        try:
            text = base64.b64decode(encoded, validate=True).decode("ascii").strip()
        except (binascii.Error, ValueError):
            text = ""
        if not text or not text.isprintable() or len(text) > MAX_TEXT:
            raise InvalidSpecError(
                f"{where} is not {self.what} (one line of printable ASCII); {self._remedy()}"
            )
        return text

    def _remedy(self) -> str:
        return (
            f"create it: kubectl create secret generic {self.reference.name} -n {self.namespace} "
            f"--from-literal={self.reference.key}={self.placeholder}"
        )
