"""Copies of connections: held while another process has the socket, and no longer."""

from __future__ import annotations

import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest

from sentinel.guard.connections import Connections
from sentinel.guard.handover import done_by
from sentinel.guard.loop import Loop
from sentinel.guard.tracee import Tracees

WAITS = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
PATIENCE, QUIET = 20.0, 0.5
NOWHERE = 99999
"""No descriptor has this number."""
_T = TypeVar("_T")


class CountingLoop(Loop):
    """Counts how often it was asked to call later."""

    timers = 0

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.timers += 1
        super().later(seconds, callback)


class Stage:
    """A running loop, and connections to a server of the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.faults: list[BaseException] = []
        self.loop = CountingLoop(self.faults.append)
        self.tracees = Tracees()
        self.connections = Connections(self.loop, self.tracees)
        self._server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        thread = threading.Thread(target=self.loop.run)
        thread.start()
        stack.callback(self.loop.close)
        stack.callback(thread.join)
        stack.callback(self.loop.stop)

    def does(self, job: Callable[[], _T]) -> _T:
        return done_by(self.loop.call, job)

    def joined(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection, the far one with patience."""
        near = self._stack.enter_context(socket.create_connection(self._server.getsockname()))
        far, _ = self._server.accept()
        self._stack.enter_context(far)
        far.settimeout(PATIENCE)
        return near, far

    def process_with(self, one: socket.socket) -> subprocess.Popen[bytes]:
        """Start a process that has the socket, under the same number."""
        process = subprocess.Popen(WAITS, stdin=subprocess.PIPE, pass_fds=[one.fileno()])
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def hold(self, near: socket.socket, process: int, number: int) -> None:
        """Hand the near end over, so that this process has no other descriptor of it."""
        inode = os.fstat(near.fileno()).st_ino
        copy = near.detach()
        self.does(lambda: self.connections.hold(inode, copy, (process, number)))

    def held(self) -> int:
        return self.does(lambda: len(self.connections))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        made = Stage(stack)
        yield made
        made.does(made.connections.close)
        assert made.faults == []


def is_open(far: socket.socket) -> bool:
    """Whether the far end is told nothing for several looks."""
    far.settimeout(QUIET)
    try:
        return far.recv(1) != b""
    except TimeoutError:
        return True
    finally:
        far.settimeout(PATIENCE)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("moved", [False, True], ids=["where it was", "in another process"])
def test_a_copy_is_held_while_a_process_has_the_socket(stage: Stage, *, moved: bool) -> None:
    near, far = stage.joined()
    process = stage.process_with(near)
    stage.hold(near, process.pid, NOWHERE if moved else near.fileno())
    assert is_open(far)
    assert stage.held() == 1
    process.kill()
    assert far.recv(1) == b""
    until(lambda: stage.held() == 0)


def test_it_ends_the_connection_when_a_policy_wants_that(stage: Stage) -> None:
    near, far = stage.joined()
    inode = os.fstat(near.fileno()).st_ino
    process = stage.process_with(near)
    stage.hold(near, process.pid, near.fileno())
    ((found, copy),) = stage.does(lambda: list(stage.connections.copies({inode, inode + 1})))
    with socket.socket(fileno=copy) as one:
        one.shutdown(socket.SHUT_RDWR)
    assert found == inode
    assert stage.held() == 0
    assert process.poll() is None
    assert far.recv(1) == b""


def test_nothing_wakes_the_guard_without_copies(stage: Stage) -> None:
    near, far = stage.joined()
    stage.hold(near, os.getpid(), NOWHERE)
    assert far.recv(1) == b""
    until(lambda: stage.held() == 0)
    before = stage.loop.timers
    time.sleep(QUIET)
    assert stage.loop.timers == before


def test_of_too_many_the_oldest_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (12, 12))
    few = Connections(stage.loop, stage.tracees)
    pairs = [stage.joined() for _ in range(4)]
    copies = [near.detach() for near, _ in pairs]

    def hold() -> int:
        for inode, copy in enumerate(copies):
            few.hold(inode, copy, (os.getpid(), NOWHERE))
        return len(few)

    assert stage.does(hold) == 3
    assert pairs[0][1].recv(1) == b""
    stage.does(few.close)


def test_giving_up_a_copy_waits_for_nobody(stage: Stage) -> None:
    near, far = stage.joined()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
    fill(near)
    stage.hold(near, os.getpid(), NOWHERE)
    until(lambda: stage.held() == 0)
    while far.recv(1 << 20):
        continue


def fill(near: socket.socket) -> None:
    """Send more than the far end takes."""
    near.setblocking(False)
    try:
        while near.send(bytes(1 << 16)):
            continue
    except BlockingIOError:
        near.setblocking(True)
