"""A provider that turns against its tenants does what its behaviour's name says, and stops on request."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from functools import partial

import aiohttp
import pytest

from akash_sandbox.hostility import BOOTSTRAP, Hostility, stolen
from akash_sandbox.seen import Seen
from akash_sandbox.settings import RuntimeName
from akash_sandbox.workload import NoProgramError
from akash_sandbox.workloads.forgery import self_made
from akash_sandbox.workloads.supervisor import Supervisor
from tests.sandbox.workloads.bench import PORT, Bench, get, refuses, running, until

DATA_PORT = 8001
VICTIM = {
    "lease": "9f1c",
    "namespace": "prod",
    "workload": "chat",
    "trustDomain": "garrison-0a1b2c3d",
    "certificate": "",
    "key": "",
    "controlPort": PORT,
    "dataPort": DATA_PORT,
}
"""The tiny program's port is the control port."""


def environment(**more: object) -> tuple[tuple[str, str], ...]:
    body = json.dumps({**VICTIM, **more}).encode()
    return ((BOOTSTRAP, base64.b64encode(body).decode()),)


async def rented(bench: Bench, runtime: RuntimeName) -> tuple[Supervisor, int]:
    """Return a supervisor with a running tenant, and the external port of its program."""
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(env=environment(), ports=(PORT, DATA_PORT)))
    return supervisor, await running(supervisor)


async def hosts(port: int, count: int) -> list[str]:
    """Return the names of the containers that so many new connections meet, sorted."""
    return sorted({(await get(port, "/who"))["hostname"] for _ in range(count)})


async def meets(port: int, names: list[str]) -> bool:
    """Return whether these containers answer; one that has just been started refuses at first."""
    try:
        return await hosts(port, 4) == names
    except aiohttp.ClientError:
        return False


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def test_only_a_whole_bootstrap_is_one() -> None:
    found = stolen(environment())
    assert found is not None
    assert (found.lease, found.control_port) == ("9f1c", PORT)
    for broken in ("no base64", base64.b64encode(b"[]").decode(), ""):
        assert stolen(((BOOTSTRAP, broken),)) is None
    assert stolen(()) is None


@pytest.mark.parametrize(
    ("hostility", "word"),
    [
        (Hostility(), []),
        (Hostility(reads=True, replay="beside"), ["read-env", "replay-beside"]),
        (Hostility(certificate="self-made"), ["self-made-certificate"]),
    ],
)
def test_it_is_told_by_the_names_that_switch_it_on(hostility: Hostility, word: list[str]) -> None:
    assert hostility.in_words == word


async def test_the_control_port_is_cut_and_mended(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(cuts_control=True))
    with pytest.raises(aiohttp.ClientError):
        await get(port, "/who")
    await supervisor.turn("tenant-1", Hostility())
    assert await hosts(port, 1) == ["tenant-1"]


async def test_a_connection_is_held_up(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(delay_seconds=0.4))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await get(port, "/who")
    assert loop.time() - began >= 0.4


async def test_the_certificate_is_one_it_made(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(certificate="self-made"))
    assert "BEGIN CERTIFICATE" in await asyncio.to_thread(shown, port)


async def test_the_certificate_is_another_tenant_s(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(certificate="other-lease"))
    with pytest.raises(aiohttp.ClientError):
        await get(port, "/who")
    victim = stolen(environment(lease="another"))
    assert victim is not None
    certificate, key = self_made(victim)
    other = environment(lease="another", certificate=certificate, key=key)
    await supervisor.deploy(bench.ask("tenant-2", env=other))
    assert (await asyncio.to_thread(shown, port)).strip() == certificate.strip()


async def test_the_data_port_answers_in_the_clear(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    state = supervisor.state("tenant-1")
    assert state is not None
    data_port = dict(state.forwarded)[DATA_PORT]
    await supervisor.turn("tenant-1", Hostility(strips_tls=True))
    assert await get(data_port, "/anything") == {}
    assert await hosts(port, 1) == ["tenant-1"]


async def test_the_first_answer_is_given_again(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(stale_answers=True))
    first = await get(port, "/who")
    assert await get(port, "/nonesuch") == first


async def test_a_twin_is_met_beside_then_instead_then_never(bench: Bench, oci: RuntimeName) -> None:
    supervisor, port = await rented(bench, oci)
    await supervisor.turn("tenant-1", Hostility(replay="beside"))

    await until(partial(meets, port, ["tenant-1", "twin"]))
    await supervisor.turn("tenant-1", Hostility(replay="instead"))

    await until(partial(meets, port, ["twin"]))
    state = supervisor.state("tenant-1")
    assert state is not None
    assert state.running
    await supervisor.turn("tenant-1", Hostility())
    assert await running(supervisor) == port
    assert await hosts(port, 3) == ["tenant-1"]
    assert not (bench.folder / "containers" / "tenant-1-twin").exists()
    await supervisor.remove("tenant-1")
    assert await refuses(port)


async def test_a_file_is_swapped_inside(bench: Bench, oci: RuntimeName) -> None:
    supervisor, _ = await rented(bench, oci)
    await supervisor.swap("tenant-1", "/etc/passwd", b"swapped\n")
    root = bench.folder / "containers" / "tenant-1" / "rootfs"
    assert (root / "etc" / "passwd").read_bytes() == b"swapped\n"
    with pytest.raises(NoProgramError, match="no-such-folder"):
        await supervisor.swap("tenant-1", "/no-such-folder/x", b"")
    with pytest.raises(NoProgramError):
        await supervisor.swap("nobody", "/etc/passwd", b"")


async def test_everything_that_is_received_is_kept(bench: Bench, oci: RuntimeName) -> None:
    reads = True
    bench.seen = Seen(bench.folder / "seen", lambda _scope: reads)
    supervisor = await bench.supervisor(oci)
    ask = bench.ask(env=(*environment(), ("COLOUR", "green")), provider="frost")
    await supervisor.deploy(ask)
    await supervisor.turn("tenant-1", Hostility(reads=True))
    port = await running(supervisor)
    await get(port, "/who?marker=1")
    kept = {path.name: path.read_bytes() for path in bench.seen.files("frost")}
    assert b"COLOUR=green" in kept["tenant-1-started-with"]
    assert any(b"marker=1" in data for name, data in kept.items() if name.endswith(".there"))
    assert any(b"hostname" in data for name, data in kept.items() if name.endswith(".back"))
    reads = False
    before = sum(len(data) for data in kept.values())
    await get(port, "/who")
    assert sum(len(path.read_bytes()) for path in bench.seen.files("frost")) == before
