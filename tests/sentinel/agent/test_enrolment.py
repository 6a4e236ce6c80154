"""Who the agent says it is, to whom it listens, and what it takes as its certificate."""

from __future__ import annotations

import hashlib
import http.client
import secrets
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sentinel.agent.agent_process import (
    BOOTSTRAP_URI,
    CLIENT_URI,
    DOMAIN,
    LEASE,
    LEASE_URI,
    LEASES,
    OPERATOR,
    OPERATOR_CLIENT,
    WORKLOAD_CLIENT,
    AgentProcess,
    Refused,
    until,
    verified,
)
from tests.sentinel.pki import CLIENT, SERVER, Authority, Issued

STRANGER = Authority("stranger")
OTHERS = {
    "nobody's": None,
    "a workload's client": WORKLOAD_CLIENT,
    "another installation's operator": OPERATOR.issue("spiffe://garrison-ffffffff/operator"),
    "a stranger's": STRANGER.issue(f"spiffe://{DOMAIN}/operator"),
    "the lease's authority's": LEASES.issue(f"spiffe://{DOMAIN}/operator", usage=CLIENT),
    "of two names": OPERATOR.issue(f"spiffe://{DOMAIN}/operator", CLIENT_URI),
    "expired": OPERATOR.issue(f"spiffe://{DOMAIN}/operator", hours=-1),
}


def _names(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _pin(key: object) -> str:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def test_a_sealed_agent_proves_its_bootstrap(sealed: AgentProcess) -> None:
    nonce = secrets.token_hex(32)
    hello = sealed.call("POST", "/v1/hello", {"nonce": nonce})
    assert hello["protocol"] == 1
    assert hello["lease"] == LEASE
    assert hello["state"] == "Sealed"
    assert hello["sentinel"] == sealed.digest
    text = f"garrison-hello-v1\n{LEASE}\n{hello['instance']}\n{nonce}\n{hello['nonce']}"
    verified(sealed.born.parsed(), hello["proof"], text)
    assert _names(sealed.presented()) == [BOOTSTRAP_URI]
    again = sealed.call("POST", "/v1/hello", {"nonce": nonce})
    assert again["nonce"] != hello["nonce"]


def test_enrolment(sealed: AgentProcess) -> None:
    nonce = secrets.token_hex(16)
    answer = sealed.call("POST", "/v1/enrol", {"nonce": nonce})
    request = x509.load_pem_x509_csr(answer["csr"].encode())
    assert request.is_signature_valid
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [LEASE_URI]
    assert names.get_values_for_type(x509.DNSName) == [f"{LEASE}.chat.prod.lease.garrison.internal"]
    digest = hashlib.sha256(request.public_bytes(serialization.Encoding.DER)).hexdigest()
    instance = sealed.status()["instance"]
    text = f"garrison-enrol-v1\n{LEASE}\n{instance}\n{nonce}\n{digest}"
    verified(sealed.born.parsed(), answer["proof"], text)
    assert _pin(request.public_key()) != _pin(sealed.born.parsed().public_key())
    assert _pin(sealed.request().public_key()) == _pin(request.public_key())  # one per instance

    assert sealed.enrol()["notAfter"].endswith("Z")
    status = sealed.status()
    assert status["state"] == "Enrolled"
    assert status["certificate"]["key"] == _pin(request.public_key())
    presented = sealed.presented()
    assert _names(presented) == [LEASE_URI]
    hello = sealed.call("POST", "/v1/hello", {"nonce": nonce})
    text = f"garrison-hello-v1\n{LEASE}\n{hello['instance']}\n{nonce}\n{hello['nonce']}"
    verified(presented, hello["proof"], text)


def test_each_instance_has_its_own_key(tmp_path: Path) -> None:
    pins = set()
    for _ in range(2):
        with AgentProcess(tmp_path) as agent:
            pins.add((_pin(agent.request().public_key()), agent.status()["instance"]))
    assert len({pin for pin, _ in pins}) == len({instance for _, instance in pins}) == 2


@pytest.mark.parametrize("wrong", ["key", "name", "expired", "text", "authorities"])
def test_a_wrong_certificate_changes_nothing(sealed: AgentProcess, wrong: str) -> None:
    key = sealed.request().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    good = LEASES.sign(key, LEASE_URI)
    certificate = {
        "key": LEASES.issue(LEASE_URI, usage=SERVER).certificate,
        "name": LEASES.sign(key, f"{LEASE_URI}0"),
        "expired": LEASES.sign(key, LEASE_URI, hours=-1),
        "text": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "authorities": good,
    }[wrong]
    trusted = [good.replace("A", "B", 9)] if wrong == "authorities" else [OPERATOR.pem]
    with pytest.raises(Refused) as refused:
        sealed.call("PUT", "/v1/certificate", {"certificate": certificate, "operatorCAs": trusted})
    assert refused.value.status == 400
    assert sealed.status()["state"] == "Sealed"
    assert sealed.status()["certificate"] is None
    sealed.enrol()


def test_renewal_keeps_live_connections(running: AgentProcess) -> None:
    kept = running.connection()
    kept.request("GET", "/v1/status")
    kept.getresponse().read()
    data = http.client.HTTPSConnection(
        "127.0.0.1", running.data, context=running.context(WORKLOAD_CLIENT), timeout=10
    )
    data.request("GET", "/")
    pid = data.getresponse().read()
    before = running.presented().serial_number
    running.enrol()
    assert running.presented().serial_number != before
    assert running.status()["state"] == "Running"
    kept.request("GET", "/v1/status")
    assert kept.getresponse().read()
    data.request("GET", "/")
    assert data.getresponse().read() == pid
    kept.close()
    data.close()


def test_the_operators_authority_is_rotated(sealed: AgentProcess) -> None:
    following = Authority("operator, the next")
    client = following.issue(f"spiffe://{DOMAIN}/operator")
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _status_as(sealed, client)
    key = sealed.request().public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    trusted = [OPERATOR.pem, following.pem]
    body = {"certificate": LEASES.sign(key, LEASE_URI), "operatorCAs": trusted}
    sealed.call("PUT", "/v1/certificate", body)
    assert _status_as(sealed, client) == 200
    assert _status_as(sealed, OPERATOR_CLIENT) == 200


def _status_as(agent: AgentProcess, client: Issued | None) -> int:
    connection = agent.connection(client)
    try:
        connection.request("GET", "/v1/status")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("client", OTHERS.values(), ids=OTHERS)
def test_control_answers_the_operator_only(sealed: AgentProcess, client: Issued | None) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        _status_as(sealed, client)
    assert _status_as(sealed, OPERATOR_CLIENT) == 200


def test_stuck_handshakes_keep_the_operator_in(sealed: AgentProcess) -> None:
    stuck = [socket.create_connection(("127.0.0.1", sealed.control)) for _ in range(60)]
    assert sealed.status()["state"] == "Sealed"
    for each in stuck:
        each.close()


def test_at_most_32_connections(sealed: AgentProcess) -> None:
    opened = [sealed.connection() for _ in range(32)]
    for each in opened:
        each.request("GET", "/v1/status")
        assert each.getresponse().read()
    with pytest.raises(Refused) as refused:
        sealed.status()
    assert refused.value.reason == "TooManyConnections"
    opened.pop().close()
    until(lambda: sealed.raw("GET", "/v1/status")[0] == 200)
    for each in opened:
        each.close()


SEALED_CALLS = [
    ("PUT", "/v1/egress", {"version": 2, "spec": {}}),
    ("PUT", "/v1/secrets/token", {"version": 1, "value": "eA==", "env": "TOKEN", "file": None}),
    ("POST", "/v1/integrity", {"nonce": "a" * 32, "paths": []}),
    ("POST", "/v1/start", {"argv": ["/bin/true"], "port": 8000}),
    ("POST", "/v1/connectivity", {}),
    ("POST", "/v1/drain", {"seconds": 1}),
    ("GET", "/v1/workload-metrics", None),
    ("GET", "/v1/shell", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SEALED_CALLS)
def test_while_sealed_nothing_else_works(
    sealed: AgentProcess, method: str, path: str, body: object
) -> None:
    with pytest.raises(Refused) as refused:
        sealed.call(method, path, body)
    assert (refused.value.status, refused.value.reason) == (409, "WrongState")


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/v1/nothing", 404, "NotFound"),
        ("GET", "/", 404, "NotFound"),
        ("GET", "/v1/hello", 405, "MethodNotAllowed"),
        ("DELETE", "/v1/secrets/token", 405, "MethodNotAllowed"),
        ("POST", "/v1/hello", 400, "BadRequest"),
    ],
)
def test_unknown_calls(
    sealed: AgentProcess, method: str, path: str, status: int, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        sealed.call(method, path)
    assert (refused.value.status, refused.value.reason) == (status, reason)
