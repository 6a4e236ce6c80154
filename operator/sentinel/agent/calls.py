"""The first calls of the control port: who this is, and its enrolment. ``operations`` has the rest."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from typing import Any, Callable, Dict, Optional  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import fields
from sentinel.agent.agent import Agent
from sentinel.agent.bootstrap import authorities
from sentinel.agent.errors import BootstrapError, Refusal, bad
from sentinel.agent.http import Request, Stream
from sentinel.tls import certificate, der, p256

_MAX_CHAIN = 64 * 1024
_HELLO, _ENROL, _CERTIFICATE = IDENTITY = (
    ("POST", "/v1/hello"),
    ("POST", "/v1/enrol"),
    ("PUT", "/v1/certificate"),
)
_CONSOLE = frozenset(
    {
        ("POST", "/v1/hello"),
        ("GET", "/v1/status"),
        ("GET", "/v1/metrics"),
        ("POST", "/v1/connectivity"),
        ("GET", "/v1/logs"),
        ("GET", "/v1/shell"),
    }
)
"""What whoever looks inside may ask."""
Answer = Dict[str, Any]  # noqa: UP006


class Calls:
    """Answers requests of the operator, and those few of a console."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._rest: Optional[Callable[[Request, Stream], None]] = None  # noqa: UP045
        self._complete = threading.Event()

    def complete(self, rest: Callable[[Request, Stream], None]) -> None:
        """Leave all other calls to ``rest``; until then they wait."""
        self._rest = rest
        self._complete.set()

    def serve(self, request: Request, stream: Stream, key: p256.Key, client: str) -> None:
        """Answer one request of a connection whose certificate has ``key``. Raises Refusal."""
        call = request.method, request.path
        if client != self._agent.bootstrap.operator_uri and call not in _CONSOLE:
            raise Refusal(403, "OperatorOnly", "a console may look inside and change nothing")
        if call == _HELLO:
            stream.answer_json(200, self._hello(fields.read_object(request.body), key))
        elif call == _ENROL:
            stream.answer_json(200, self._enrol(fields.read_object(request.body or b"{}")))
        elif call == _CERTIFICATE:
            stream.answer_json(200, self._certificate(fields.read_object(request.body or b"{}")))
        else:
            self._complete.wait()
            if self._rest:
                self._rest(request, stream)

    def _hello(self, body: fields.Body, key: p256.Key) -> Answer:
        agent, theirs, ours = self._agent, fields.nonce(body), os.urandom(32).hex()
        lease, instance = agent.bootstrap.lease, agent.instance
        text = f"garrison-hello-v1\n{lease}\n{instance}\n{theirs}\n{ours}"
        return {
            "protocol": 1,
            "lease": lease,
            "instance": instance,
            "state": agent.state,
            "nonce": ours,
            "sentinel": agent.digest,
            "proof": encoded(key.sign(text.encode())),
        }

    def _enrol(self, body: fields.Body) -> Answer:
        agent, nonce = self._agent, fields.nonce(body)
        request = agent.request()
        digest = hashlib.sha256(request).hexdigest()
        lease, instance = agent.bootstrap.lease, agent.instance
        text = f"garrison-enrol-v1\n{lease}\n{instance}\n{nonce}\n{digest}"
        return {
            "csr": der.pem("CERTIFICATE REQUEST", request),
            "proof": encoded(agent.bootstrap.key.sign(text.encode())),
        }

    def _certificate(self, body: fields.Body) -> Answer:
        chain = fields.text(body, "certificate", limit=_MAX_CHAIN)
        try:
            trusted = authorities(body)
        except (der.DerError, BootstrapError) as error:
            raise bad(f"operatorCAs: {error}") from error
        if len(chain) + sum(map(len, trusted)) > _MAX_CHAIN:
            raise bad(f"certificate and operatorCAs: at most {_MAX_CHAIN} characters in all")
        return {"notAfter": certificate.rfc3339(self._agent.install(chain, trusted).not_after)}


def encoded(data: bytes) -> str:
    """Return base64 text."""
    return base64.b64encode(data).decode()
