"""The calls of an enrolled instance: what changes it, and what looks at it.

The agent listens without this module, and loads it at once after that: no workload exists before.
"""

from __future__ import annotations

import hashlib
import json
import socket
from typing import Any, Callable, Dict  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import connectivity, fields, integrity
from sentinel.agent.agent import Agent
from sentinel.agent.calls import IDENTITY, encoded
from sentinel.agent.errors import Refusal
from sentinel.agent.http import TEXT, Request, Stream
from sentinel.agent.logs import Line
from sentinel.agent.metrics import Sampler
from sentinel.agent.query import parameters
from sentinel.agent.secrets import parse as parse_secret
from sentinel.agent.shell import PROTOCOL, Shell
from sentinel.agent.workload import parse_launch
from sentinel.tls import certificate

_MAX_GLOBS = 256
_SCRAPE_SECONDS, _MAX_SCRAPE = 5.0, 1024 * 1024
_FOLLOW_SECONDS = 15.0
_BELOW_SECRETS = "/v1/secrets/"
Answer = Dict[str, Any]  # noqa: UP006


class Operations:
    """Answers what ``Calls`` leaves to it."""

    def __init__(self, agent: Agent, sampler: Sampler) -> None:
        self._agent, self._sampler = agent, sampler
        self._secrets, self._logs_kept = agent.secrets, agent.logs
        self._json: dict[tuple[str, str], Callable[[fields.Body], Answer]] = {
            ("PUT", "/v1/egress"): self._egress,
            ("POST", "/v1/integrity"): self._integrity,
            ("POST", "/v1/start"): self._start,
            ("POST", "/v1/connectivity"): self._connectivity,
            ("POST", "/v1/drain"): self._drain,
            ("POST", "/v1/stop"): self._stop,
            ("POST", "/v1/seal"): self._seal,
        }
        self._raw: dict[tuple[str, str], Callable[[Request, Stream], None]] = {
            ("GET", "/v1/status"): self._status,
            ("GET", "/v1/metrics"): self._metrics,
            ("GET", "/v1/workload-metrics"): self._workload_metrics,
            ("GET", "/v1/logs"): self._logs,
            ("GET", "/v1/shell"): self._shell,
        }

    def serve(self, request: Request, stream: Stream) -> None:
        """Answer one request. Raises Refusal."""
        call = request.method, request.path
        if request.method == "PUT" and request.path.startswith(_BELOW_SECRETS):
            stream.answer_json(200, self._secret(request))
        elif call in self._json:
            stream.answer_json(200, self._json[call](fields.read_object(request.body or b"{}")))
        elif call in self._raw:
            self._raw[call](request, stream)
        else:
            self._unknown(request)

    def _unknown(self, request: Request) -> None:
        known = {path for _, path in (*self._json, *self._raw, *IDENTITY)}
        if request.path in known or request.path.startswith(_BELOW_SECRETS):
            raise Refusal(405, "MethodNotAllowed", "this path takes another method")
        raise Refusal(404, "NotFound", "no such path")

    # -- what changes

    def _egress(self, body: fields.Body) -> Answer:
        self._agent.demand_enrolled()
        version = fields.number(body, "version", 0, 2**53)
        return self._agent.put_egress(version, body.get("spec"))

    def _secret(self, request: Request) -> Answer:
        self._agent.demand_enrolled()
        secret = parse_secret(request.path[len(_BELOW_SECRETS) :], fields.read_object(request.body))
        self._agent.put_secret(secret)
        return {"name": secret.name, "version": self._secrets.versions()[secret.name]}

    def _start(self, body: fields.Body) -> Answer:
        self._agent.start(parse_launch(body))
        return {"state": self._agent.state}

    def _drain(self, body: fields.Body) -> Answer:
        return {"connections": self._agent.drain(fields.number(body, "seconds", 0, 3600, 30))}

    def _stop(self, _body: fields.Body) -> Answer:
        self._agent.stop()
        return {"state": self._agent.state}

    def _seal(self, body: fields.Body) -> Answer:
        self._agent.seal(fields.text(body, "reason", limit=200, default=""))
        self._sampler.forget()
        return {"state": self._agent.state}

    # -- what is looked at

    def _integrity(self, body: fields.Body) -> Answer:
        agent, nonce = self._agent, fields.nonce(body)
        agent.demand_enrolled()
        globs = fields.texts(body, "paths", limit=_MAX_GLOBS) if "paths" in body else []
        rest: Answer = {"nonce": nonce, "sentinel": agent.digest}
        rest.update(integrity.Survey().take(globs))
        digest = hashlib.sha256(integrity.canonical(rest)).hexdigest()
        lease, instance = agent.bootstrap.lease, agent.instance
        text = f"garrison-integrity-v1\n{lease}\n{instance}\n{nonce}\n{digest}"
        return {**rest, "proof": encoded(agent.sign(text))}

    def _connectivity(self, body: fields.Body) -> Answer:
        agent = self._agent
        agent.demand_enrolled()
        env = connectivity.environment()
        return {"results": connectivity.test(body, agent.guarding, agent.children, env)}

    def _status(self, _request: Request, stream: Stream) -> None:
        stream.answer_json(200, self.status())

    def status(self) -> Answer:
        """Return what anyone who is let in may know."""
        agent = self._agent
        totals, denied = agent.relay.totals().counts, agent.guarding.totals()
        shown = agent.presented()
        enrolled = shown.key is not agent.bootstrap.key
        return {
            "instance": agent.instance,
            "state": agent.state,
            "startedAt": certificate.rfc3339(agent.began),
            "lease": agent.bootstrap.lease,
            "sealedBecause": None if agent.gives_way else agent.sealed_because or None,
            "certificate": {
                "notAfter": certificate.rfc3339(shown.not_after),
                "key": certificate.pin(shown.key.spki()),
            }
            if enrolled
            else None,
            "egress": agent.guarding.status(),
            "resolvers": agent.guarding.resolvers,
            "secrets": self._secrets.versions(),
            "workload": agent.workload.view() if agent.workload else None,
            "relay": {
                "connections": totals["connections"],
                "accepted": totals["accepted"],
                "refused": totals["refused"],
                "bytesIn": totals["bytes_in"],
                "bytesOut": totals["bytes_out"],
            },
            "denied": agent.guarding.denied(),
            "deniedTotal": denied["denied"] + denied["namesDenied"],
            "observed": agent.guarding.observed(),
            "entered": self._sampler.outsiders.look(),
        }

    def _metrics(self, _request: Request, stream: Stream) -> None:
        stream.answer(200, self._sampler.page(self._agent.guarding.denied()), TEXT)

    def _workload_metrics(self, _request: Request, stream: Stream) -> None:
        launch = self._agent.running().launch
        if launch.metrics is None:
            raise Refusal(404, "NoMetricsPath", "the workload has no metricsPath")
        separate = self._agent.guarding.separate_loopback()
        with separate.workload_socket() if separate else socket.socket() as sock:
            stream.answer(200, _scrape(sock, launch.port, launch.metrics), TEXT)

    def _logs(self, request: Request, stream: Stream) -> None:
        query = parameters(request.query)
        follow, tail = query.get("follow") == "1", query.get("tail", "")
        lines = self._logs_kept.tail(int(tail) if tail.isdigit() and len(tail) < 7 else 1 << 20)
        stream.begin(200, "application/x-ndjson", "Transfer-Encoding: chunked")
        stream.taken = True
        following = lines[-1].number + 1 if lines else 0
        _give(stream, lines)
        while follow:
            lines = self._logs_kept.read(following, _FOLLOW_SECONDS)
            following = lines[-1].number + 1 if lines else following
            if lines:
                _give(stream, lines)
            else:
                stream.chunk(b"\n")  # finds out whether anyone still reads
            follow = self._agent.workload is not None
        stream.chunk(b"")

    def _shell(self, request: Request, stream: Stream) -> None:
        self._agent.running()
        if request.headers.get("upgrade", "").lower() != PROTOCOL:
            raise Refusal(426, "UpgradeRequired", f"ask for 'Upgrade: {PROTOCOL}'")
        session = Shell(request, stream)
        session.serve(self._agent.shell, self._agent.children)
        stream.taken = True


def _give(stream: Stream, lines: list[Line]) -> None:
    shown = [
        {"time": certificate.rfc3339(line.time), "stream": line.stream, "line": line.line}
        for line in lines
    ]
    if shown:
        stream.chunk("".join(json.dumps(each) + "\n" for each in shown).encode())


def _scrape(sock: socket.socket, port: int, path: str) -> bytes:
    sock.settimeout(_SCRAPE_SECONDS)
    parts: list[bytes] = []
    try:
        sock.connect(("127.0.0.1", port))
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n".encode())
        while part := sock.recv(65536):
            parts.append(part)
            if sum(map(len, parts)) > _MAX_SCRAPE:
                raise Refusal(502, "TooLarge", f"the workload's metrics exceed {_MAX_SCRAPE} bytes")
    except OSError as error:
        raise Refusal(502, "WorkloadUnreachable", f"port {port}: {error}") from error
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if b" 200" not in head.partition(b"\r\n")[0]:
        raise Refusal(502, "WorkloadRefused", "the workload's metricsPath does not answer 200")
    return body
