"""The recorded calls of a tenant to a provider's gateway once more, against another gateway."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from akash_proto.schema.akash_deployment_v1beta4_pb2 import (
    MsgCloseDeployment,
    MsgCreateDeployment,
    MsgUpdateDeployment,
)
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCreateLease
from akash_proto.schema.cosmos_bank_v1beta1_pb2 import MsgSend
from akash_proto.wire import decode
from akash_sandbox.sdl.canonical import manifest_hash
from tests.conformance.akash.chain_client import Key, Node, Wish, named

Json = dict[str, Any]

VECTOR = Path(__file__).parent / "vectors" / "v20-gpu-model-ram-interface"
SERVICE = "vllm"
FULL = {"access": "full"}
_STREAM_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back: an HTTP answer, or a stream's frames and how it ended."""

    status: int = 0
    type: str | None = None
    body: str = ""
    frames: tuple[str | bytes, ...] = ()
    closed: Any = None


def token(
    key: Key,
    leases: Json,
    *,
    ttl: int = 300,
    backdate: int = 5,
    header: Json | None = None,
    **claims: Any,
) -> str:
    """Return a token as the recording's client made it, wrong ones included."""
    now = int(time.time())
    body = {
        "iss": key.address,
        "iat": now - backdate,
        "nbf": now - backdate,
        "exp": now + ttl,
        "version": "v1",
        "leases": leases,
        **claims,
    }
    text = f"{_part(header or {'alg': 'ES256K', 'typ': 'JWT'})}.{_part(body)}"
    return f"{text}.{_text(key.private.sign(text.encode()))}"


@dataclass(slots=True, kw_only=True)
class GatewayReplay:
    """Rents from one provider over the chain, and makes every recorded call to its gateway."""

    node: Node
    provider: str
    url: str
    session: aiohttp.ClientSession
    heard: dict[str, Heard] = field(default_factory=dict)
    dseq: int = 0
    tenant: Key = field(default_factory=lambda: named("tenant"))
    stranger: Key = field(default_factory=lambda: named("stranger"))
    nobody: Key = field(default_factory=lambda: named("nobody"))

    async def run(self) -> dict[str, Heard]:
        """Make the calls in the recorded order; return what was heard by name."""
        for path in ("version", "address", "status"):
            await self._call(path, "GET", f"/{path}")
        await self._rent()
        await self._tokens()
        await self._bodies()
        await self._reads()
        await self._logs()
        await self._shells()
        await self._change()
        return self.heard

    async def rent(self) -> int:
        """Rent once more, and send no manifest; return the dseq."""
        dseq = await self.create()
        await self.take(dseq)
        return dseq

    async def asked(self, path: str, dseq: int) -> Any:
        """Return what the chain says of a deployment or its lease."""
        owner, key = self.tenant.address, f"&id.gseq=1&id.oseq=1&id.provider={self.provider}"
        query = f"{path}?id.owner={owner}&id.dseq={dseq}{key if 'leases' in path else ''}"
        return (await asyncio.to_thread(self.node.get, query))[1]

    @property
    def lease(self) -> str:
        return f"/lease/{self.dseq}/1/1"

    @property
    def manifest(self) -> bytes:
        return (VECTOR / "manifest.json").read_bytes()

    def granular(
        self, *scope: str, services: Sequence[str] = (SERVICE,), dseq: int = 0, provider: str = ""
    ) -> Json:
        """Return the rights for one deployment at one provider."""
        deployment = {"dseq": dseq or self.dseq, "scope": list(scope), "services": list(services)}
        permission = {
            "provider": provider or self.provider,
            "access": "granular",
            "deployments": [deployment],
        }
        return {"access": "granular", "permissions": [permission]}

    async def create(self) -> int:
        """Post the vector's deployment over the chain; return its dseq."""
        raw = bytes.fromhex((VECTOR / "msg_create_deployment.hex").read_text().strip())
        message = decode(MsgCreateDeployment, raw)
        message.id.owner, message.id.dseq = self.tenant.address, int(time.time() * 1000)
        message.deposit.amount.denom, message.deposit.amount.amount = "uact", "5000000"
        for group in message.groups:
            for unit in group.resources:
                unit.price.denom = "uact"
        await asyncio.to_thread(self.node.send, self.tenant, [message], Wish(ttl=60))
        return int(message.id.dseq)

    async def take(self, dseq: int) -> None:
        """Lease from the provider as soon as it has bid."""
        path = (
            "/akash/market/v1beta5/bids/list?filters.state=open"
            f"&filters.owner={self.tenant.address}&filters.dseq={dseq}"
        )
        for _ in range(200):
            if (await asyncio.to_thread(self.node.get, path))[1]["bids"]:
                break
            await asyncio.sleep(0.05)
        message = MsgCreateLease()
        message.bid_id.owner, message.bid_id.dseq = self.tenant.address, dseq
        message.bid_id.gseq = message.bid_id.oseq = 1
        message.bid_id.provider = self.provider
        await asyncio.to_thread(self.node.send, self.tenant, [message], Wish(ttl=60))

    async def _rent(self) -> None:
        send = MsgSend(from_address=self.stranger.address, to_address=self.tenant.address)
        send.amount.add(denom="uakt", amount="1")
        # A gateway knows an account's key only after its first transaction.
        await asyncio.to_thread(self.node.send, self.stranger, [send], Wish(ttl=60))
        self.dseq = await self.create()
        await self._put("manifest-before-lease", token(self.tenant, FULL))
        await self.take(self.dseq)
        await self._running()
        await self._call(
            "status-before-manifest", "GET", f"{self.lease}/status", token(self.tenant, FULL)
        )

    async def _running(self) -> None:
        """Wait until the provider has started what it was sent before the lease."""
        for _ in range(200):
            heard = await self._call("", "GET", f"{self.lease}/status", token(self.tenant, FULL))
            if heard.status == 200 and json.loads(heard.body)["services"][SERVICE]["available"]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the manifest that came before the lease was not kept")

    async def _tokens(self) -> None:
        key = self.tenant
        deployment = {"dseq": self.dseq, "scope": ["send-manifest"]}
        incomplete = {
            "access": "granular",
            "permissions": [
                {"provider": self.provider, "access": "granular", "deployments": [deployment]}
            ],
        }
        await self._put("no-token", None)
        await self._put("header-not-bearer", None, Authorization="Basic abc")
        other = named("stranger").address
        for name, text in {
            "garbage-token": "a.b.c",
            "expired": token(key, FULL, ttl=-60, backdate=120),
            "not-yet-valid": token(key, FULL, backdate=-60),
            "signed-by-other": token(self.stranger, FULL, iss=key.address),
            "unknown-account": token(self.nobody, FULL),
            "alg-es256": token(key, FULL, header={"alg": "ES256", "typ": "JWT"}),
            "alg-none": token(key, FULL, header={"alg": "none", "typ": "JWT"}),
            "version-v2": token(key, FULL, version="v2"),
            "extra-claim": token(key, FULL, sub="x"),
            "with-jti": token(key, self.granular("status"), jti="abc"),
            "with-aud": token(key, FULL, aud=self.provider),
            "wrong-scope": token(key, self.granular("status")),
            "wrong-dseq": token(key, self.granular("send-manifest", dseq=self.dseq + 1)),
            "wrong-provider": token(key, self.granular("send-manifest", provider=other)),
            "no-services-in-permission": token(key, incomplete),
            "unknown-scope": token(key, self.granular("send-manifest", "fly")),
            "full-with-scope": token(key, {"access": "full", "scope": ["logs"]}),
            "stranger-token": token(self.stranger, FULL),
        }.items():
            await self._put(name, text)

    async def _bodies(self) -> None:
        full = token(self.tenant, FULL)
        await self._put("not-json", full, b"{nope")
        await self._put("empty-manifest", full, b"[]")
        await self._put("hash-mismatch", full, self._edited())
        path = "/deployment/abc/manifest"
        await self._call("bad-dseq", "PUT", path, full, self.manifest)
        scopes = ("send-manifest", "get-manifest", "status", "logs", "events", "shell")
        pretty = json.dumps(json.loads(self.manifest)[::-1], indent=2).encode()
        rights = token(self.tenant, self.granular(*scopes))
        await self._put("manifest-accepted-granular-reformatted", rights, pretty)
        await self._put("manifest-again", full)

    async def _reads(self) -> None:
        rights, full = self._rights(), token(self.tenant, FULL)
        scoped = token(self.tenant, {"access": "scoped", "scope": ["status"]})
        only_logs = token(self.tenant, self.granular("logs"))
        status = f"{self.lease}/status"
        for name, path, text in (
            ("manifest-get", f"{self.lease}/manifest", rights),
            ("lease-status", status, rights),
            ("lease-status-scoped", status, scoped),
            ("lease-status-no-scope", status, only_logs),
            ("lease-status-wrong-gseq", f"/lease/{self.dseq}/2/1/status", full),
            ("service-status", f"{self.lease}/service/{SERVICE}/status", rights),
            ("service-status-unknown", f"{self.lease}/service/ghost/status", rights),
            ("not-found-path", "/nothing", full),
            ("not-found-path-no-token", "/nothing", None),
        ):
            await self._call(name, "GET", path, text)
        path = f"/deployment/{self.dseq}/manifest"
        await self._call("wrong-method", "POST", path, full, self.manifest)

    async def _logs(self) -> None:
        rights, logs = self._rights(), f"{self.lease}/logs"
        no_scope = token(self.tenant, self.granular("status"))
        other = token(self.tenant, self.granular("logs", services=("other",)))
        events = f"{self.lease}/kubeevents"
        unknown = f"/lease/{self.dseq}/1/9/logs"
        for name, path, text in (
            ("logs", f"{logs}?follow=false&tail=-1", rights),
            ("logs-follow", f"{logs}?follow=true&tail=1", rights),
            ("logs-service-filter", f"{logs}?follow=false&service=ghost", rights),
            ("logs-tail-bad", f"{logs}?follow=false&tail=-2", rights),
            ("logs-no-scope", logs, no_scope),
            ("logs-other-service", f"{logs}?follow=false", other),
            ("logs-lease-unknown", unknown, token(self.tenant, FULL)),
            ("events", f"{events}?follow=false", rights),
            ("events-follow", f"{events}?follow=true", rights),
        ):
            await self._stream(name, path, text)

    async def _shells(self) -> None:
        shells: dict[str, Json] = {
            "shell-echo": {},
            "shell-stderr-exit": {"cmd0": "warn"},
            "shell-exit-1": {"cmd0": "false"},
            "shell-no-command": {"cmd0": "nonesuch"},
            "shell-bad-pod": {"podIndex": 9},
            "shell-unknown-service": {"service": "ghost"},
        }
        for name, changes in shells.items():
            await self._stream(name, self._shell(**changes), self._rights())
        short = f"{self.lease}/shell?cmd0=echo&service={SERVICE}&podIndex=0&tty=0"
        await self._stream("shell-missing-param", short, self._rights())
        typed = bytes([104]) + b"typed\n"
        await self._stream("shell-stdin", self._shell(cmd0="cat", stdin=1), self._rights(), typed)
        resized = bytes([105]) + struct.pack(">HH", 120, 40)
        path = self._shell(cmd0="cat", stdin=1, tty=1)
        await self._stream("shell-tty-resize", path, self._rights(), resized, bytes([104]) + b"x")

    async def _change(self) -> None:
        """Change the manifest on the chain first, then at the gateway; then close."""
        full, edited = token(self.tenant, FULL), self._edited()
        update = MsgUpdateDeployment(hash=manifest_hash(json.loads(edited)))
        update.id.owner, update.id.dseq = self.tenant.address, self.dseq
        await asyncio.to_thread(self.node.send, self.tenant, [update], Wish(ttl=60))
        for name in ("update-at-once", "update-retry"):
            await self._put(name, full, edited)
        await self._put("old-manifest-after-update", full)
        close = MsgCloseDeployment(id=update.id)
        await asyncio.to_thread(self.node.send, self.tenant, [close], Wish(ttl=60))
        await self._call("status-after-close", "GET", f"{self.lease}/status", full)
        await self._put("manifest-after-close", full, edited)

    def _rights(self) -> str:
        scopes = ("status", "logs", "events", "shell", "get-manifest")
        return token(self.tenant, self.granular(*scopes))

    def _edited(self) -> bytes:
        return self.manifest.replace(b"HF_HOME=/models", b"HF_HOME=/other")

    def _shell(self, **changes: Any) -> str:
        asked = {"cmd0": "echo", "cmd1": "hello world", "service": SERVICE, "podIndex": 0}
        return f"{self.lease}/shell?{urlencode({**asked, 'tty': 0, 'stdin': 0, **changes})}"

    async def _put(
        self,
        name: str,
        text: str | None,
        body: bytes | None = None,
        **headers: str,
    ) -> None:
        path = f"/deployment/{self.dseq}/manifest"
        await self._call(name, "PUT", path, text, body or self.manifest, **headers)

    async def _call(
        self,
        name: str,
        method: str,
        path: str,
        text: str | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> Heard:
        sent = {**headers, **_bearer(text)}
        async with self.session.request(
            method, self.url + path, data=body, headers=sent, skip_auto_headers=["Content-Type"]
        ) as answer:
            heard = Heard(
                status=answer.status,
                type=answer.headers.get("Content-Type"),
                body=await answer.text(),
            )
        if name:
            self.heard[name] = heard
        return heard

    async def _stream(self, name: str, path: str, text: str, *send: bytes) -> None:
        """Listen until the server ends the stream, or for a moment."""
        try:
            socket = await self.session.ws_connect(self.url + path, headers=_bearer(text))
        except aiohttp.WSServerHandshakeError as error:
            self.heard[name] = Heard(status=error.status)
            return
        for frame in send:
            await socket.send_bytes(frame)
        frames: list[str | bytes] = []
        closed: Any = "still open"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STREAM_SECONDS):
                while closed == "still open":
                    message = await socket.receive()
                    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        frames.append(message.data)
                    elif message.type is aiohttp.WSMsgType.CLOSE:
                        closed = [message.data, message.extra or ""]
                    else:
                        closed = [None, "no close frame"]
        await socket.close()
        self.heard[name] = Heard(frames=tuple(frames), closed=closed)


def _bearer(text: str | None) -> dict[str, str]:
    return {} if text is None else {"Authorization": f"Bearer {text}"}


def _part(value: Json) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
