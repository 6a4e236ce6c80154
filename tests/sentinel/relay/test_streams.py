"""What passes through: all of it, in both directions, with its ends where they were."""

from __future__ import annotations

import hashlib
import os
import random
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sentinel.relay.relay_process import RelayProcess

MIB = 1 << 20


def close_notify(client: ssl.SSLSocket) -> None:
    """Send the client's end of stream, and go on reading."""
    client.setblocking(False)
    with suppress(ssl.SSLError):
        client.unwrap()
    client.settimeout(10)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    with suppress(ssl.SSLZeroReturnError):  # the peer's close_notify, once ours is out
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_the_answer_comes_after_the_client_has_ended(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    client.sendall(b"q" * 100_000)
    close_notify(client)
    assert len(read_all(workload)) == 100_000
    workload.sendall(b"a" * 300_000)
    workload.close()
    assert read_all(client) == b"a" * 300_000


def test_the_client_may_go_on_after_the_workload_has_ended(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    workload.sendall(b"hello")
    workload.shutdown(socket.SHUT_WR)
    assert read_all(client) == b"hello"
    client.sendall(b"late")
    close_notify(client)
    assert read_all(workload) == b"late"


def test_bytes_on_their_way_survive_the_workloads_end(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    body = os.urandom(8 * MIB)

    def send() -> None:
        client.sendall(body)
        close_notify(client)

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.2)  # the relay is full of the client's bytes now
    workload.shutdown(socket.SHUT_WR)
    time.sleep(0.2)
    assert hashlib.sha256(read_all(workload)).digest() == hashlib.sha256(body).digest()
    sender.join()


def test_a_cut_client_is_not_a_clean_end(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    client.sendall(b"part")
    assert workload.recv(4) == b"part"
    socket.socket.shutdown(client, socket.SHUT_RDWR)  # no close_notify
    with pytest.raises(ConnectionResetError):
        workload.recv(1)


def test_a_reset_workload_is_not_a_clean_end(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    workload.sendall(b"part")
    assert client.recv(4) == b"part"
    workload.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    workload.close()
    with pytest.raises((ssl.SSLEOFError, ConnectionError)):
        client.recv(1)


def test_a_client_that_went_stops_the_stream(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    client.close()
    with pytest.raises(ConnectionError):
        _stream(workload)


def test_a_large_body_each_way_at_once(relay: RelayProcess) -> None:
    client, workload = relay.pair()

    def echo() -> None:
        while part := workload.recv(50_000):
            workload.sendall(part)
        workload.shutdown(socket.SHUT_WR)

    echoing = threading.Thread(target=echo)
    echoing.start()
    body = os.urandom(24 * MIB)
    assert _exchange(client, body) == hashlib.sha256(body).digest()
    close_notify(client)
    assert read_all(client) == b""
    echoing.join()


def _exchange(client: ssl.SSLSocket, body: bytes) -> bytes:
    """Send in odd pieces while reading; returns the digest of what came back."""
    view, digest = memoryview(body), hashlib.sha256()
    sizes = random.Random(1)
    client.setblocking(False)
    sent = size = got = 0
    while got < len(body):
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if sent < len(body):
                size = size or min(sizes.randint(1, 90_000), len(body) - sent)
                sent += client.send(view[sent : sent + size])
                size = 0  # a retried TLS write offers the same bytes
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            part = client.recv(65536)
            digest.update(part)
            got += len(part)
            continue
        select.select([client], [client] if sent < len(body) else [], [], 1)
    return digest.digest()


def test_an_unread_stream_stops_the_workload(relay: RelayProcess) -> None:
    client, workload = relay.pair()
    (worker,) = relay.workers()
    before, sent, piece = resident(worker), 0, os.urandom(MIB)
    workload.settimeout(1)
    with suppress(TimeoutError):
        while sent < 400 * MIB:
            sent += workload.send(piece)
    assert sent < 64 * MIB
    assert resident(worker) - before < 8 * MIB
    workload.close()
    assert len(read_all(client)) == sent
    client.close()
    assert relay.counts()["pending"] == 0


def test_a_half_closed_connection_costs_nothing(relay: RelayProcess) -> None:
    ended_by_client, other = relay.pair()
    close_notify(ended_by_client)
    assert read_all(other) == b""
    another, ended_by_workload = relay.pair()
    ended_by_workload.shutdown(socket.SHUT_WR)
    assert read_all(another) == b""
    (worker,) = relay.workers()
    before = ticks(worker)
    time.sleep(1)
    assert ticks(worker) - before < 10


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (
            b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x82\x7e\xff\x00binary\x00",
        ),
        (
            b"GET /events HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\ndata: 2\n\n",
        ),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\0\0\0\0\0"),
        (b"\x16\x03\x01 no HTTP at all", b"\xff\xfe\0"),
    ],
    ids=["WebSocket", "server-sent events", "HTTP/2", "unknown"],
)
def test_no_protocol_is_touched(relay: RelayProcess, request_: bytes, answer: bytes) -> None:
    client, workload = relay.pair()
    client.sendall(request_)
    assert _exactly(workload, len(request_)) == request_
    for at in range(len(answer)):  # byte by byte: nothing waits for a whole line or frame
        workload.sendall(answer[at : at + 1])
        assert client.recv(1) == answer[at : at + 1]
    client.sendall(b"\x81\x85more")
    assert _exactly(workload, 6) == b"\x81\x85more"


def _stream(workload: socket.socket) -> None:
    for _ in range(500):
        workload.sendall(b"token\n")
        time.sleep(0.01)


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part
        data += part
    return data


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
