"""Certificates, workloads and workers that change under load, and the end of service."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sentinel.relay.settings import Limits
from sentinel.relay.workers import RelayError
from tests.sentinel.pki import Issued
from tests.sentinel.relay.relay_process import (
    RENEWED,
    SERVED,
    RelayProcess,
    identity,
    until,
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
STREAMS = 1000


def _presented(client: ssl.SSLSocket) -> bytes:
    return client.getpeercert(binary_form=True) or b""


def _der(issued: Issued) -> bytes:
    return ssl.PEM_cert_to_DER_cert(issued.certificate)


def test_a_new_certificate_is_for_new_connections(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, workers=2) as relay:
        old, workload = relay.pair()
        relay.ask("renew", identity(RENEWED))
        new, _ = relay.pair()
        assert _presented(old) == _der(SERVED)
        assert _presented(new) == _der(RENEWED)
        workload.sendall(b"still here")
        assert old.recv(10) == b"still here"


def test_a_broken_certificate_changes_nothing(tmp_path: Path) -> None:
    with RelayProcess(tmp_path) as relay:
        broken = identity(RENEWED)._replace(key=SERVED.key)
        with pytest.raises(RelayError):
            relay.ask("renew", broken)
        client, _ = relay.pair()
        assert _presented(client) == _der(SERVED)


def test_drain_refuses_new_and_finishes_old(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, workers=2) as relay:
        client, workload = relay.pair()
        relay.ask("drain")
        with pytest.raises(ConnectionRefusedError):
            relay.connect()
        workload.sendall(b"the rest")
        assert client.recv(8) == b"the rest"
        assert relay.counts()["connections"] == 1


def test_close_cuts_and_open_serves_again(tmp_path: Path) -> None:
    with RelayProcess(tmp_path) as relay:
        client, _ = relay.pair()
        relay.ask("close")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            relay.connect()
        relay.open()
        relay.pair()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path)
    with socket.create_server(("127.0.0.1", relay.port)):
        with pytest.raises(RelayError, match=f"cannot listen on 127.0.0.1:{relay.port}"), relay:
            pass
        relay.__exit__()


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with RelayProcess(tmp_path) as relay:
        relay.pair()
        relay.ask("renew", identity(RENEWED))
        (worker,) = relay.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: relay.workers() not in ([worker], []) and relay.answers())
        client, _ = relay.pair()
        assert _presented(client) == _der(RENEWED)
        assert relay.counts()["connections"] == 1


def test_a_worker_outlives_the_vendor_of_its_sockets(tmp_path: Path) -> None:
    """The guard that gives sockets of the workload's network may go while a client waits."""
    name = f"garrison-test-{secrets.token_hex(8)}"
    with (
        socket.socket(socket.AF_UNIX) as vendor,
        RelayProcess(tmp_path, limits=Limits(connect=1.0)) as relay,
    ):
        vendor.bind(f"\0{name}")
        vendor.listen()
        relay.open(name)
        before = relay.workers()
        relay.workload.close()  # so that the client waits, and the vendor is asked again
        client = relay.connect()
        asking, _ = vendor.accept()
        with asking, socket.socket() as given:
            vendor.close()
            socket.send_fds(asking, [b"x"], [given.fileno()])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.recv(1)
        relay.ask("renew", identity(RENEWED))  # a worker that has ended cannot answer
        assert relay.workers() == before


def test_nobody_is_left_when_the_agent_dies(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, workers=2) as relay:
        pids = [relay.master, *relay.workers()]
        relay._process.kill()
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def test_nobody_looks_into_a_worker(tmp_path: Path) -> None:
    """Its memory holds the key; a process that is not dumpable belongs to root in /proc."""
    with RelayProcess(tmp_path) as relay:
        for pid in (relay.master, *relay.workers()):
            asked = subprocess.run(
                [
                    "setpriv",
                    "--bounding-set=-all",
                    "--inh-caps=-all",
                    "cat",
                    f"/proc/{pid}/environ",
                ],
                capture_output=True,
                check=False,
            )
            assert asked.returncode != 0
            assert not asked.stdout


@contextmanager
def _answering(
    relay: RelayProcess, stop: threading.Event, asking: threading.Lock
) -> Iterator[None]:
    """A workload that restarts every 300 ms: for 100 ms of them nobody listens.

    It never goes while a request is on its way: a connection that the kernel has taken and no process
    has accepted is reset then, and nothing can help that.
    """
    asyncio_loop = threading.Thread(target=lambda: asyncio.run(_restarting(relay, stop, asking)))
    asyncio_loop.start()
    try:
        yield
    finally:
        stop.set()
        asyncio_loop.join()


async def _restarting(relay: RelayProcess, stop: threading.Event, asking: threading.Lock) -> None:
    relay.workload.close()
    while not stop.is_set():
        server = await asyncio.start_server(_answer, "127.0.0.1", relay.upstream)
        await asyncio.sleep(0.2)
        await asyncio.to_thread(asking.acquire)
        server.close()
        asking.release()
        await server.wait_closed()
        await asyncio.sleep(0.1)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_a_workload_that_restarts_costs_no_new_connection(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, workers=2) as relay:
        stop = threading.Event()
        context = relay.context()
        asking = threading.Lock()
        with _answering(relay, stop, asking):
            deadline = time.monotonic() + 1.5
            answered = 0
            while time.monotonic() < deadline:
                with asking, relay.connect(context) as client:
                    client.sendall(REQUEST)
                    assert _until_end(client) == ANSWER
                    answered += 1
                time.sleep(0.001)  # or nobody else ever gets the lock
        assert answered > 10
        assert relay.counts()["requests"] == answered


def _until_end(client: ssl.SSLSocket) -> bytes:
    data = b""
    while part := client.recv(4096):
        data += part
    return data


async def _stream(relay: RelayProcess, context: ssl.SSLContext, gate: asyncio.Semaphore) -> int:
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, ssl=context)
        writer.write(REQUEST)
    size = len(await reader.read(-1))
    writer.transport.abort()
    return size


async def _events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for number in range(10):
        writer.write(b"data: %d\n\n" % number)
        await asyncio.sleep(0.2)
    await _ALL_OPEN.wait()
    writer.write(b"data: end\n\n")
    writer.close()
    await writer.wait_closed()


_ALL_OPEN = asyncio.Event()


@pytest.mark.timeout(300)
async def test_a_thousand_streams_at_once(tmp_path: Path) -> None:
    """Open together, complete, and in memory that stays small."""
    with RelayProcess(tmp_path, workers=2) as relay:
        before = sum(_own_bytes(pid) for pid in relay.workers())
        relay.workload.setblocking(False)
        server = await asyncio.start_server(_events, sock=relay.workload, backlog=2048)
        context, gate = relay.context(), asyncio.Semaphore(50)
        streams = [asyncio.create_task(_stream(relay, context, gate)) for _ in range(STREAMS)]
        await asyncio.to_thread(until, lambda: relay.counts()["connections"] == STREAMS, 200)
        grown = sum(_own_bytes(pid) for pid in relay.workers()) - before
        _ALL_OPEN.set()
        sizes = set(await asyncio.gather(*streams))
        server.close()
        head, events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", 10
        assert sizes == {len(head) + events * len(b"data: 0\n\n") + len(b"data: end\n\n")}
        assert relay.counts()["requests"] == STREAMS
        assert grown < 40 << 20


def _own_bytes(pid: int) -> int:
    """Return the memory that a process shares with nobody."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Private_Dirty"))
    return int(line.split()[1]) * 1024
