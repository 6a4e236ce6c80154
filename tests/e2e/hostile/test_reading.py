"""A provider that reads: what it gets is one lease's bootstrap, which opens nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from akash_sandbox.client import CONSOLE, HostilityChange, SandboxAdmin
from akash_sandbox.hostility import StolenBootstrap
from devenv.stage import Stage
from tests.e2e.bodies import Body
from tests.e2e.hostile.downfall import HAVEN, READER
from tests.e2e.hostile.readings import (
    MINE,
    OTHERS,
    Readings,
    holding,
    pid_of,
    secrets_in,
)
from tests.e2e.test_serving import connected
from tests.e2e.waiting import eventually

REQUEST = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def readings(stage: Stage, admin: SandboxAdmin) -> AsyncIterator[Readings]:
    """Two leases, and everything that is received kept."""
    async with Readings.of(stage, admin) as made:
        yield made


async def test_nothing_planted_is_where_a_provider_looks(readings: Readings) -> None:
    seen = await readings.ground.seen(READER)
    assert holding("GARRISON_SENTINEL_DIGEST", seen), "the search finds nothing at all"
    everywhere = {**seen, **await readings.ground.seen(CONSOLE)}
    everywhere |= {f"haven {k}": v for k, v in (await readings.ground.seen(HAVEN)).items()}
    for planted in readings.planted.values():
        assert holding(planted, everywhere) == []


async def test_nothing_planted_is_in_objects_logs_and_images(readings: Readings) -> None:
    places = {**await readings.files(), "objects": await readings.objects()}
    assert "objects" in holding("SYNTHETIC_TOKENS_PER_SECOND", places)
    assert "operator.log" in holding(MINE, places)
    assert [each for each in holding("sentinel: sealed", places) if each.startswith("log of ")]
    key = (await readings.bootstrap()).key
    body = "".join(line for line in key.splitlines() if "PRIVATE KEY" not in line)[:64]
    market = {name for name in places if name.startswith("market.sqlite")}
    # There are the manifests, which hold the bootstrap.
    for planted in (*readings.planted.values(), body):
        assert holding(planted, {k: v for k, v in places.items() if k not in market}) == []
    for planted in readings.planted.values():
        assert holding(planted, places) == []


async def test_a_provider_never_sees_the_key_of_the_account(
    readings: Readings, stage: Stage
) -> None:
    key = stage.market.api_key
    assert holding(key, await readings.ground.seen(CONSOLE))
    assert holding(key, await readings.ground.seen(READER)) == []


@pytest.mark.parametrize("port", ["endpoint", "control"])
@pytest.mark.parametrize("workload", [MINE, OTHERS])
async def test_a_bootstrap_opens_no_port(
    readings: Readings, workload: str, port: str, tmp_path: Path
) -> None:
    place = (await readings.lease(workload))["status"][port]
    context = await asyncio.to_thread(presenting, await readings.bootstrap(), tmp_path / "pair")
    assert await heard(place["host"], place["port"], context) == b""


async def test_the_workload_s_own_client_is_answered(readings: Readings) -> None:
    async with (
        connected(readings.ground.scene, MINE) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/models") as answer,
    ):
        assert answer.status == 200


async def test_a_copy_in_its_place_gets_one_lease_s_secrets(
    readings: Readings, admin: SandboxAdmin, stage: Stage
) -> None:
    """Not stopped without a TEE: it looks like a restart, is counted as one, and reaches no further."""
    before = await readings.lease(OTHERS)
    await admin.be_hostile(READER, HostilityChange(replay="instead"))

    def is_copy(lease: Body) -> bool:
        status = lease["status"]
        return bool(status["phase"] == "Ready" and status["sentinel"]["restarts"] > 0)

    await eventually(
        "the copy taken for a restart",
        lambda: readings.lease(MINE),
        is_copy,
        limit_seconds=120,
    )
    pid = await asyncio.to_thread(pid_of, stage, "-twin")
    found = {str(n): data for n, data in enumerate(await asyncio.to_thread(secrets_in, pid))}
    assert holding(readings.planted[MINE], found)
    assert holding(readings.planted[OTHERS], found) == []
    after = await readings.lease(OTHERS)
    assert after["status"]["sentinel"] == before["status"]["sentinel"]


def presenting(bootstrap: StolenBootstrap, file: Path) -> ssl.SSLContext:
    """Return a client that shows the stolen certificate and takes any server."""
    file.write_text(bootstrap.key + "\n" + bootstrap.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(file)
    return context


async def heard(host: str, port: int, context: ssl.SSLContext) -> bytes:
    """Return what a request over this TLS is answered, b"" when it is refused."""
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.write(REQUEST)
        answer = await asyncio.wait_for(reader.read(), 10)
    except (OSError, ssl.SSLError):
        return b""
    writer.close()
    return answer
