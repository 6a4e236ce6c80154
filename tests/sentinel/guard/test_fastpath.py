"""The short way to an answer gives the long way's, for every socket and every address."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sentinel.guard import kernel, ladder
from sentinel.guard.audit import Audit, Record
from sentinel.guard.connects import Connects
from sentinel.guard.fastpath import FastPath, OwnFastPath
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener, question_of
from sentinel.guard.policy import parse_policy
from sentinel.guard.sockets import KeptSockets
from sentinel.guard.tracee import Tracees
from sentinel.guard.verdict import Decider

NOTIFICATION = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, thread, flags; number, architecture, instruction; arguments."""
QUESTION, ROOM = 7, 256
NOBODY_LISTENS = 1
MULTICAST = "224.0.0.9"
"""Allowed, and yet no packet leaves: TCP has no way to a group."""
POLICY = {"allow": [{"cidr": f"{MULTICAST}/32", "ports": [80]}]}
RUNGS = {rung.name: rung for rung in ladder.RUNGS if rung.name in ("strict", "addfd")}


class Hearer(Listener):
    """A listener whose questions are the test's, and whose answers are kept."""

    def __init__(self) -> None:
        self.descriptor, self.keeps_answers = -1, True
        self.answers: list[tuple[int, int, int]] = []
        self.still_asked = True

    def answer(self, question: int, *, value: int = 0, error: int = 0, flags: int = 0) -> bool:
        assert question == QUESTION
        self.answers.append((value, error, flags))
        return True

    def waits(self, question: int) -> bool:
        return self.still_asked and question == QUESTION


class Outcome(NamedTuple):
    """All that a connect leaves behind."""

    answers: list[tuple[int, int, int]]
    raised: int
    totals: dict[str, int]
    records: list[Record]
    led_out: list[tuple[bytes, int]]
    waiting: int
    kept: tuple[int, int]
    blocks: bool | None
    peer: Any


class Asking:
    """Asks about connects of this process itself."""

    def __init__(self, rung: ladder.Rung, *, fast: bool) -> None:
        self.rung = rung
        self.records: list[Record] = []
        self.listener, self.tracees = Hearer(), Tracees()
        self.audit, self.loop = Audit(self.records.append), Loop(_raise)
        self.decider = Decider(parse_policy(POLICY), time.monotonic)
        self.kept = KeptSockets(self.loop, self.tracees)
        parts = self.listener, self.tracees, self.decider, self.audit
        self.connects = Connects(self.loop, *parts, rung, self.kept, kernel_unix=True)
        self.fast: FastPath | None = None
        if fast and rung.connect == ladder.COPY:
            self.fast = FastPath(*parts, self.connects)
        elif fast:
            self.fast = OwnFastPath(*parts, self.connects, self.kept)
        self.was_fast = False

    def prepare(self, address: int, made: int) -> None:
        """Let the thread be known, and its socket be one of the guard's making."""
        if self.rung.connect == ladder.COPY:
            self.tracees.address_and_descriptor(os.getpid(), address, 16, 0)
            return
        with socket.socket() as any_one:
            self.tracees.address_and_inode(os.getpid(), address, 16, any_one.fileno())
        if made >= 0:
            self.kept.keep(os.dup(made))

    def about(self, descriptor: int, address: int, length: int) -> Outcome:
        """Answer one question and return what came of it."""
        thread, number = os.getpid(), kernel.NUMBERS["connect"]
        arguments = (descriptor & 0xFFFFFFFF, address, length, 0, 0, 0)
        request = bytearray(NOTIFICATION.pack(QUESTION, thread, 0, number, 0, 0, *arguments))
        raised = 0
        try:
            if self.fast is None or not self.fast.answered(request):
                self.connects.answer(question_of(request))
            else:
                self.was_fast = True
        except OSError as error:
            raised = error.errno or -1
        return self._outcome(descriptor, raised)

    def _outcome(self, descriptor: int, raised: int) -> Outcome:
        led_out = list(self.connects.outbound._known.values())
        waiting = list(self.connects._pending.values())
        for pending in waiting:
            self.connects._drop(pending)
        for record in self.records:
            del record["time"]
        return Outcome(
            answers=self.listener.answers,
            raised=raised,
            totals=self.audit.totals,
            records=self.records,
            led_out=led_out,
            waiting=len(waiting),
            kept=(len(self.kept._kept), len(self.kept._connections)),
            blocks=_blocks(descriptor),
            peer=_peer(descriptor),
        )

    def close(self) -> None:
        self.kept.close()
        self.tracees.close()
        self.loop.close()


def _raise(error: BaseException) -> None:
    raise error


def _blocks(descriptor: int) -> bool | None:
    try:
        return os.get_blocking(descriptor)
    except OSError:
        return None


def _peer(descriptor: int) -> Any:
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            return one.getpeername()
    except OSError as error:
        return error.errno


class Place(NamedTuple):
    """Addresses of one run: a server, one whose queue is full, a port that is closed to all."""

    open: int
    full: int
    closed: int


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=backlog))
            for backlog in (4096, 0, 5)
        ]
        ports = [each.getsockname()[1] for each in servers]
        for _ in range(4):  # more than the queue takes
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", ports[1]))
        yield Place(*ports)


def four(host: str, port: int) -> bytes:
    return (
        struct.pack("=H", socket.AF_INET)
        + struct.pack(">H", port)
        + socket.inet_aton(host)
        + bytes(8)
    )


def six(host: str, port: int) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, host)
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI", port, 0) + packed + bytes(4)


ADDRESSES: dict[str, Callable[[Place], bytes]] = {
    "open": lambda place: four("127.0.0.1", place.open),
    "open, mapped": lambda place: six("::ffff:127.0.0.1", place.open),
    "any": lambda place: four("0.0.0.0", place.open),
    "nobody": lambda _place: four("127.0.0.1", NOBODY_LISTENS),
    "nobody, IPv6": lambda _place: six("::1", NOBODY_LISTENS),
    "full": lambda place: four("127.0.0.1", place.full),
    "closed": lambda place: four("127.0.0.1", place.closed),
    "allowed outside": lambda _place: four(MULTICAST, 80),
    "another port outside": lambda _place: four(MULTICAST, 81),
    "denied outside": lambda _place: four("203.0.113.9", 80),
    "denied outside, IPv6": lambda _place: six("2001:db8::9", 80),
    "short of IPv6": lambda _place: six("::1", NOBODY_LISTENS)[:16],
    "long": lambda place: four("127.0.0.1", place.open) + bytes(12),
    "no family": lambda _place: bytes(16),
    "unix": lambda _place: struct.pack("=H", socket.AF_UNIX) + b"\0garrison-test" + bytes(1),
    "odd": lambda place: four("127.0.0.1", place.open)[:15],
    "too long": lambda _place: bytes(129),
}
ALLOWED = {
    "open",
    "open, mapped",
    "any",
    "nobody",
    "nobody, IPv6",
    "full",
    "allowed outside",
    "long",
}
SOCKETS: dict[str, Callable[[Place], Any]] = {
    "tcp": lambda _place: socket.socket(),
    "tcp, non-blocking": lambda _place: _unblocked(socket.socket()),
    "tcp, IPv6": lambda _place: socket.socket(socket.AF_INET6),
    "tcp, connected": lambda place: socket.create_connection(("127.0.0.1", place.open)),
    "tcp, listening": lambda _place: socket.create_server(("127.0.0.1", 0)),
    "udp": lambda _place: socket.socket(type=socket.SOCK_DGRAM),
    "unix": lambda _place: socket.socket(socket.AF_UNIX),
    "netlink": lambda _place: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "a pipe": lambda _place: os.fdopen(os.pipe()[0]),
}
MADE_BY_US = {"tcp", "tcp, non-blocking", "tcp, IPv6", "unix"}
"""Not those that are connected or listen: the guard gives these up."""


def _unblocked(one: socket.socket) -> socket.socket:
    one.setblocking(False)
    return one


class Case(NamedTuple):
    """One connect: on which rung, by which socket, whereto, and what else is special."""

    rung: str
    kind: str
    address: str = "open"
    pointer: int | None = None
    gone: bool = False


def outcome(place: Place, case: Case, *, fast: bool) -> tuple[Outcome, bool]:
    """Return what came of one connect, and whether the short way was taken."""
    raw = ADDRESSES[case.address](place)
    memory = ctypes.create_string_buffer(raw, ROOM)
    here = ctypes.addressof(memory)
    with closing(Asking(RUNGS[case.rung], fast=fast)) as asking, SOCKETS[case.kind](place) as one:
        asking.decider.closed_loopback_ports.add(place.closed)
        asking.prepare(here, one.fileno() if case.kind in MADE_BY_US else -1)
        asking.listener.still_asked = not case.gone
        pointer = here if case.pointer is None else case.pointer
        return asking.about(one.fileno(), pointer, len(raw)), asking.was_fast


def both(place: Place, case: Case) -> bool:
    """Return whether the short way was taken; what came of it is the same."""
    (short, was_fast), (long, _) = (outcome(place, case, fast=fast) for fast in (True, False))
    assert short == long, case
    return was_fast


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize("rung", RUNGS)
def test_both_ways_leave_the_same_behind(place: Place, rung: str, kind: str) -> None:
    taken = {address for address in ADDRESSES if both(place, Case(rung, kind, address))}
    ours = kind.startswith("tcp") and (rung == "strict" or kind in MADE_BY_US)
    assert taken == (ALLOWED if ours else set())


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("pointer", [0, 1, 1 << 47, (1 << 63) - 8, 1 << 63, (1 << 64) - 1])
def test_a_wrong_pointer_is_a_fault_of_who_gave_it(place: Place, rung: str, pointer: int) -> None:
    case = Case(rung, "tcp", pointer=pointer)
    assert not both(place, case)
    assert outcome(place, case, fast=True)[0].raised == errno.EFAULT


@pytest.mark.parametrize("rung", RUNGS)
def test_nothing_is_done_for_who_does_not_wait(place: Place, rung: str) -> None:
    case = Case(rung, "tcp", gone=True)
    assert not both(place, case)
    assert outcome(place, case, fast=True)[0].answers == []


def descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


@contextmanager
def waiting(amount: int) -> Iterator[list[int]]:
    """Give the numbers of threads of this process that do nothing."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(amount)]
    for each in threads:
        each.start()
    try:
        yield [each.native_id or 0 for each in threads]
    finally:
        end.set()
        for each in threads:
            each.join()


@pytest.mark.parametrize("rung", RUNGS)
def test_of_few_threads_descriptors_are_kept(monkeypatch: pytest.MonkeyPatch, rung: str) -> None:
    monkeypatch.setattr("sentinel.guard.tracee._MAX_OPEN", 3)
    memory = ctypes.create_string_buffer(16)
    before = descriptors()
    with closing(Tracees()) as tracees, socket.socket() as one, waiting(8) as threads:
        for thread in [*threads, *reversed(threads)]:
            asked = thread, ctypes.addressof(memory), 16, one.fileno()
            if RUNGS[rung].connect == ladder.COPY:
                os.close(tracees.address_and_descriptor(*asked)[1])
            else:
                tracees.address_and_inode(*asked)
            assert thread in tracees.known
            assert len(descriptors() - before) <= 1 + 2 * 3
    assert descriptors() == before
