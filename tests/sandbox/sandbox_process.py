"""A real sandbox process, and a tenant who talks to it over HTTPS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

import akash_sandbox
from akash_sandbox.client import SandboxAdmin

Json = dict[str, Any]

SDL = """
version: "2.0"
services:
  model:
    image: registry.test/model@sha256:{digest}
    env: [SYNTHETIC_TOKENS_PER_SECOND=400, SYNTHETIC_TTFT_MS=5, {env}]
    expose: [{{port: 8000, as: 8000, to: [{{global: true}}]}}]
profiles:
  compute:
    model:
      resources:
        cpu: {{units: 1}}
        memory: {{size: 1Gi}}
        storage: {{size: 1Gi}}
        gpu: {{units: 1, attributes: {{vendor: {{nvidia: [{{model: {gpu}}}]}}}}}}
  placement:
    garrison-a1b2: {{pricing: {{model: {{denom: uakt, amount: {ceiling}}}}}}}
deployment: {{model: {{garrison-a1b2: {{profile: model, count: 1}}}}}}
"""
GROUP = "garrison-a1b2"


def sdl(*, env: str = "A=b", gpu: str = "h100", ceiling: int = 100_000) -> str:
    """Return a deployment of one model on one GPU; the ceiling is in uact per block."""
    return SDL.format(digest="0" * 64, env=env, gpu=gpu, ceiling=ceiling)


@dataclass(slots=True)
class SandboxProcess:
    """One data folder, and the process that serves it at the moment."""

    folder: Path
    config: str
    console: str = ""
    ca_file: str = ""
    admin_url: str = ""
    api_key: str = ""
    child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process and wait for its ready line."""
        self.folder.mkdir(exist_ok=True)
        config = self.folder.with_suffix(".yaml")
        config.write_text(self.config)
        package = Path(akash_sandbox.__file__).parent
        command = [sys.executable, "-m", "akash_sandbox", "serve", "--port", "0"]
        self.child = subprocess.Popen(
            [*command, "--data-dir", str(self.folder), "--config", str(config)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(package.parent)},
        )
        assert self.child.stdout is not None
        line = self.child.stdout.readline().split()
        assert line[:1] == ["ready"], f"the sandbox ended with {self.child.wait(10)}"
        _, self.console, self.ca_file, self.admin_url, self.api_key = line

    @property
    def chain_url(self) -> str:
        """Where the chain's first node answers."""
        ports = json.loads((self.folder / "server-ports.json").read_text())
        scheme = "http" if "tls: false" in self.config else "https"
        return f"{scheme}://localhost:{ports['chain/node-1']}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process with a signal; return its exit status."""
        child, self.child = self.child, None
        assert child is not None
        child.send_signal(number)
        with child:
            return child.wait(20)

    def admin(self) -> SandboxAdmin:
        return SandboxAdmin(self.admin_url, (self.folder / "admin-token").read_text())

    def tenant(self) -> Tenant:
        return Tenant(self)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    text: str
    json: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """A lease with its manifest handed over."""

    dseq: str
    manifest: str
    lease: Json
    host_uri: str
    token: str

    @property
    def provider(self) -> str:
        return str(self.lease["provider"])

    @property
    def status_url(self) -> str:
        return f"{self.host_uri}/lease/{self.dseq}/1/1/status"


class Tenant:
    """Speaks to the Console and to gateways, with certificates verified."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._sandbox = sandbox
        self._sockets: list[socket.socket] = []
        context = ssl.create_default_context(cafile=sandbox.ca_file)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context, force_close=True, socket_factory=self._socket
            ),
            timeout=aiohttp.ClientTimeout(total=10),
        )

    async def __aenter__(self) -> Tenant:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        # TLS says goodbye after the session is closed; the loop must not end before.
        while self._is_connected():  # noqa: ASYNC110 - a closing socket tells no event
            await asyncio.sleep(0.01)

    def _is_connected(self) -> bool:
        return any(opened.fileno() != -1 for opened in self._sockets)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        self._sockets.append(opened)
        return opened

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call the Console; without headers given, with the right key."""
        sent = headers or {"x-api-key": self._sandbox.api_key}
        return await self.send(method, self._sandbox.console + path, body, sent)

    async def send(
        self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Call any server of the sandbox."""
        kind = "data" if isinstance(body, str) else "json"
        async with self.session.request(method, url, **{kind: body}, headers=headers) as response:
            text = await response.text()
            is_json = response.content_type == "application/json" and text
            return Reply(response.status, text, await response.json() if is_json else None)

    async def create(self, document: str, deposit: float = 5.0) -> Json:
        """Post a deployment; return the answer's data."""
        reply = await self.call(
            "POST", "/v1/deployments", {"data": {"sdl": document, "deposit": deposit}}
        )
        assert reply.status == 201, reply.text
        created: Json = reply.json["data"]
        return created

    async def bids(self, dseq: str) -> list[Json]:
        reply = await self.call("GET", f"/v1/bids?dseq={dseq}")
        return [bid["bid"] for bid in reply.json["data"]]

    async def deployment(self, dseq: str) -> Json:
        found: Json = (await self.call("GET", f"/v1/deployments/{dseq}")).json["data"]
        return found

    async def close(self, dseq: str) -> None:
        assert (await self.call("DELETE", f"/v1/deployments/{dseq}")).status == 200

    async def token(self, provider: str, dseq: str, *scopes: str) -> str:
        """Return a token for one deployment at one provider."""
        permission = {
            "provider": provider,
            "access": "granular",
            "deployments": [
                {"dseq": int(dseq), "scope": list(scopes), "services": ["model"]},
            ],
        }
        leases = {"access": "granular", "permissions": [permission]}
        reply = await self.call(
            "POST", "/v1/create-jwt-token", {"data": {"ttl": 300, "leases": leases}}
        )
        assert reply.status == 201, reply.text
        return str(reply.json["data"]["token"])

    async def rent(self, document: str | None = None, deposit: float = 5.0) -> Rented:
        """Create, take the cheapest bid, and send the manifest through the Console."""
        created = await self.create(document or sdl(), deposit)
        dseq = created["dseq"]
        bid = min(await self.bids(dseq), key=lambda b: float(b["price"]["amount"]))
        lease = {k: bid["id"][k] for k in ("dseq", "gseq", "oseq", "provider")}
        reply = await self.call(
            "POST", "/v1/leases", {"manifest": created["manifest"], "leases": [lease]}
        )
        assert reply.status == 200, reply.text
        record = (await self.call("GET", f"/v1/providers/{lease['provider']}")).json
        return Rented(
            dseq=dseq,
            manifest=created["manifest"],
            lease=lease,
            host_uri=record["hostUri"],
            token=await self.token(lease["provider"], dseq, "status", "send-manifest"),
        )

    async def status(self, rented: Rented) -> Reply:
        """Ask the lease's gateway how it is."""
        return await self.send("GET", rented.status_url, headers=bearer(rented.token))

    async def model_url(self, rented: Rented) -> str:
        """Wait until the model runs; return where it answers."""
        while True:
            status = (await self.status(rented)).json
            if status["services"]["model"]["available"]:
                port = status["forwarded_ports"]["model"][0]
                return f"http://{port['host']}:{port['externalPort']}"
            await asyncio.sleep(0.02)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
