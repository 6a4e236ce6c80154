"""The seccomp programs. Every decision is on numbers in registers, so there is nothing to race."""

from __future__ import annotations

import socket

from sentinel.guard.assembler import ARCHITECTURE, NUMBER, Assembler, argument
from sentinel.guard.kernel import AUDIT_ARCHITECTURE, MACHINE, NUMBERS
from sentinel.guard.ladder import NONE, OWN, UDP_ALLOW, UDP_DNS, Rung

_ALLOW, _KILL, _NOTIFY = 0x7FFF0000, 0x80000000, 0x7FC00000
_PRETEND, _PERMISSION, _NO_CALL, _NO_FAMILY = 0x00050000, 0x00050001, 0x00050026, 0x00050061
_ACCESS = 0x0005000D
_X32 = 0x40000000
MSG_FASTOPEN = 0x20000000
_SHORTEST_INET_ADDRESS = 16
_TYPE_BITS = 0xF
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
_PR_SET_DUMPABLE = 4
_SO_DONTROUTE, _SO_BINDTODEVICE = 5, 25
_IP_OPTIONS = 4
_IPV6_ROUTING = (57, 5, 6)
"""IPV6_RTHDR, IPV6_2292RTHDR, IPV6_2292PKTOPTIONS: an allowed address by way of a denied one."""


def notify_program(rung: Rung, *, emulate_unix: bool, guard_pid: int = 0) -> bytes:
    """Return the program that asks the guard about what only the guard can decide.

    ``guard_pid`` is protected from signals; 0 when the kernel does that already (process 1).
    """
    out = Assembler()
    _head(out)
    for name in ("connect", "sendto", "sendmsg", "sendmmsg", "socket", "socketpair"):
        out.equal(NUMBERS[name], name)
    if rung.connect == OWN:
        out.equal(NUMBERS["listen"], "notify")
    _harden(out)
    if guard_pid:
        for name in _SIGNALS:
            out.equal(NUMBERS[name], "signal")
    out.leave(_ALLOW)
    _connect(out)
    _fast_open(out, "notify")
    _socket(out, rung, emulate_unix=emulate_unix)
    _options(out, locked=rung.udp == UDP_DNS)
    if guard_pid:
        out.label("signal")
        out.load(argument(0))
        out.equal(guard_pid, "permission", "allow")
    _tail(out)
    return out.program()


def plain_program(rung: Rung) -> bytes:
    """Return the program for machines without notification, which decides alone.

    In a namespace of its own (relay) only what namespaces do not hold is refused; without one
    (deny-all) nothing can be reached: TCP connects, datagrams and all other families are refused.
    """
    out = Assembler()
    _head(out)
    out.equal(NUMBERS["socket"], "socket")
    out.equal(NUMBERS["socketpair"], "socketpair")
    if rung.connect == NONE:
        out.equal(NUMBERS["connect"], "connect")
        for name in ("sendto", "sendmsg", "sendmmsg"):
            out.equal(NUMBERS[name], name)
    _harden(out)
    out.leave(_ALLOW)
    if rung.connect == NONE:
        out.label("connect")
        out.load(argument(2))
        out.at_least(_SHORTEST_INET_ADDRESS, "access", "allow")
        _fast_open(out, "access")
    _plain_socket(out, datagrams=rung.connect != NONE)
    _options(out, locked=False)
    _tail(out)
    return out.program()


def _head(out: Assembler) -> None:
    out.load(ARCHITECTURE)
    out.equal(AUDIT_ARCHITECTURE, None, "kill")  # 32-bit system calls have other numbers
    out.load(NUMBER)
    if MACHINE == "x86_64":
        out.at_least(_X32, "no_call")
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register"):
        out.equal(NUMBERS[name], "no_call")


def _harden(out: Assembler) -> None:
    out.equal(NUMBERS["request_key"], "no_call")  # the kernel can resolve names for a process
    for name in ("bpf", "pidfd_getfd"):
        out.equal(NUMBERS[name], "permission")
    out.equal(NUMBERS["prctl"], "prctl")
    out.equal(NUMBERS["setsockopt"], "setsockopt")


def _connect(out: Assembler) -> None:
    out.label("connect")  # the kernel refuses shorter addresses for every inet socket
    out.load(argument(2))
    out.at_least(_SHORTEST_INET_ADDRESS, "notify", "allow")


def _fast_open(out: Assembler, refusal: str) -> None:
    """Sends that connect. ``deny-all`` has no guard to ask, so the program refuses itself."""
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        out.label(name)
        out.load(argument(flags))
        out.any_bit(MSG_FASTOPEN, refusal, "allow")


def _socket(out: Assembler, rung: Rung, *, emulate_unix: bool) -> None:
    own_unix = rung.connect == OWN and emulate_unix
    out.label("socketpair")
    out.load(argument(0))
    out.equal(_AF_UNIX, "allow", "notify")
    out.label("socket")
    out.load(argument(0))
    out.equal(_AF_UNIX, "notify" if own_unix else "allow")
    out.equal(_AF_NETLINK, "allow")
    out.equal(_AF_INET, "inet")
    out.equal(_AF_INET6, "inet", "notify")
    out.label("inet")
    out.load(argument(1))
    out.mask(_TYPE_BITS)
    out.equal(socket.SOCK_STREAM, "stream")
    out.equal(socket.SOCK_DGRAM, "datagram", "notify")
    out.label("stream")
    out.load(argument(2))
    allowed = "notify" if rung.connect == OWN else "allow"
    out.equal(0, allowed)
    out.equal(socket.IPPROTO_TCP, allowed, "notify")  # MPTCP, SCTP, SMC are refused
    out.label("datagram")
    if rung.udp == UDP_ALLOW:
        out.load(argument(2))
        out.equal(0, "allow")
        out.equal(socket.IPPROTO_UDP, "allow", "notify")
    else:
        out.jump("notify")


def _plain_socket(out: Assembler, *, datagrams: bool) -> None:
    out.label("socketpair")
    out.load(argument(0))
    out.equal(_AF_UNIX, "allow", "no_family")
    out.label("socket")
    out.load(argument(0))
    out.equal(_AF_UNIX, "allow")
    out.equal(_AF_NETLINK, "allow")
    if datagrams:
        out.equal(_AF_INET, "allow")
        out.equal(_AF_INET6, "allow", "no_family")
        return
    out.equal(_AF_INET, "inet")
    out.equal(_AF_INET6, "inet", "no_family")
    out.label("inet")
    out.load(argument(1))
    out.mask(_TYPE_BITS)
    out.equal(socket.SOCK_STREAM, None, "access")
    out.load(argument(2))
    out.equal(0, "allow")
    out.equal(socket.IPPROTO_TCP, "allow", "access")


def _options(out: Assembler, *, locked: bool) -> None:
    out.label("prctl")  # a process that hides its memory could not connect any more: pretend
    out.load(argument(0))
    out.equal(_PR_SET_DUMPABLE, None, "allow")
    out.load(argument(1))
    out.equal(0, "pretend", "allow")
    out.label("setsockopt")
    out.load(argument(1))
    out.equal(socket.IPPROTO_IP, "ip_option")
    if locked:
        out.equal(socket.IPPROTO_IPV6, "ipv6_option")
        out.equal(socket.SOL_SOCKET, None, "allow")
        out.load(argument(2))
        out.equal(_SO_DONTROUTE, "permission")
        out.equal(_SO_BINDTODEVICE, "permission", "allow")
    else:
        out.equal(socket.IPPROTO_IPV6, "ipv6_option", "allow")
    out.label("ip_option")
    out.load(argument(2))
    out.equal(_IP_OPTIONS, "permission", "allow")
    out.label("ipv6_option")
    out.load(argument(2))
    for option in _IPV6_ROUTING:
        out.equal(option, "permission")
    out.jump("allow")


def _tail(out: Assembler) -> None:
    for name, action in (
        ("allow", _ALLOW),
        ("pretend", _PRETEND),
        ("permission", _PERMISSION),
        ("access", _ACCESS),
        ("no_family", _NO_FAMILY),
        ("no_call", _NO_CALL),
        ("kill", _KILL),
        ("notify", _NOTIFY),
    ):
        out.label(name)
        out.leave(action)
