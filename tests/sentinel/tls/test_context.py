"""Who gets through a handshake, on real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel.tls import context as tls
from tests.sentinel.pki import CLIENT, SERVER, Authority, Issued, client_context

WANTED = "spiffe://garrison-0a1b2c3d/operator"
OPERATOR, LEASE, STRANGER = Authority("operator"), Authority("lease"), Authority("stranger")
SERVED = LEASE.issue("spiffe://garrison-0a1b2c3d/lease/l-1", usage=SERVER)


class Served:
    """One accepted connection: whether its client had the right name, or the handshake's error."""

    def __init__(self, alpn: tuple[str, ...] = ()) -> None:
        self.context = tls.server_context(SERVED.certificate, SERVED.key, [OPERATOR.pem], alpn=alpn)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.named: bool | None = None
        self.error = ""
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        raw, _ = self.listener.accept()
        raw.settimeout(5)
        try:
            with self.context.wrap_socket(raw, server_side=True) as accepted:
                self.named = tls.is_named(accepted, WANTED)
                accepted.sendall(b"!")
        except OSError as error:
            self.error = type(error).__name__

    def close(self) -> None:
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    yield one
    one.close()


def _talk(served: Served, context: ssl.SSLContext) -> str | None:
    raw = socket.create_connection(("127.0.0.1", served.port), timeout=5)
    with context.wrap_socket(raw) as secured:
        assert secured.recv(1) == b"!"
        return secured.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        (OPERATOR.issue(WANTED), True),
        (OPERATOR.issue(WANTED + "/x"), False),
        (OPERATOR.issue("spiffe://garrison-ffffffff/operator"), False),
        (OPERATOR.issue(WANTED, "spiffe://garrison-0a1b2c3d/ns/a/iw/b"), False),
        (OPERATOR.issue(), False),
    ],
)
def test_only_the_exact_name_is_taken(
    served: Served, identity: Issued, named: bool, tmp_path: Path
) -> None:
    _talk(served, client_context(LEASE.pem, identity, tmp_path))
    served.close()
    assert served.named is named


@pytest.mark.parametrize(
    "identity",
    [
        None,
        STRANGER.issue(WANTED),
        LEASE.issue(WANTED, usage=CLIENT),
        OPERATOR.issue(WANTED, usage=SERVER),
        OPERATOR.issue(WANTED, hours=-1),
    ],
    ids=["none", "stranger's", "the lease's authority", "a server's", "expired"],
)
def test_no_other_certificate_finishes_the_handshake(
    served: Served, identity: Issued | None, tmp_path: Path
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _talk(served, client_context(LEASE.pem, identity, tmp_path))
    served.close()
    assert served.named is None
    assert served.error.startswith("SSL")


def test_older_protocols_are_refused(served: Served, tmp_path: Path) -> None:
    context = client_context(LEASE.pem, OPERATOR.issue(WANTED), tmp_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _talk(served, context)


@pytest.mark.parametrize(
    ("offered", "selected"),
    [(["h2", "http/1.1"], "http/1.1"), (["h2"], "h2"), (["http/1.1"], "http/1.1"), ([], None)],
)
def test_protocols(offered: list[str], selected: str | None, tmp_path: Path) -> None:
    served = Served(alpn=tls.ALPN)
    context = client_context(LEASE.pem, OPERATOR.issue(WANTED), tmp_path)
    if offered:
        context.set_alpn_protocols(offered)
    try:
        assert _talk(served, context) == selected
    finally:
        served.close()


def test_a_key_of_another_certificate_is_refused() -> None:
    other = LEASE.issue("spiffe://td/lease/other", usage=SERVER)
    with pytest.raises(ssl.SSLError):
        tls.server_context(SERVED.certificate, other.key, [OPERATOR.pem])
