"""One worker: an epoll loop that takes connections, joins each to the workload, and bounds them."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from typing import Callable

from sentinel.relay import counters
from sentinel.relay.clients import Clients
from sentinel.relay.counters import Counters, Tally
from sentinel.relay.end import WAIT, End, Turn
from sentinel.relay.exchange import Exchange
from sentinel.relay.settings import Identity, Settings
from sentinel.relay.sockets import listener, upstream_socket
from sentinel.relay.streams import IN, OUT, Streams
from sentinel.tls.context import ALPN, server_context

_ACCEPTS_PER_TURN = 4  # a handshake costs about 1 ms: more would stall streams
_EVENTS = 256
_TICK, _RETRY = 1.0, 0.1
_LATE = 0.05
"""How much later than what they count the counters may be, in seconds."""
_CONNECTED = (0, errno.EISCONN)
_CONNECTING = (*_CONNECTED, errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN)


class Loop:
    """Serves until ``stop``; ``shared`` and ``worker`` say where it counts."""

    def __init__(self, settings: Settings, shared: Counters, worker: int) -> None:
        self._settings, self._limits = settings, settings.limits
        self._shared, self._slot = shared, shared.slots[worker]
        self._tally = Tally(self._slot)
        self._context = _context(settings.identity)
        self._poll = select.epoll()
        self._streams = Streams(self._poll, self._tally, self._slot, self._limits, self._drop)
        self._ends: dict[int, End] = {}
        self._shaking: dict[int, End] = {}
        self._connecting: dict[int, End] = {}
        self._refused: dict[int, End] = {}
        self._clients = Clients(settings.client)
        self._others: dict[int, Callable[[], None]] = {}
        self._stopped, self._ticked = False, time.monotonic()
        self._listener: socket.socket | None = listener(settings.host, settings.port)
        self.watch(self._listener, self._accept)

    def watch(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Call ``call`` whenever ``sock`` has something to read."""
        self._others[sock.fileno()] = call
        self._poll.register(sock.fileno(), IN)

    def renew(self, identity: Identity) -> None:
        """Present another certificate to new connections; live ones go on."""
        self._context = _context(identity)

    def drain(self) -> None:
        """Take no new connections; those that wait in the backlog are still served."""
        if self._listener:
            while self._accept_one():
                pass
            self._poll.unregister(self._listener.fileno())
            del self._others[self._listener.fileno()]
            self._listener.close()
            self._listener = None

    def stop(self) -> None:
        """End ``run`` after this turn."""
        self._stopped = True

    def run(self) -> None:
        """Serve. Errors of one connection end that connection only."""
        ends, poll, tally = self._ends, self._poll.poll, self._tally
        due, patience = 0.0, _TICK
        while not self._stopped:
            ready = poll(patience, _EVENTS)
            tally.now = now = time.monotonic()
            for fd, event in ready:
                end = ends.get(fd)
                if end is None:
                    if fd in self._others:
                        self._others[fd]()
                    continue
                try:
                    end.turn(end, event)
                except OSError:  # TLS errors too: truncation, alert, reset
                    self._broken(end)
            if now >= due or not ready:  # not at each turn: that would cost a few percent
                self._keep_house(now)
                due = now + _LATE if ready else 0.0
                patience = _LATE if ready else _RETRY if self._refused else _TICK
        for end in list(ends.values()):
            self._drop(end)

    def _keep_house(self, now: float) -> None:
        self._tally.publish()
        if self._refused or now - self._ticked > _TICK:
            self._ticked = now
            self._tick(now)

    def _broken(self, end: End) -> None:
        """Drop; many clients hang up between two requests without TLS' farewell: no cut then."""
        exchange = end.exchange
        self._drop(end, cut=exchange is None or not exchange.is_between())

    # -- connections

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        if self._listener is None:
            return False
        try:
            raw, _ = self._listener.accept()
        except OSError as error:  # nothing waits, or descriptors have run out
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._drop_oldest_handshake()
            return False
        self._slot[counters.ACCEPTED] += 1
        if len(self._shaking) >= self._limits.handshakes:
            self._drop_oldest_handshake()
        try:
            raw.setblocking(False)
            secured = self._context.wrap_socket(
                raw,
                server_side=True,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # else a cut connection looks like a clean end
            )
            end = self._add(secured, self._shake)
        except OSError:  # gone already
            raw.close()
            return True
        self._shaking[end.fd] = end
        return True

    def _drop_oldest_handshake(self) -> None:
        if self._shaking:
            self._slot[counters.REFUSED] += 1
            self._drop(next(iter(self._shaking.values())))

    def _shake(self, end: End, _event: int) -> None:
        secured = end.socket
        assert isinstance(secured, ssl.SSLSocket)  # noqa: S101 -- for the type checker
        try:
            secured.do_handshake()
        except WAIT as wait:
            self._streams.watch(end, OUT if isinstance(wait, ssl.SSLWantWriteError) else IN)
            return
        except OSError:
            self._slot[counters.REFUSED] += 1
            raise
        full = self._shared.connections() >= self._limits.connections
        if full or not self._clients.include(secured):
            self._slot[counters.REFUSED] += 1
            self._drop(end)
            return
        del self._shaking[end.fd]
        self._slot[counters.CONNECTIONS] += 1
        end.exchange, end.turn = Exchange(self._tally, self._streams.bytes), self._streams.client
        self._connect(end)

    def _connect(self, end: End) -> None:
        """Connect to the workload; one that is just restarting is tried again for a while."""
        try:
            upstream = upstream_socket(self._settings.vendor)
        except OSError:  # no descriptor is left, or nobody gives one
            self._wait_for_workload(end)
            return
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = "127.0.0.1", self._settings.upstream
        failure = upstream.connect_ex(address)
        if failure == errno.EINPROGRESS:  # on the loopback it is over already, one way or the other
            failure = upstream.connect_ex(address)
        if failure in _CONNECTING:
            peer = self._add(upstream, self._connected)
            end.peer, peer.peer = peer, end
            if failure in _CONNECTED:
                self._through(end, peer)
                return
            self._connecting[peer.fd] = peer
            self._streams.watch(end, 0)
            self._streams.watch(peer, OUT)
            return
        upstream.close()
        self._wait_for_workload(end)

    def _wait_for_workload(self, end: End) -> None:
        self._streams.watch(end, 0)
        if end.fd not in self._refused:
            self._refused[end.fd], end.since = end, time.monotonic()

    def _connected(self, peer: End, _event: int) -> None:
        end = peer.peer
        assert end is not None  # noqa: S101 -- both were made together
        del self._connecting[peer.fd]
        if peer.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._forget(peer)
            peer.close(cut=False)
            end.peer = None
            self._wait_for_workload(end)
            return
        self._through(end, peer)

    def _through(self, end: End, peer: End) -> None:
        self._refused.pop(end.fd, None)
        peer.exchange, peer.turn = end.exchange, self._streams.workload
        self._streams.interest(end)
        self._streams.interest(peer)

    def _add(self, sock: socket.socket, turn: Turn) -> End:
        end = End(sock, time.monotonic(), turn)
        self._ends[end.fd] = end
        self._streams.watch(end, IN)
        return end

    def _drop(self, end: End, *, cut: bool = True) -> None:
        secure = end if end.secure else end.peer
        if secure and secure.exchange:
            secure.exchange.closed()
            self._slot[counters.CONNECTIONS] -= 1
            secure.exchange = None
        for one in (end, end.peer):
            if one and self._ends.get(one.fd) is one:
                one.events = 0  # closing ends the watch too
                self._forget(one)
                one.close(cut=cut)
                one.peer = None

    def _forget(self, end: End) -> None:
        self._streams.watch(end, 0)
        self._streams.keep(end, None)
        del self._ends[end.fd]
        for table in (self._shaking, self._connecting, self._refused):
            table.pop(end.fd, None)

    # -- time

    def _tick(self, now: float) -> None:
        limits = self._limits
        for end in list(self._refused.values()):
            if now - end.since > limits.connect:
                self._drop(end)
            elif end.peer is None:
                self._connect(end)
        for end in list(self._shaking.values()):
            if now - end.since > limits.handshake:
                self._slot[counters.REFUSED] += 1
                self._drop(end)
        for end in list(self._connecting.values()):
            if now - end.since > limits.handshake:
                self._drop(end)
        for end in list(self._streams.stalled.values()):
            if now - end.since > limits.stall and end.secure:
                self._drop(end)


def _context(identity: Identity) -> ssl.SSLContext:
    return server_context(identity.chain, identity.key, identity.authorities, alpn=ALPN)
