"""Hands sockets of the workload's network namespace to the relay's workers (rung relay)."""

from __future__ import annotations

import socket
import threading

from sentinel.guard.guard import Guard


class Vendor:
    """Gives one unconnected TCP socket to whoever connects; the address is abstract, in memory.

    The workload cannot connect: abstract addresses belong to a network namespace, and it has its
    own.
    """

    def __init__(self, guard: Guard) -> None:
        """Give sockets that ``guard`` makes, from a thread."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind("")  # the kernel chooses a free abstract name
        self._listener.listen(64)
        self.address = bytes(self._listener.getsockname())[1:].decode("ascii")
        threading.Thread(target=self._serve, args=(guard,), daemon=True, name="vendor").start()

    def _serve(self, guard: Guard) -> None:
        while True:
            asking, _ = self._listener.accept()
            with asking, guard.workload_socket() as made:
                try:
                    socket.send_fds(asking, [b"s"], [made.fileno()])
                except OSError:
                    continue
