"""A provider that keeps the container, its key and a certificate that is still good, after the lease ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import aiohttp
import pytest

from garrison.adapters.net.screen import NetScreen
from garrison.adapters.sentinel.certificates import (
    Subject,
    fingerprint,
    key_pem,
    new_key,
    server_certificate,
)
from garrison.api.lease import EndpointStatus, Lease, SentinelStatus
from garrison.api.meta import LEASE
from garrison.api.workload import ClientStatus, WorkloadStatus
from garrison.cli.backends import Follower
from garrison.cli.connect import _cut, _serving, _ways
from garrison.cli.passport import Passport
from garrison.cli.proxy import Proxy
from garrison.core.identity import identity_of
from garrison.ports.identity import client_turn, client_until, lease_dns, lease_id
from sentinel.tls.context import server_context
from tests.builders import lease, workload
from tests.unit.adapters.sentinel.trust import DOMAIN, Trust, trust
from tests.unit.cli.cluster import Cluster, document, secret
from tests.unit.cli.test_proxy import CHUNK, END, HEAD, Replica, Script, endless, whole

IDENTITY = "chat-client-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Replicas behind mutual TLS, and what ``garrison connect`` consists of."""

    trust: Trust
    cluster: Cluster
    stack: AsyncExitStack
    follower: Follower
    proxy: Proxy

    async def replica(self, name: str, uid: str, script: Script) -> Replica:
        """Serve as a Ready replica."""
        replica = Replica(name, script)
        made = lease("Ready", name=name, uid=uid)
        chain, key, pin = await self._certified(made)
        clients = [(await self.trust.operator.current()).bundle]
        server = await asyncio.start_server(
            replica.serve, "127.0.0.1", 0, ssl=server_context(chain, key, clients)
        )
        self.stack.callback(server.close)
        replica.port = server.sockets[0].getsockname()[1]
        await self.ready(made, replica.port, pin)
        return replica

    async def ready(self, made: Lease, port: int, pin: str) -> None:
        """Let a lease be Ready at a port, by a key."""
        now = self.trust.clock.now()
        status = replace(
            made.status,
            endpoint=EndpointStatus(host="127.0.0.1", port=port),
            sentinel=SentinelStatus(
                instance="0" * 32,
                key=pin,
                certificate_until=now + timedelta(hours=12),
                enrolled_at=now,
            ),
        )
        self.cluster.put(document(replace(made, status=status)))
        await self.follower.refresh()

    async def _certified(self, of: Lease) -> tuple[str, str, str]:
        authority, key = await self.trust.leases.current(), new_key()
        who, now = identity_of(of), self.trust.clock.now()
        subject = Subject(
            uri=lease_id(DOMAIN, who), dns=(lease_dns(who),), until=now + timedelta(hours=12)
        )
        certificate = server_certificate(authority.signer, key.public_key(), subject, now)
        return authority.presented(certificate), key_pem(key), fingerprint(key.public_key())

    async def becomes(self, name: str, phase: str) -> None:
        """Let a lease come into a phase, or go, and ``connect`` notice it."""
        raw = await self.cluster.get(LEASE, "prod", name)
        assert raw is not None
        self.cluster.remove(LEASE, "prod", name)
        if phase != "gone":
            status = {**raw["status"], "phase": phase}
            meta = {each: raw["metadata"][each] for each in ("name", "namespace", "uid", "labels")}
            self.cluster.put({**raw, "metadata": meta, "status": status})
        await self.follower.refresh()
        await _cut(self.proxy, self.follower)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[str, Stage]]:
    """``garrison connect`` on a cluster in memory, and its address."""
    found = trust()
    turn = client_turn(found.clock.now())
    identity = await found.identities.client("prod", "chat", turn)
    client = ClientStatus(secret=IDENTITY, turn=turn, until=client_until(turn))
    beside = secret(
        "prod",
        IDENTITY,
        tls_crt=identity.certificate,
        tls_key=identity.key,
        ca_crt=identity.lease_authorities,
    )
    cluster = Cluster([document(workload(status=WorkloadStatus(client=client))), beside])
    async with AsyncExitStack() as stack:
        follower = Follower(cluster, "prod", "chat", lambda _: None)
        passport = Passport(cluster, "prod", "chat")
        await passport.refresh()
        ways = _ways(NetScreen(), passport, allow_private=True)
        proxy = Proxy(lambda: follower.ready, ways)
        port = await stack.enter_async_context(_serving(proxy, 0))
        yield (
            f"http://127.0.0.1:{port}",
            Stage(trust=found, cluster=cluster, stack=stack, follower=follower, proxy=proxy),
        )


@pytest.mark.parametrize("end", ["Closing", "Closed", "Failed", "gone"])
async def test_a_live_way_is_cut_and_nothing_is_asked_there_again(end: str) -> None:
    async with connected() as (url, stage), aiohttp.ClientSession() as session:
        former = await stage.replica("chat-1", "uid-1", endless)
        async with session.get(url) as answer:
            await answer.content.readany()
            successor = await stage.replica("chat-2", "uid-2", whole)
            await stage.becomes("chat-1", end)
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(answer.read(), 10)
        await asyncio.wait_for(former.left.wait(), 10)
        for _ in range(4):
            async with session.get(url) as answer:
                assert await answer.text() == "hello"
        assert (former.asked, successor.asked) == (1, 4)


async def test_a_way_that_has_not_answered_yet_is_cut_and_another_replica_answers() -> None:
    async with connected() as (url, stage), aiohttp.ClientSession() as session:
        taken = asyncio.Event()

        async def mute(_writer: asyncio.StreamWriter) -> None:
            taken.set()
            await asyncio.Event().wait()

        await stage.replica("chat-1", "uid-1", mute)
        asked = asyncio.create_task(_text(session, url))
        await asyncio.wait_for(taken.wait(), 10)
        await stage.replica("chat-2", "uid-2", whole)
        await stage.becomes("chat-1", "Closed")
        assert await asyncio.wait_for(asked, 10) == "hello"


async def test_what_drains_finishes_its_answer() -> None:
    async with connected() as (url, stage), aiohttp.ClientSession() as session:
        draining = asyncio.Event()

        async def slow(writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + CHUNK)
            await draining.wait()
            writer.write(CHUNK + END)

        await stage.replica("chat-1", "uid-1", slow)
        async with session.get(url) as answer:
            await answer.content.readany()
            await stage.becomes("chat-1", "Draining")
            draining.set()
            assert (await answer.read()).endswith(b"hello")


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize("uid", ["uid-1", "uid-2"])
async def test_its_certificate_is_refused_where_another_lease_is_expected(uid: str) -> None:
    """The provider gets the next lease as well, and lets the old container answer for it."""
    async with connected() as (url, stage), aiohttp.ClientSession() as session:
        former = await stage.replica("chat-1", "uid-1", whole)
        await stage.becomes("chat-1", "Closed")
        await stage.ready(lease("Ready", name="chat-2", uid=uid), former.port, "0" * 64)
        successor = await stage.replica("chat-3", "uid-3", whole)
        for _ in range(4):
            async with session.get(url) as answer:
                assert answer.headers["x-garrison-replica"] == "chat-3"
        assert (former.asked, successor.asked) == (0, 4)
