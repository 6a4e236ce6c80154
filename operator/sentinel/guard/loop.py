"""One epoll loop: descriptors, timers, and calls from other threads."""

from __future__ import annotations

import heapq
import os
import select
import time
from collections import deque
from collections.abc import Callable
from itertools import count

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_IDLE_SECONDS, _MOST_EVENTS = 5.0, 64


class Loop:
    """Everything but ``call`` belongs to the thread that runs it."""

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._epoll = select.epoll()
        self._others, self._first = self._epoll.fileno(), -1
        self._direct: select.poll | None = None
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._on_fault = on_fault
        self._running = True
        self.watch(self._wake_read, self._woken)

    def watch(self, descriptor: int, callback: Callable[[int], None], events: int = READ) -> None:
        """Call ``callback`` with the events of the descriptor."""
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, events)

    def watch_directly(self, descriptor: int, callback: Callable[[int], None]) -> None:
        """Watch one descriptor beside epoll and not through it; call it before ``run``.

        Whoever wakes a waiting thread may say where it is to run on, as ``Listener`` asks of the
        kernel. That reaches poll(), but is lost on the way through epoll.
        """
        self._callbacks[descriptor], self._first = callback, descriptor
        self._direct = select.poll()
        self._direct.register(self._others, READ)
        self._direct.register(descriptor, READ)

    def rewatch(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching, before the descriptor is closed."""
        if not self._callbacks.pop(descriptor, None):
            return
        if descriptor == self._first:
            self._direct, self._first = None, -1
        else:
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call once, after a time."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), callback))

    def call(self, callback: Callable[[], None]) -> None:
        """Call soon, from any thread."""
        self._calls.append(callback)
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:
            return

    def stop(self) -> None:
        """End ``run``, from any thread."""
        self.call(self._stop)

    def run(self) -> None:
        """Serve until stopped; what a callback raises is reported and ends nothing."""
        while self._running:
            patience = self._fire() if self._timers else _IDLE_SECONDS
            for descriptor, events in self._ready(patience):
                if callback := self._callbacks.get(descriptor):
                    try:
                        callback(events)
                    except Exception as error:  # noqa: BLE001 -- one fault must not stop the rest
                        self._on_fault(error)

    def _ready(self, patience: float) -> list[tuple[int, int]]:
        if self._direct is None:
            return self._epoll.poll(patience, _MOST_EVENTS)
        ready = self._direct.poll(patience * 1000)
        if ready and ready[0][0] == self._others:  # it was registered first
            ready[:1] = self._epoll.poll(0, _MOST_EVENTS)
        return ready

    def close(self) -> None:
        """Give back the descriptors of the loop itself."""
        self._epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _stop(self) -> None:
        self._running = False

    def _fire(self) -> float:
        """Call what is due; returns for how many seconds nothing else is."""
        now = time.monotonic()
        while self._timers and (left := self._timers[0][0] - now) <= 0:
            self._guarded(heapq.heappop(self._timers)[2])
        return min(left + 0.0005, _IDLE_SECONDS) if self._timers else _IDLE_SECONDS

    def _woken(self, _events: int) -> None:
        os.read(self._wake_read, 4096)
        while self._calls:
            self._guarded(self._calls.popleft())

    def _guarded(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 -- as above
            self._on_fault(error)
