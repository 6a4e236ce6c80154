"""One epoll loop: descriptors, timers, and calls from other threads."""

from __future__ import annotations

import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_IDLE_SECONDS, _MOST_EVENTS = 5.0, 64


class Loop:
    """Everything but ``call`` and ``stop`` belongs to who has ``turn``: the loop in its callbacks.

    Another thread that takes its turn may do all that a callback may.
    """

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._epoll = select.epoll()
        self.turn = threading.Lock()
        self._runner = threading.get_ident()
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

    def rewatch(self, descriptor: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching, before the descriptor is closed."""
        if self._callbacks.pop(descriptor, None):
            self._epoll.unregister(descriptor)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call once, after a time."""
        timer = (time.monotonic() + seconds, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer and threading.get_ident() != self._runner:
            self._wake()  # it waits for a later one

    def call(self, callback: Callable[[], None]) -> None:
        """Call soon, from any thread."""
        self._calls.append(callback)
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:
            return

    def stop(self) -> None:
        """End ``run``, from any thread."""
        self.call(self._stop)

    def run(self) -> None:
        """Serve until stopped; what a callback raises is reported and ends nothing."""
        self._runner = threading.get_ident()
        while self._running:
            with self.turn:
                patience = self._fire()
            for descriptor, events in self._epoll.poll(patience, _MOST_EVENTS):
                with self.turn:
                    if callback := self._callbacks.get(descriptor):
                        self._guarded(partial(callback, events))

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
        except Exception as error:  # noqa: BLE001 -- one fault must not stop the rest
            self._on_fault(error)
