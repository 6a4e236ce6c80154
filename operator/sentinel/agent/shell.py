"""A shell under the guard, over one connection: frames of type, length and payload."""

from __future__ import annotations

import fcntl
import os
import signal
import ssl
import struct
import termios
import threading
from contextlib import suppress
from typing import Callable, List  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import program
from sentinel.agent.children import Children
from sentinel.agent.errors import Refusal
from sentinel.agent.http import Ended, Request, Stream
from sentinel.agent.query import parameters

PROTOCOL = "garrison-shell/1"
STDIN, STDOUT, STDERR, RESIZE, EXIT, END = range(6)
MAX_PAYLOAD = 64 * 1024
_HEAD = struct.Struct(">BI")
_SIZE = struct.Struct(">HH")
_SHELLS = ("/bin/bash", "/bin/sh", "/bin/ash")
_ON_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
_POLL_SECONDS, _REST_SECONDS = 15.0, 0.2

Start = Callable[[List[str], List[int], bool], int]  # noqa: UP006
"""Starts a command with three streams, on a terminal or not; returns its pid."""


def command(request: Request) -> list[str]:
    """Return what to run: the call's ``cmd`` by a shell, else a shell. Raises Refusal."""
    shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), "")
    if not shell:
        raise Refusal(422, "CannotExecute", "the image has no shell")
    given = parameters(request.query).get("cmd", "")
    return [shell, "-c", given] if given else [shell]


class Shell:
    """One session; ``serve`` returns when either side has ended."""

    def __init__(self, request: Request, stream: Stream) -> None:
        self._stream = stream
        self._tty = parameters(request.query).get("tty") == "1"
        self._argv = command(request)
        self._size = _size(request)
        self._code: int | None = None
        self._over, self._say_over = os.pipe()
        self._pid = 0
        self._outputs: dict[int, int] = {}
        self._input = -1
        self._held = self._unfed = b""

    def serve(self, start: Start, children: Children) -> None:
        """Run the command and pass frames. Raises Refusal when it cannot be executed."""
        try:
            self._begin(start, children)
            self._stream.begin(101, "", "Connection: Upgrade", f"Upgrade: {PROTOCOL}")
            self._pass_frames()
        except Ended:
            return
        finally:
            self._end()

    def _begin(self, start: Start, children: Children) -> None:
        theirs = self._terminal() if self._tty else self._pipes()
        argv = program.python(_ON_TERMINAL, *self._argv) if self._tty else self._argv
        try:
            self._pid = children.start(lambda: start(argv, theirs, self._tty), self._ended)
        except OSError as error:
            raise Refusal(422, "CannotExecute", f"{argv[0]}: {error.strerror}") from error
        finally:
            for fd in set(theirs):
                os.close(fd)

    def _terminal(self) -> list[int]:
        ours, theirs = os.openpty()
        self._outputs, self._input = {ours: STDOUT}, ours
        self._resize(_SIZE.pack(*self._size))
        os.set_blocking(ours, False)
        return [theirs] * 3

    def _pipes(self) -> list[int]:
        theirs_in, self._input = os.pipe()
        (out, theirs_out), (err, theirs_err) = os.pipe(), os.pipe()
        self._outputs = {out: STDOUT, err: STDERR}
        os.set_blocking(self._input, False)
        return [theirs_in, theirs_out, theirs_err]

    def _ended(self, code: int) -> None:
        self._code = code
        with suppress(OSError):
            os.write(self._say_over, b"x")
        os.close(self._say_over)

    def _pass_frames(self) -> None:
        sock = self._stream.socket
        open_ = dict(self._outputs)
        while open_:
            buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() and not self._unfed
            wanted = list(open_)
            if self._code is None:
                wanted += [self._over] if self._unfed else [self._over, sock.fileno()]
            wait = 0 if buffered else _POLL_SECONDS if self._code is None else _REST_SECONDS
            ready = program.readable(wanted, wait, self._input if self._unfed else -1)
            if self._unfed:
                self._feed(b"")
                self._frames()
            elif buffered or sock.fileno() in ready:
                self._take(sock.recv(MAX_PAYLOAD))
            for fd in [fd for fd in ready if fd in open_]:
                if not self._give(fd, open_[fd]):
                    del open_[fd]
            if self._code is not None and not ready:
                break  # it has ended, and what it left behind keeps its streams open
        self._finish()

    def _finish(self) -> None:
        if self._code is None:
            program.readable([self._over], _POLL_SECONDS)
        self._send(EXIT, bytes((255 if self._code is None else self._code,)))

    def _give(self, fd: int, kind: int) -> bool:
        try:
            data = os.read(fd, MAX_PAYLOAD)
        except BlockingIOError:
            return True
        except OSError:  # a terminal's end
            return False
        if data:
            self._send(kind, data)
        return bool(data)

    def _send(self, kind: int, payload: bytes) -> None:
        self._stream.write(_HEAD.pack(kind, len(payload)) + payload)

    def _take(self, data: bytes) -> None:
        if not data:
            raise Ended
        self._held += data
        self._frames()

    def _frames(self) -> None:
        while len(self._held) >= _HEAD.size and not self._unfed:
            kind, size = _HEAD.unpack_from(self._held)
            if size > MAX_PAYLOAD:
                raise Ended
            if len(self._held) < _HEAD.size + size:
                return
            payload = self._held[_HEAD.size : _HEAD.size + size]
            self._held = self._held[_HEAD.size + size :]
            self._frame(kind, payload)

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind == STDIN:
            self._feed(payload)
        elif kind == RESIZE and self._tty and len(payload) == _SIZE.size:
            self._resize(payload)
        elif kind == END and self._tty:
            self._feed(b"\x04")
        elif kind == END and self._input >= 0:
            os.close(self._input)  # frames before it were fed in full: see _pass_frames
            self._input = -1

    def _feed(self, payload: bytes) -> None:
        """Hand on input; what does not fit holds up the client, not the command's output."""
        self._unfed += payload
        with suppress(BlockingIOError):
            while self._unfed and self._input >= 0:
                self._unfed = self._unfed[self._write_some() :]

    def _write_some(self) -> int:
        try:
            return os.write(self._input, self._unfed)
        except BrokenPipeError:
            return len(self._unfed)

    def _resize(self, payload: bytes) -> None:
        rows, columns = _SIZE.unpack(payload)
        with suppress(OSError):
            fcntl.ioctl(self._input, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _end(self) -> None:
        if self._pid and self._code is None:
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGHUP)
            threading.Timer(2.0, self._kill).start()
        unheard = set() if self._pid else {self._say_over}
        for fd in {*self._outputs, self._input, self._over, *unheard} - {-1}:
            os.close(fd)

    def _kill(self) -> None:
        if self._code is None:
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)


def _size(request: Request) -> tuple[int, int]:
    query = parameters(request.query)
    numbers = [query.get(name, "") for name in ("rows", "cols")]
    rows, columns = (int(each) if each.isdigit() and len(each) < 5 else 0 for each in numbers)
    return rows or 24, columns or 80
