"""Who is let in, and what happens to those who are slow, stuck or too many."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest

from sentinel.relay.settings import Limits
from sentinel.relay.streams import BUFFER
from tests.sentinel.pki import CLIENT, SERVER, Authority, Issued
from tests.sentinel.relay.relay_process import CLIENT_URI, LEASE, OPERATOR, RelayProcess, until

STRANGER = Authority("stranger")
OTHERS = {
    "nobody's": None,
    "a stranger's": STRANGER.issue(CLIENT_URI),
    "another workload's": OPERATOR.issue("spiffe://garrison-0a1b2c3d/ns/prod/iw/chat2"),
    "another namespace's": OPERATOR.issue("spiffe://garrison-0a1b2c3d/ns/test/iw/chat"),
    "the operator's": OPERATOR.issue("spiffe://garrison-0a1b2c3d/operator"),
    "of two names": OPERATOR.issue(CLIENT_URI, "spiffe://garrison-0a1b2c3d/operator"),
    "of no name": OPERATOR.issue(),
    "a server's": OPERATOR.issue(CLIENT_URI, usage=SERVER),
    "the lease's own": LEASE.issue(CLIENT_URI, usage=CLIENT),
    "expired": OPERATOR.issue(CLIENT_URI, hours=-1),
}


@pytest.mark.parametrize("client", OTHERS.values(), ids=OTHERS)
def test_the_workload_never_hears_of_a_client_whose_certificate_is(
    relay: RelayProcess, client: Issued | None
) -> None:
    before = relay.counts()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _first_byte(relay, relay.context(client))
    until(lambda: relay.counts()["refused"] == before["refused"] + 1)
    after = relay.counts()
    assert after["bytes_in"] == before["bytes_in"]
    relay.workload.settimeout(0.05)
    with pytest.raises(TimeoutError):
        relay.workload.accept()
    relay.workload.settimeout(10)


def test_stuck_handshakes_keep_nobody_out(tmp_path: Path) -> None:
    limits = Limits(handshake=1.0, handshakes=64)
    with RelayProcess(tmp_path, limits=limits) as relay:
        stuck = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(100)]
        for sock in stuck[::2]:
            sock.sendall(b"\x16\x03\x01\x02\x00")  # the head of a hello that never comes
        client, workload = relay.pair()
        client.sendall(b"x")
        assert workload.recv(1) == b"x"
        for sock in stuck:  # dropped at the deadline, or earlier to make room
            sock.settimeout(5)
            assert _ended(sock)
        counts = relay.counts()
        assert counts["refused"] == 100
        assert counts["connections"] == 1


def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, workers=2, limits=Limits(connections=8)) as relay:
        pairs = [relay.pair() for _ in range(8)]
        with pytest.raises((ssl.SSLError, ConnectionError)), relay.connect() as refused:
            refused.recv(1)
        client, _ = pairs.pop()
        client.close()
        until(lambda: relay.counts()["connections"] == 7)
        pairs.append(relay.pair())


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, limits=Limits(stall=1.0)) as relay:
        _, workload = relay.pair()
        with pytest.raises(ConnectionError):
            _send_for_ever(workload)
        until(lambda: relay.counts()["connections"] == 0)
        assert relay.counts()["pending"] == 0


def test_many_stalled_clients_cannot_fill_the_memory(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, limits=Limits(pending=2 << 20)) as relay:
        pairs = [relay.pair() for _ in range(60)]
        for _, workload in pairs:
            workload.setblocking(False)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            for _, workload in pairs:
                try:
                    workload.send(bytes(1 << 20))
                except BlockingIOError:
                    continue
        # the limit, one full read that began below it, and one record for each
        assert relay.counts()["pending"] <= (2 << 20) + BUFFER + 60 * (16 << 10)


def _ended(sock: socket.socket) -> bool:
    try:
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    sock.close()
    return True


def _first_byte(relay: RelayProcess, context: ssl.SSLContext) -> bytes:
    refused = relay.connect(context)
    refused.sendall(b"GET / HTTP/1.1\r\n\r\n")
    return refused.recv(1)


def _send_for_ever(sock: socket.socket) -> None:
    while True:
        sock.sendall(bytes(1 << 20))
