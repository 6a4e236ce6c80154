"""Small programs beside the agent: their text runs in a Python of its own, under the guard."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from sentinel.agent.children import Children
from sentinel.agent.errors import Refusal
from sentinel.agent.guarding import Guarding

_CHUNK = 65536


def source(name: str) -> str:
    """Return the text of a module of this folder, also from inside the zipapp."""
    loader: Any = sys.modules["sentinel"].__loader__
    text: str = loader.get_source(f"sentinel.agent.{name}")
    return text


def python(text: str, *arguments: str) -> list[str]:
    """Return the command that runs ``text``."""
    return [sys.executable, "-I", "-S", "-c", text, *arguments]


def readable(fds: list[int], seconds: float, writable: int = -1) -> list[int]:
    """Return which of ``fds`` have something to read, or ``writable`` takes more."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    if writable >= 0:
        poll.register(writable, select.POLLOUT | (select.POLLIN if writable in fds else 0))
    return [fd for fd, _ in poll.poll(seconds * 1000)]


class Program:
    """A process with pipes for its input and output; errors go to the agent's own."""

    def __init__(
        self, guarding: Guarding, children: Children, argv: list[str], env: dict[str, str]
    ) -> None:
        """Start it. Raises Refusal."""
        self.pid = 0
        theirs_in, self._in = os.pipe()
        self._out, theirs_out = os.pipe()
        self._over = threading.Event()
        try:
            streams = [theirs_in, theirs_out, 2]
            self.pid = children.start(
                lambda: guarding.spawn(argv, env, streams), lambda _code: self._over.set()
            )
        except OSError as error:
            self._over.set()
            self.close()
            raise Refusal(500, "CannotExecute", f"{argv[0]}: {error.strerror}") from error
        except Refusal:
            self._over.set()
            self.close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Write to its input."""
        with suppress(OSError):
            os.write(self._in, data)

    def end_input(self) -> None:
        """Close its input."""
        if self._in >= 0:
            os.close(self._in)
            self._in = -1

    def line(self, seconds: float) -> bytes:
        """Return its next line, empty when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, deadline - time.monotonic())
            ready = readable([self._out], left)
            data = os.read(self._out, _CHUNK) if ready else b""
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        """End it, if it still runs."""
        self.end_input()
        os.close(self._out)
        if not self._over.is_set():
            with suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
