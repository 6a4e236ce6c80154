"""One provider's gateway, served by a program that is given: ``GATEWAY_BIN=/path/to/program``.

What such a program is told, and what it must do, is in docs/testing.md.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from akash_sandbox.tls import Authority
from tests.akash_node.ground import secret_of
from tests.akash_node.node_process import CHAIN_ID
from tests.ports import free_port

BIN = "GATEWAY_BIN"
START_SECONDS = 90
STOP_SECONDS = 20


class GatewayProcess:
    """The program with a folder of its own, for the provider of a name; it can be started again.

    ``authority`` signs for what the web sees; without one there is but the provider's certificate.
    """

    def __init__(self, folder: Path, rpc: str, name: str, authority: Authority | None) -> None:
        folder.mkdir()
        self.host = f"{name}.example"
        web = "" if authority is None else str(authority.server_identity(name, [self.host]))
        self.port = free_port()
        self._program = os.environ[BIN]
        self._name = name
        self._log = folder / "gateway.log"
        self._environment = {
            **os.environ,
            "GATEWAY_RPC": rpc,
            "GATEWAY_CHAIN_ID": CHAIN_ID,
            "GATEWAY_KEY": secret_of(name),
            "GATEWAY_HOST": self.host,
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_HOME": str(folder),
            "GATEWAY_WEB_CERTIFICATE": web,
        }
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def certificate(self) -> bytes:
        """Have the provider's certificate made; return what the program printed, PEM in it."""
        done = subprocess.run(
            [self._program, "certificate"],
            capture_output=True,
            timeout=START_SECONDS,
            check=False,
            env=self._environment,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, f"{self._program} certificate: exit {done.returncode}\n{said}"
        return done.stdout

    def start(self) -> None:
        """Start the gateway, and wait until it speaks TLS."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [self._program, "serve"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )
        until = time.monotonic() + START_SECONDS
        while not self._speaks():
            assert self.is_running, f"the gateway of {self._name} ended:\n{self._tail()}"
            assert time.monotonic() < until, f"no gateway at {self.port}:\n{self._tail()}"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a machine that disappears."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def stop(self) -> None:
        """End it by SIGTERM; AssertionError where it does not heed that."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the gateway of {self._name} did not end within {STOP_SECONDS} s of SIGTERM"
            ) from None

    def _speaks(self) -> bool:
        with suppress(OSError):
            ssl.get_server_certificate(("127.0.0.1", self.port), timeout=5)
            return True
        return False

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])
