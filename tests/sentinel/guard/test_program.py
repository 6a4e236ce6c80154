"""What the seccomp programs say to each call, in numbers of the kernel's own; and that nothing in
them can be left out without a row here noticing."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sentinel.guard.kernel import MACHINE
from sentinel.guard.ladder import OBSERVING, RUNGS
from sentinel.guard.program import notify_program, plain_program
from tests.sentinel.guard.bpf import Program

pytestmark = pytest.mark.skipif(MACHINE != "x86_64", reason="the numbers here are those of x86_64")

X86_64, I386, X32 = 0xC000003E, 0x40000003, 0x40000000
JUNK = 0xDEADBEEF << 32
"""In the upper half of a register: the kernel does not look there for an int."""
ALLOW, ASK, KILL, PRETEND = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
NO_CALL, PERMISSION = PRETEND | errno.ENOSYS, PRETEND | errno.EPERM
ACCESS, NO_FAMILY = PRETEND | errno.EACCES, PRETEND | errno.EAFNOSUPPORT
CALLS = {
    "read": 0,
    "socket": 41,
    "connect": 42,
    "accept": 43,
    "sendto": 44,
    "sendmsg": 46,
    "bind": 49,
    "listen": 50,
    "socketpair": 53,
    "setsockopt": 54,
    "execve": 59,
    "kill": 62,
    "ptrace": 101,
    "rt_sigqueueinfo": 129,
    "prctl": 157,
    "tkill": 200,
    "tgkill": 234,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "openat": 257,
    "unshare": 272,
    "rt_tgsigqueueinfo": 297,
    "sendmmsg": 307,
    "bpf": 321,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "pidfd_getfd": 438,
}
"""Source: the kernel's ``syscall_64.tbl``."""
UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
STREAM, DATAGRAM, RAW, SEQUENCED, DCCP, PACKET = 1, 2, 3, 5, 6, 10
FLAGS = 0o2004000
"""SOCK_CLOEXEC and SOCK_NONBLOCK."""
OTHER_FAMILIES = (0, 3, 9, 17, 21, 26, 29, 30, 31, 38, 40, 41, 42, 43, 44, 45)
"""Packet, RDS, LLC, CAN, TIPC, Bluetooth, ALG, VSOCK, KCM, QIPCRTR, SMC, XDP, MCTP, and older ones."""
FAST_OPEN, OTHER_BITS = 0x20000000, 0xDFFFFFFF
GUARD = 77


class Row(NamedTuple):
    call: str
    arguments: tuple[int, ...]
    want: int
    architecture: int = X86_64
    bits: int = 0


def everywhere() -> Iterator[Row]:
    """What every program says."""
    yield Row("read", (), KILL, architecture=I386)
    yield Row("connect", (3, 0, 16), KILL, architecture=I386)
    for call in ("connect", "read"):
        yield Row(call, (3, 0, 16), NO_CALL, bits=X32)
    for call in ("io_uring_setup", "io_uring_enter", "io_uring_register", "request_key"):
        yield Row(call, (), NO_CALL)
    for call in ("bpf", "pidfd_getfd"):
        yield Row(call, (5, 5, 5), PERMISSION)
    for call in ("read", "bind", "accept", "execve", "openat", "unshare", "ptrace"):
        yield Row(call, (INET, STREAM, FAST_OPEN, FAST_OPEN), ALLOW)
    yield Row("read", (3, 0, 4), ALLOW)
    for call in ("add_key", "keyctl"):  # these look nothing up
        yield Row(call, (), ALLOW)
    yield Row("prctl", (4, 0), PRETEND)
    yield Row("prctl", (4 | JUNK, 0), PRETEND)
    yield Row("prctl", (4, 1), ALLOW)
    yield Row("prctl", (15, 0), ALLOW)
    yield Row("socketpair", (UNIX, STREAM | FLAGS), ALLOW)
    for option in (4, 4 | JUNK):
        yield Row("setsockopt", (3, 0, option), PERMISSION)
    for option in (57, 5, 6):
        yield Row("setsockopt", (3, 41, option), PERMISSION)
        yield Row("setsockopt", (3, 6, option), ALLOW)
    for level, option in ((0, 1), (0, 5), (41, 26), (41, 4), (1, 2), (1, 4), (6, 4), (4, 4)):
        yield Row("setsockopt", (3, level, option), ALLOW)
    for family in (UNIX, NETLINK):
        yield Row("socket", (family, RAW, 262), ALLOW)


def sends(refusal: int) -> Iterator[Row]:
    """Calls that connect, and the same calls when they do not."""
    for length in (16, 28, 128, 16 | JUNK):
        yield Row("connect", (3, 0, length), refusal)
    for length in (0, 2, 15, 15 | JUNK):
        yield Row("connect", (3, 16, length), ALLOW)
    for call, place in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        for bits, want in ((FAST_OPEN, refusal), (FAST_OPEN | 1, refusal), (OTHER_BITS, ALLOW)):
            arguments = [FAST_OPEN if bits == OTHER_BITS else 0] * 6
            arguments[place] = bits
            yield Row(call, tuple(arguments), want)


def sockets(streams: int, datagrams: int, refused: int, no_family: int) -> Iterator[Row]:
    """Sockets of the internet, of other families, and pairs."""
    for family in (INET, INET6, INET | JUNK):
        for protocol in (0, 6):
            yield Row("socket", (family, STREAM, protocol), streams)
            yield Row("socket", (family, STREAM | FLAGS, protocol), streams)
        for protocol in (262, 132, 256, 17):  # MPTCP, SCTP, SMC
            yield Row("socket", (family, STREAM, protocol), refused)
        for protocol in (0, 17):
            yield Row("socket", (family, DATAGRAM | FLAGS, protocol), datagrams)
        for protocol in (1, 58, 136, 6):  # ping, UDP-Lite
            yield Row("socket", (family, DATAGRAM, protocol), refused)
        for kind, protocol in ((RAW, 0), (RAW, 6), (RAW, 255), (SEQUENCED, 132), (DCCP, 33)):
            yield Row("socket", (family, kind, protocol), refused)
        yield Row("socket", (family, PACKET, 0), refused)
        yield Row("socketpair", (family, STREAM, 0), no_family)
    for family in OTHER_FAMILIES:
        for kind in (STREAM, DATAGRAM, RAW, SEQUENCED):
            yield Row("socket", (family, kind, 0), no_family)
        yield Row("socketpair", (family, STREAM, 0), no_family)


def locks(want: int) -> Iterator[Row]:
    """What holds the datagrams of rung dns on this machine."""
    yield Row("setsockopt", (3, 1, 5), want)
    yield Row("setsockopt", (3, 1, 25), want)


SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")


def signals(want: int) -> Iterator[Row]:
    """Signals to the guard, and to others; other calls may have its number as an argument."""
    yield Row("read", (GUARD,), ALLOW)
    for call in SIGNALS:
        yield Row(call, (GUARD, GUARD, 9), want)
        yield Row(call, (GUARD + 1, GUARD, GUARD), ALLOW)


def notified(name: str, *, emulates: bool) -> list[Row]:
    """What a program says that asks the guard."""
    own, free = "addfd" in name, name.startswith("observe")
    rows = [
        *everywhere(),
        *sends(ASK),
        *sockets(ASK if own else ALLOW, ALLOW if free else ASK, ASK, ASK),
        *locks(PERMISSION if name in ("dns", "addfd-dns") else ALLOW),
        *signals(PERMISSION),
        Row("listen", (3, 5), ASK if own else ALLOW),
    ]
    unix = ASK if own and emulates else ALLOW
    return [
        each._replace(want=unix) if (each.call, each.arguments[:1]) == ("socket", (UNIX,)) else each
        for each in rows
    ]


def alone(name: str) -> list[Row]:
    """What a program says that has nobody to ask."""
    rows = [*everywhere(), *locks(ALLOW), *signals(ALLOW), Row("listen", (3, 5), ALLOW)]
    if name == "deny-all":
        return [*rows, *sends(ACCESS), *sockets(ALLOW, ACCESS, ACCESS, NO_FAMILY)]
    return [*rows, *sends(ALLOW), *sockets(ALLOW, ALLOW, ALLOW, NO_FAMILY)]


KNOWN = {rung.name: rung for rung in (*RUNGS, *OBSERVING)}
NOTIFIED = [
    (name, emulates)
    for name, rung in KNOWN.items()
    if rung.connect in ("copy", "own")
    for emulates in (False, True)
]


def said(program: Program, row: Row) -> int:
    return program.decide(CALLS[row.call] | row.bits, row.architecture, row.arguments)


def holds(program: Program, rows: list[Row]) -> None:
    """Every row is as it should be, and every change of the program is noticed by some row."""
    for row in rows:
        assert said(program, row) == row.want, row
    overlooked = [
        change
        for change, mutant in program.mutants()
        if all(said(mutant, row) == row.want for row in rows)
    ]
    assert overlooked == []


@pytest.mark.parametrize(("name", "emulates"), NOTIFIED)
def test_a_program_that_asks(name: str, *, emulates: bool) -> None:
    raw = notify_program(KNOWN[name], emulate_unix=emulates, guard_pid=GUARD)
    holds(Program.read(raw), notified(name, emulates=emulates))


@pytest.mark.parametrize("name", ["relay", "deny-all"])
def test_a_program_that_decides_alone(name: str) -> None:
    holds(Program.read(plain_program(KNOWN[name])), alone(name))


def test_process_1_needs_no_rule_for_signals() -> None:
    program = Program.read(notify_program(KNOWN["strict"], emulate_unix=False))
    for row in signals(ALLOW):
        assert said(program, row) == row.want
