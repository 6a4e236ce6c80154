"""``make bench``: the sentinel's start, enrolment and memory, and its hashing beside OpenSSL's.

Figures are printed, and gate nothing.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.table import Table

from devenv.bench_processes import cpu_seconds, free_port, kibibytes, wait_for
from devenv.bench_pythons import Interpreter, begin_with_pythons
from devenv.sentinel import write
from garrison.adapters.sentinel import certificates
from sentinel.agent.integrity import Survey

STARTS, HASHES, MEBIBYTES = 9, 7, 256
_DOMAIN, _LEASE = "bench", "c"
_SECONDS = 60
_MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of our own in it


class Stage:
    """A bootstrap as the operator would hand it over, and the operator's own client."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._now = folder, datetime.now(UTC)
        self._leases = certificates.new_authority("leases", self._now)
        self._operators = certificates.new_authority("operators", self._now)
        self._archive = write(folder / "sentinel.pyz")
        self._client = folder / "operator.pem"
        key = certificates.new_key()
        subject = self._subject("operator")
        issued = certificates.client_certificate(
            self._operators, key.public_key(), subject, self._now
        )
        self._client.write_text(certificates.key_pem(key) + certificates.pem(issued))

    def _subject(self, path: str) -> certificates.Subject:
        until = self._now + timedelta(hours=12)
        return certificates.Subject(uri=f"spiffe://{_DOMAIN}/{path}", until=until)

    def _server(self, key: ec.EllipticCurvePublicKey, path: str) -> str:
        subject = self._subject(path)
        issued = certificates.server_certificate(self._leases, key, subject, self._now)
        return certificates.pem(issued)

    @contextmanager
    def started(self, python: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Run the zipapp by a Python; its control port is given, and may not be open yet."""
        key, ports = certificates.new_key(), (free_port(), free_port())
        bootstrap = {
            "version": 1,
            "lease": _LEASE,
            "namespace": "a",
            "workload": "b",
            "trustDomain": _DOMAIN,
            "operatorCAs": [certificates.pem(self._operators.certificate)],
            "certificate": self._server(key.public_key(), f"bootstrap/{_LEASE}"),
            "key": certificates.key_pem(key),
            "dataPort": ports[0],
            "controlPort": ports[1],
            "egress": {"version": 0, "spec": {}},
        }
        env = {"GARRISON_BOOTSTRAP": base64.b64encode(json.dumps(bootstrap).encode()).decode()}
        command = [python, "-I", "-S", str(self._archive), "run", "--listen", "127.0.0.1"]
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
            try:
                yield process, ports[1]
            finally:
                process.terminate()

    def enrol(self, port: int) -> None:
        """Enrol as the operator does: ask for a request, sign it, hand the certificate over."""
        answer = self._call(port, "POST", "/v1/enrol", {"nonce": secrets.token_hex(32)})
        key = x509.load_pem_x509_csr(answer["csr"].encode()).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            sys.exit("the sentinel asks for another kind of key")
        body = {
            "certificate": self._server(key, f"lease/{_LEASE}"),
            "operatorCAs": [certificates.pem(self._operators.certificate)],
        }
        self._call(port, "PUT", "/v1/certificate", body)

    def _call(self, port: int, method: str, path: str, body: object) -> dict[str, Any]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the identity is a URI
        context.load_verify_locations(cadata=certificates.pem(self._leases.certificate))
        context.load_cert_chain(self._client)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=context, timeout=_SECONDS
        )
        try:
            connection.request(method, path, json.dumps(body))
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            sys.exit(f"{path}: {response.status} {answer}")
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one start took: seconds, seconds of CPU, and KiB of memory."""

    ready: float
    ready_cpu: float
    enrolment_cpu: float
    memory: int


def life(stage: Stage, python: str) -> Life:
    """Return what one start and enrolment take by a Python."""
    began = time.monotonic()
    with stage.started(python) as (process, port):
        wait_for(port, process)
        ready = time.monotonic() - began
        cpu = cpu_seconds(process.pid)
        stage.enrol(port)
        enrolment = cpu_seconds(process.pid) - cpu
        return Life(
            ready=ready,
            ready_cpu=cpu,
            enrolment_cpu=enrolment,
            memory=kibibytes(process.pid),
        )


def start(folder: Path, pythons: Sequence[Interpreter]) -> Table:
    """Return the sentinel's start, enrolment and memory by each Python, in turns."""
    stage = Stage(folder)
    rounds = [[life(stage, str(each.path)) for each in pythons] for _ in range(STARTS)]
    title = f"The sentinel's start, {STARTS} times"
    table = Table("Python", "", "median", "most", "goal", title=title)
    for python, lives in zip(pythons, zip(*rounds, strict=True), strict=True):
        _add_lives(table, str(python), lives)
    return table


def _add_lives(table: Table, python: str, lives: Sequence[Life]) -> None:
    for shown, goal, unit, values in (
        ("until ready to enrol", "150 ms", "ms", [each.ready * 1e3 for each in lives]),
        ("CPU until then", "", "ms", [each.ready_cpu * 1e3 for each in lives]),
        ("CPU of the enrolment", "50 ms", "ms", [each.enrolment_cpu * 1e3 for each in lives]),
        ("memory, all processes", "30 MB", "MB", [each.memory * 1024 / 1e6 for each in lives]),
    ):
        median = statistics.median(values)
        table.add_row(python, shown, f"{median:.1f} {unit}", f"{max(values):.1f} {unit}", goal)
    table.add_section()


def hashing(folder: Path) -> Table | None:
    """Return SHA-256 of one file by both, in turns; None where there is no ``openssl``."""
    openssl = shutil.which("openssl")
    if openssl is None:
        sys.stderr.write("without hashing: openssl is not here\n")
        return None
    path = folder / "weights"
    path.write_bytes(os.urandom(1 << 20) * MEBIBYTES)
    rates: dict[str, list[float]] = {"sentinel": [], "openssl dgst -sha256": []}
    for _ in range(HASHES):
        began = time.process_time()
        ours = Survey().digest(str(path))
        rates["sentinel"].append(_rate(time.process_time() - began))
        before = os.times()
        command = [openssl, "dgst", "-sha256", "-r", str(path)]
        theirs = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        after = os.times()
        spent = after.children_user + after.children_system
        spent -= before.children_user + before.children_system
        rates["openssl dgst -sha256"].append(_rate(spent))
        if theirs.split()[0] != ours:
            sys.exit(f"the digests differ: {ours} {theirs}")
    table = Table("", "GB/CPU s", "of openssl", "goal", title=f"SHA-256 of {MEBIBYTES} MiB")
    pairs = zip(*rates.values(), strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    for name, values in rates.items():
        beside = (f"{ratio:.2f}x", ">= 0.9x") if name == "sentinel" else ("", "")
        table.add_row(name, f"{statistics.median(values):.2f}", *beside)
    return table


def _rate(seconds: float) -> float:
    return MEBIBYTES * (1 << 20) / 1e9 / max(seconds, 1e-9)


def main() -> int:
    pythons = begin_with_pythons("devenv.bench_sentinel", __doc__)
    console = Console()
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="garrison-bench-", dir=place) as folder:
        console.print(start(Path(folder), pythons))
        if table := hashing(Path(folder)):
            console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
