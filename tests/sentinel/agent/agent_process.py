"""The real zipapp as a process on loopback, and the operator's side of its control port.

The client is a small one of the tests' own: http.client over mutual TLS.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import http.client
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sentinel.packed import packed
from tests.ports import free_ports
from tests.sentinel.pki import SERVER, Authority, Issued, client_context

DOMAIN, LEASE = "garrison-0a1b2c3d", "lease-1f9d"
LEASE_URI = f"spiffe://{DOMAIN}/lease/{LEASE}"
BOOTSTRAP_URI = f"spiffe://{DOMAIN}/bootstrap/{LEASE}"
CLIENT_URI = f"spiffe://{DOMAIN}/ns/prod/iw/chat"
OPERATOR, LEASES = Authority("operator"), Authority("lease")
OPERATOR_CLIENT = OPERATOR.issue(f"spiffe://{DOMAIN}/operator")
WORKLOAD_CLIENT = OPERATOR.issue(CLIENT_URI)
CONSOLE_CLIENT = OPERATOR.issue(f"{CLIENT_URI}/console")
SECONDS = 45.0  # nothing takes that long but on a machine that is very busy
PYTHON = sys.executable
SERVE = """
import http.server, os, signal, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        folder = os.environ.get("GARRISON_SECRETS", "")
        names = {"/env": lambda: os.environ.get("TOKEN", ""),
                 "/file": lambda: open(folder + "/token.txt").read(),
                 "/environ": lambda: "\\n".join(sorted(os.environ)),
                 "/metrics": lambda: "up 1\\n"}
        body = names.get(self.path, lambda: "pid %d" % os.getpid())().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        print("served", self.path, flush=True)
signal.signal(signal.SIGHUP, lambda *a: print("hangup", flush=True))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
"""


@functools.cache
def archive() -> bytes:
    """Return the zipapp, read once."""
    return packed()


class Refused(Exception):  # noqa: N818
    """The sentinel's refusal."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {answer}")
        self.status, self.reason = status, answer["reason"]
        self.message = answer["message"]


class AgentProcess:
    """``python3 sentinel.pyz run``; a context manager. Sealed until ``enrol``."""

    def __init__(
        self,
        folder: Path,
        *,
        egress: Mapping[str, Any] | None = None,
        options: tuple[str, ...] = (),
        python: str = PYTHON,
        flags: tuple[str, ...] = (),
        environment: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.data, self.control, self.port = free_ports(3)
        self.born = LEASES.issue(BOOTSTRAP_URI, usage=SERVER)
        self.bootstrap: dict[str, Any] = {
            "version": 1,
            "lease": LEASE,
            "namespace": "prod",
            "workload": "chat",
            "trustDomain": DOMAIN,
            "operatorCAs": [OPERATOR.pem],
            "certificate": self.born.certificate,
            "key": self.born.key,
            "dataPort": self.data,
            "controlPort": self.control,
            "egress": {"version": 1, "spec": dict(egress or {"requireEnforced": False})},
        }
        self.archive = folder / "sentinel.pyz"
        self.archive.write_bytes(archive())
        self.digest = hashlib.sha256(archive()).hexdigest()
        self._options = "--listen", "127.0.0.1", *options
        self._python = python, *flags
        self._environment = ("PATH", *environment)
        self.stderr = folder / "stderr.txt"

    def __enter__(self) -> Self:
        encoded = base64.b64encode(json.dumps(self.bootstrap).encode()).decode()
        with self.stderr.open("wb") as log:
            self.process = subprocess.Popen(
                [*self._python, "-I", "-S", str(self.archive), "run", *self._options],
                env={
                    **{name: os.environ[name] for name in self._environment},
                    "GARRISON_BOOTSTRAP": encoded,
                },
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        try:
            until(self._answers)
        except BaseException:
            self.process.kill()
            sys.stderr.write(self.stderr.read_text())
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(SECONDS)
            finally:
                self.process.kill()
                self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.stderr.read_text()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.control)) == 0

    # -- the control port

    def context(self, client: Issued | None = OPERATOR_CLIENT) -> ssl.SSLContext:
        return client_context(LEASES.pem, client, self.folder)

    def connection(self, client: Issued | None = OPERATOR_CLIENT) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.control, context=self.context(client), timeout=SECONDS
        )

    def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        client: Issued = OPERATOR_CLIENT,
    ) -> tuple[int, bytes]:
        connection = self.connection(client)
        try:
            encoded = body if isinstance(body, bytes) or body is None else json.dumps(body)
            connection.request(method, path, encoded, headers=dict(headers or {}))
            response = connection.getresponse()
            assert len(response.headers["Garrison-Instance"]) == 32
            return response.status, response.read()
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the JSON answer. Raises Refused."""
        status, data = self.raw(method, path, body)
        answer: dict[str, Any] = json.loads(data)
        if status != 200:
            raise Refused(status, answer)
        return answer

    def status(self) -> dict[str, Any]:
        return self.call("GET", "/v1/status")

    def presented(self) -> x509.Certificate:
        with (
            socket.create_connection(("127.0.0.1", self.control), timeout=SECONDS) as raw,
            self.context().wrap_socket(raw) as secured,
        ):
            return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")

    def request(self) -> x509.CertificateSigningRequest:
        answer = self.call("POST", "/v1/enrol", {"nonce": secrets.token_hex(32)})
        return x509.load_pem_x509_csr(answer["csr"].encode())

    def enrol(self) -> dict[str, Any]:
        """Sign the request, install the certificate; returns the answer."""
        key = self.request().public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        body = {"certificate": LEASES.sign(key, LEASE_URI), "operatorCAs": [OPERATOR.pem]}
        return self.call("PUT", "/v1/certificate", body)

    def launch(self, **changes: Any) -> dict[str, Any]:
        argv = [PYTHON, "-c", SERVE, str(self.port)]
        env = {"PATH": os.environ["PATH"]}
        return {"argv": argv, "env": env, "port": self.port, "drainSeconds": 5, **changes}

    def start(self, **changes: Any) -> dict[str, Any]:
        answer = self.call("POST", "/v1/start", self.launch(**changes))
        if "argv" not in changes:
            until(lambda: self.get() != "")
        return answer

    # -- the data port

    def get(self, path: str = "/") -> str:
        """Return the workload's answer over mutual TLS; empty while it does not serve."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.data, context=self.context(WORKLOAD_CLIENT), timeout=SECONDS
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    @contextmanager
    def lines(self, path: str) -> Iterator[Iterator[dict[str, Any]]]:
        """Yield the JSON lines of a streamed answer."""
        connection = self.connection()
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            yield (json.loads(line) for line in response if line.strip())
        finally:
            response.close()
            connection.close()


def verified(key: x509.Certificate | ec.EllipticCurvePublicKey, proof: str, text: str) -> None:
    """Fails with InvalidSignature unless ``proof`` is the key's over ``text``."""
    public = key.public_key() if isinstance(key, x509.Certificate) else key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(proof), text.encode(), ec.ECDSA(hashes.SHA256()))


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until it holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
