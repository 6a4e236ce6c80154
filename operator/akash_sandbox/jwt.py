"""Tenants' tokens for provider gateways: ES256K JSON web tokens (AEP-64)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from akash_sandbox.account import AccountKey, verifies

Json = dict[str, Any]

ALGORITHMS = ("ES256K", "ES256KADR36")
_BACKDATED = 5
SCOPES = frozenset(
    (
        "send-manifest",
        "get-manifest",
        "logs",
        "shell",
        "events",
        "status",
        "restart",
        "hostname-migrate",
        "ip-migrate",
        "attestation",
    )
)


class TokenError(Exception):
    """The token is refused; the message is the real gateway's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def mint(key: AccountKey, leases: Mapping[str, Any], *, now: float, ttl: int) -> str:
    """Return a token of the account, valid for ``ttl`` seconds."""
    issued = int(now) - _BACKDATED
    claims = {
        "iss": key.address,
        "iat": issued,
        "nbf": issued,
        "exp": int(now) + ttl,
        "version": "v1",
        "leases": leases,
    }
    text = f"{_pack({'alg': 'ES256K', 'typ': 'JWT'})}.{_pack(claims)}"
    return f"{text}.{_encode(key.sign(text.encode()))}"


def verify(token: str, accounts: Mapping[str, ec.EllipticCurvePublicKey], now: float) -> Json:
    """Return the claims of a valid token of a known account; raises TokenError."""
    text, _, signature = token.rpartition(".")
    header, _, body = text.partition(".")
    head, claims = _unpack(header), _unpack(body)
    if head.get("alg") not in ALGORITHMS:
        raise TokenError("JWT is invalid", 401)
    _check_claims(claims, now)
    public = accounts.get(claims["iss"])
    if public is None or not is_signed(head["alg"], text, signature, public, claims["iss"]):
        raise TokenError("JWT is invalid", 401)
    return claims


def is_signed(
    algorithm: str, text: str, signature: str, public: ec.EllipticCurvePublicKey, signer: str
) -> bool:
    """Return whether a token's text has the signature of an account, of one of ``ALGORITHMS``."""
    signed = text.encode() if algorithm == "ES256K" else _wrapped(text, signer)
    return verifies(public, _decode(signature), signed)


def _wrapped(text: str, signer: str) -> bytes:
    """Return what a browser's wallet signs: a transaction of nothing around the text (ADR 36)."""
    data = base64.b64encode(text.encode()).decode()
    document = {
        "account_number": "0",
        "chain_id": "",
        "fee": {"amount": [], "gas": "0"},
        "memo": "",
        "msgs": [{"type": "sign/MsgSignData", "value": {"data": data, "signer": signer}}],
        "sequence": "0",
    }
    return json.dumps(document, separators=(",", ":")).encode()


def allows(
    claims: Json, *, provider: str, scope: str | None, dseq: str, gseq: int = 0, oseq: int = 0
) -> bool:
    """Return whether the claims permit ``scope`` (None: any) on a lease at this provider."""
    leases = claims["leases"]
    match leases["access"]:
        case "full":
            return True
        case "scoped":
            return scope is None or scope in leases["scope"]
        case _:
            mine = [p for p in leases["permissions"] if p["provider"] == provider]
            return any(_permits(p, scope, dseq, gseq, oseq) for p in mine)


def _permits(permission: Json, scope: str | None, dseq: str, gseq: int, oseq: int) -> bool:
    match permission["access"]:
        case "full":
            return True
        case "scoped":
            return scope is None or scope in permission["scope"]
        case _:
            return any(
                _covers(deployment, scope, dseq, gseq, oseq)
                for deployment in permission["deployments"]
            )


def _covers(deployment: Json, scope: str | None, dseq: str, gseq: int, oseq: int) -> bool:
    return (
        str(deployment["dseq"]) == dseq
        and (scope is None or scope in deployment["scope"])
        and (not gseq or deployment.get("gseq", gseq) == gseq)
        and (not oseq or deployment.get("oseq", oseq) == oseq)
    )


def _check_claims(claims: Json, now: float) -> None:
    times = [claims.get(name) for name in ("iat", "nbf", "exp")]
    sound = (
        all(isinstance(time, int) and not isinstance(time, bool) for time in times)
        and isinstance(claims.get("iss"), str)
        and claims.get("version") == "v1"
        and _sound_leases(claims.get("leases"))
    )
    if not sound or not claims["iat"] <= now or not claims["nbf"] <= now < claims["exp"]:
        raise TokenError("JWT has invalid claims", 400)


def _sound_leases(leases: Any) -> bool:
    if not isinstance(leases, dict):
        return False
    match leases.get("access"):
        case "full":
            return set(leases) == {"access"}
        case "scoped":
            return set(leases) == {"access", "scope"} and _sound_scope(leases["scope"])
        case "granular":
            permissions = leases.get("permissions")
            return (
                set(leases) == {"access", "permissions"}
                and isinstance(permissions, list)
                and bool(permissions)
                and all(_sound_permission(p) for p in permissions)
                and len({p["provider"] for p in permissions}) == len(permissions)
            )
        case _:
            return False


def _sound_permission(permission: Any) -> bool:
    if not isinstance(permission, dict) or not isinstance(permission.get("provider"), str):
        return False
    match permission.get("access"):
        case "full":
            return set(permission) == {"provider", "access"}
        case "scoped":
            return "deployments" not in permission and _sound_scope(permission.get("scope"))
        case "granular":
            deployments = permission.get("deployments")
            return (
                "scope" not in permission
                and isinstance(deployments, list)
                and bool(deployments)
                and all(_sound_deployment(d) for d in deployments)
            )
        case _:
            return False


def _sound_deployment(deployment: Any) -> bool:
    return (
        isinstance(deployment, dict)
        and _is_number(deployment.get("dseq"))
        and _sound_scope(deployment.get("scope"))
        and _are_different(deployment.get("services"))
        and ("oseq" not in deployment or "gseq" in deployment)
    )


def _is_number(value: Any) -> bool:
    text = str(value)
    return text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) >= 1


def _sound_scope(scope: Any) -> bool:
    return _are_different(scope) and set(map(str, scope)) <= SCOPES


def _are_different(names: Any) -> bool:
    """Return whether it is a list of names, at least one, none of them twice."""
    return isinstance(names, list) and 0 < len(names) == len(set(map(str, names)))


def _pack(value: Json) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise TokenError("JWT is invalid", 401) from None


def _unpack(text: str) -> Json:
    try:
        value = json.loads(_decode(text))
    except (ValueError, RecursionError):
        raise TokenError("JWT is invalid", 401) from None
    if not isinstance(value, dict):
        raise TokenError("JWT is invalid", 401)
    return value
