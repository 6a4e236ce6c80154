"""What passes between a client and the workload, TLS straight on the client's descriptor.

One buffer for all of a worker's connections; when a socket does not take all of what its peer sent,
the rest is kept and the peer paused. Both directions end on their own.
"""

from __future__ import annotations

import mmap
import select
import socket
import ssl
import time
from typing import Callable

from sentinel.relay.counters import PENDING, Tally
from sentinel.relay.end import RECORD, WAIT, End
from sentinel.relay.settings import Limits

IN, OUT = select.EPOLLIN, select.EPOLLOUT
_BROKEN = select.EPOLLHUP | select.EPOLLERR
BUFFER = 2 * 1024 * 1024
"""Large bodies cost the less CPU the more of them is taken at once; about 2 ms of it for this much."""
_RECORDS_PER_TURN = 8


class Streams:
    """The pairs of one worker, by epoll's ``poll``; ``drop`` ends one. It counts in both others.

    ``stalled``: those with bytes that they have not taken, by descriptor.
    """

    def __init__(
        self,
        poll: select.epoll,
        tally: Tally,
        slot: memoryview,
        limits: Limits,
        drop: Callable[..., None],
    ) -> None:
        self._poll, self._tally, self._slot, self._limits = poll, tally, slot, limits
        self._drop = drop
        self.stalled: dict[int, End] = {}
        anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # takes no memory that nothing came to
        self.bytes = mmap.mmap(-1, BUFFER, flags=anonymous)
        self._buffer = memoryview(self.bytes)
        self._record = self._buffer[:RECORD]
        self._space = self._buffer  # for what a workload sends; less when much is pending
        self._spare = socket.socketpair()
        for spare in self._spare:
            spare.setblocking(False)

    def watch(self, end: End, events: int) -> None:
        """Let epoll tell ``events`` of ``end``."""
        if events == end.events:
            return
        if not events:
            self._poll.unregister(end.fd)  # else a hang-up would spin the loop
        elif end.events:
            self._poll.modify(end.fd, events)
        else:
            self._poll.register(end.fd, events)
        end.events = events

    def interest(self, end: End) -> None:
        """Let epoll tell what ``end`` can be served with: nothing is read while its peer is full."""
        paused = end.ended or (end.peer is not None and end.peer.out is not None)
        self.watch(end, (0 if paused else IN) | (0 if end.out is None else OUT))

    def keep(self, end: End, rest: memoryview | None) -> None:
        """Set what ``end`` has not taken yet."""
        slot = self._slot
        if end.out is not None:
            slot[PENDING] -= len(end.out)
            if rest is None:
                self.stalled.pop(end.fd, None)
        if rest is not None:
            slot[PENDING] += len(rest)
            if end.out is None:
                self.stalled[end.fd], end.since = end, time.monotonic()
        end.out = rest
        self._space = self._record if slot[PENDING] > self._limits.pending else self._buffer

    # Both turns run for all that passes, so they are written out: a call more costs a percent. What
    # passes is counted once it is on its way, as the other side waits for it.

    def client(self, end: End, event: int) -> None:
        """The turn of a client that is through: a record, and more while they come in full."""
        if event != IN or end.out is not None:
            self._writable(end, event)
            if not self._has_bytes(end, event):
                return
        peer, exchange = end.peer, end.exchange
        if peer is None or exchange is None:
            return
        record, tally, records = self._record, self._tally, 0
        while True:
            try:
                size = end.read(record)
            except WAIT:
                return
            except ssl.SSLZeroReturnError:  # the peer's close_notify, once ours is out
                size = 0
            if not size:
                end.ended = True
                self._after(end, peer)
                return
            try:
                sent = peer.write(record[:size])
            except BlockingIOError:
                sent = 0
            tally.bytes_in += size
            exchange.from_client(size)
            if sent < size:
                self.keep(peer, memoryview(bytes(record[sent:size])))
                self._after(end, peer)
                return
            records += 1
            if size < RECORD or records == _RECORDS_PER_TURN:
                return

    def workload(self, end: End, event: int) -> None:
        """The turn of a workload's connection: all that is there, up to the buffer's size."""
        if event != IN or end.out is not None:
            self._writable(end, event)
            if not self._has_bytes(end, event):
                return
        peer, exchange = end.peer, end.exchange
        if peer is None or exchange is None:
            return
        buffer = self._space
        try:
            size = end.read(buffer)
        except BlockingIOError:
            return
        if not size:
            end.ended = True
            self._after(end, peer)
            return
        try:
            sent = (peer.write_records if size > RECORD else peer.write)(buffer[:size])
        except WAIT:
            sent = 0
        self._tally.bytes_out += size
        exchange.from_workload(size)
        if sent < size:  # a retried TLS write must offer the same bytes
            self.keep(peer, memoryview(bytes(buffer[sent:size])))
            self._after(end, peer)

    def _has_bytes(self, end: End, event: int) -> bool:
        """Tell whether there is something to read; a broken socket without is dropped."""
        if event & IN or (event & _BROKEN and not end.ended):
            return True
        if event & _BROKEN:
            self._drop(end, cut=True)
        return False

    def _writable(self, end: End, event: int) -> None:
        if end.out is None or not event & (OUT | _BROKEN):
            return
        try:
            sent = end.write(end.out)
        except WAIT:
            return
        self.keep(end, end.out[sent:] if sent < len(end.out) else None)
        if end.out is None and end.peer is not None:
            self._after(end.peer, end)

    def _after(self, end: End, peer: End) -> None:
        """Pass on the end of a stream, close when both have ended, else set what is watched."""
        if end.ended and peer.out is None and not peer.finished:
            peer.finish(self._spare)
            if peer.out is not None:
                self._keep_alert(peer)
        if end.done() and peer.done():
            self._drop(end, cut=False)
            return
        self.interest(end)
        self.interest(peer)

    def _keep_alert(self, peer: End) -> None:
        rest, peer.out = peer.out, None
        self.keep(peer, rest)
