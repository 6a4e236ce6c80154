"""The sandbox's gateways against the reference's cases of tokens, which are read where they are."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from akash_sandbox import jwt
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner

Json = dict[str, Any]

CASES = Path(__file__).parents[4] / "shared/conformance/akash/jwt"
DAY = 86_400

pytestmark = pytest.mark.skipif(
    not CASES.exists(), reason=f"{CASES} is not there: the cases of the reference may not be copied"
)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.from_words((CASES / "mnemonic").read_text())


def accepted(token: str, key: PrivateKey, now: float) -> bool:
    """Return whether a gateway takes the token for one of the key's account."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.public)
    try:
        jwt.verify(token, {LocalSigner(key).address: public}, now)
    except jwt.TokenError:
        return False
    return True


def _cases(now: int, address: str) -> list[Json]:
    text = (CASES / "cases_jwt.json.tmpl").read_text()
    for name, value in {
        "Issuer": address,
        "Provider": address,
        "IatCurr": now,
        "NbfCurr": now,
        "Iat24h": now + DAY,
        "Nbf24h": now + DAY,
        "Exp48h": now + 2 * DAY,
    }.items():
        text = text.replace(f"{{{{.{name}}}}}", str(value))
    assert "{{" not in text
    found: list[Json] = json.loads(text)
    return found


def _claims(case: Json) -> Json:
    """Return the claims with numbers where the reference's own type has them, as it writes them."""
    numbers = {"iat", "nbf", "exp"}
    return {
        name: int(value) if name in numbers else value for name, value in case["claims"].items()
    }


def _made(key: PrivateKey, claims: Json, algorithm: str) -> str:
    text = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims)}"
    wrapped = algorithm == "ES256KADR36"
    signed = jwt._wrapped(text, LocalSigner(key).address) if wrapped else text.encode()
    return f"{text}.{_encoded(key.sign(signed))}"


@pytest.mark.parametrize("algorithm", jwt.ALGORITHMS)
def test_claims_are_taken_and_refused_as_by_the_reference(key: PrivateKey, algorithm: str) -> None:
    now = int(time.time())
    cases = _cases(now, LocalSigner(key).address)
    assert len(cases) > 30
    wrong = {
        case["description"]
        for case in cases
        if accepted(case.get("tokenString") or _made(key, _claims(case), algorithm), key, now + 0.5)
        is case["expected"]["verifyFail"]
    }
    assert wrong == set()


def test_signatures_are_taken_and_refused_as_by_the_reference(key: PrivateKey) -> None:
    """Most of these tokens have no claims that a gateway takes; their signatures are looked at alone."""
    cases = json.loads((CASES / "cases_es256k.json").read_text())
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.public)
    for case in cases:
        text, _, signature = case["tokenString"].rpartition(".")
        sound = jwt.is_signed(
            case["expected"]["alg"], text, signature, public, LocalSigner(key).address
        )
        assert sound is not case["mustFail"], case["description"]


def test_a_browsers_wallet_is_let_in(key: PrivateKey) -> None:
    cases = json.loads((CASES / "cases_es256k.json").read_text())
    (whole,) = (each for each in cases if "scoped claims" in each["description"])
    issued = whole["expected"]["claims"]["iat"]
    assert accepted(whole["tokenString"], key, issued + 1)
    assert not accepted(whole["tokenString"], PrivateKey(7), issued + 1)


def _part(value: Json) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
