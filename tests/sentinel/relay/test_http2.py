"""HTTP/2 through the relay, by Go's own server and client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sentinel.relay.relay_process import CLIENT, LEASE, RelayProcess

PROGRAM = Path(__file__).parent / "http2" / "main.go"


@pytest.mark.skipif(not shutil.which("go"), reason="no Go to build an HTTP/2 client with")
@pytest.mark.long
@pytest.mark.timeout(300)
def test_many_bodies_share_one_connection(tmp_path: Path) -> None:
    client, authority = CLIENT.write(tmp_path / "go-client.pem"), tmp_path / "ca.pem"
    authority.write_text(LEASE.pem)
    with RelayProcess(tmp_path) as relay:
        relay.workload.close()
        addresses = [f"127.0.0.1:{port}" for port in (relay.upstream, relay.port)]
        command = ["go", "run", str(PROGRAM), *addresses, str(client), str(authority)]
        ran = subprocess.run(
            [*command, "50", "300000"], capture_output=True, text=True, check=False
        )
        assert ran.stdout == "50 equal, 1 connections\n", ran.stderr
