"""Prints what socket calls do, one line each; guarded and unguarded lines must be the same.

Run as ``semantics.py ALLOWED SILENT NEAR``: a host that answers on port 80 and refuses port 9, one
that never answers, and the address of this end.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ALLOWED, SILENT, NEAR = sys.argv[1:4]
OPEN, CLOSED, NOWHERE = (ALLOWED, 80), (ALLOWED, 9), (SILENT, 80)
SO_SNDTIMEO = 21
libc = ctypes.CDLL(None, use_errno=True)
opened: list[Any] = []


def say(name: str, *values: object) -> None:
    sys.stdout.write(" ".join(str(each) for each in (f"{name}:", *values)) + "\n")
    sys.stdout.flush()


def outcome(call: Callable[..., Any], *arguments: Any) -> str:
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "ok"


def fresh(family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
    made = socket.socket(family, kind)
    opened.append(made)
    return made


def raw(descriptor: int, address: Any, length: int) -> str:
    if libc.connect(descriptor, address, length) == 0:
        return "ok"
    return errno.errorcode[ctypes.get_errno()]


def packed(host: str, port: int) -> bytes:
    start = struct.pack("=H", socket.AF_INET) + struct.pack(">H", port)
    return start + socket.inet_aton(host) + bytes(8)


def in_time(since: float) -> bool:
    """Whether the 0.3 seconds were waited for; a busy machine may take longer to say so."""
    return 0.25 < time.monotonic() - since < 5


def blocking() -> None:
    one = fresh()
    say("refused", outcome(one.connect, CLOSED))
    say("again after refused", outcome(one.connect, CLOSED))
    one = fresh()
    say("connected", outcome(one.connect, OPEN), fcntl.fcntl(one, fcntl.F_GETFL) & os.O_NONBLOCK)
    say("again after connected", outcome(one.connect, OPEN))
    one = fresh()
    one.bind((NEAR, 0))
    port = one.getsockname()[1]
    say("bound before", outcome(one.connect, OPEN), one.getsockname() == (NEAR, port))
    one = fresh()
    one.setsockopt(socket.IPPROTO_TCP, 30, 1)
    first = outcome(one.connect, OPEN)
    one.send(b"GET / HTTP/1.0\r\n\r\n")
    say("fast open as option", first, one.recv(8))


def non_blocking() -> None:
    for name, target in (("refused", CLOSED), ("connected", OPEN)):
        one = fresh()
        one.setblocking(False)
        first = outcome(one.connect, target)
        select.select([], [one], [], 2)
        fault = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        say(f"non-blocking {name}", first, fault)
        say(f"again after non-blocking {name}", outcome(one.connect, target))
    one = fresh()
    one.setblocking(False)
    say("silent non-blocking", outcome(one.connect, NOWHERE))
    say("again after silent", outcome(one.connect, NOWHERE))


def limits() -> None:
    one = fresh()
    one.setsockopt(socket.SOL_SOCKET, SO_SNDTIMEO, struct.pack("qq", 0, 300000))
    start = time.monotonic()
    say("send timeout", outcome(one.connect, NOWHERE), in_time(start))
    one = fresh()
    one.settimeout(0.3)
    start = time.monotonic()
    say("python timeout", outcome(one.connect, NOWHERE), in_time(start))


def bad_arguments() -> None:
    good = packed(*OPEN)
    say("bad descriptor", raw(999, good, 16))
    with Path(os.devnull).open() as null:
        say("no socket", raw(null.fileno(), good, 16))
    say("bad pointer", raw(fresh().fileno(), ctypes.c_void_p(8), 16))
    for length in (0, 1, 2, 8, 15, 129, 200):
        say("length", length, raw(fresh().fileno(), good + bytes(200), length))
    say("unknown family", raw(fresh().fileno(), b"\x4d\0" + good[2:], 16))
    say("unspecified", raw(fresh().fileno(), b"\0\0" + good[2:], 16))
    say("v4 on v6", raw(fresh(socket.AF_INET6).fileno(), good + bytes(12), 28))
    say("v6 on v4", raw(fresh().fileno(), struct.pack("=H", 10) + bytes(26), 28))


def interrupted() -> None:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, True)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    start = time.monotonic()
    got = raw(fresh().fileno(), packed(*NOWHERE), 16)
    say("interrupted", got, time.monotonic() - start < 0.9)
    signal.siginterrupt(signal.SIGALRM, False)
    one = fresh()
    one.setsockopt(socket.SOL_SOCKET, SO_SNDTIMEO, struct.pack("qq", 1, 0))
    signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
    start = time.monotonic()
    got = raw(one.fileno(), packed(*NOWHERE), 16)
    signal.setitimer(signal.ITIMER_REAL, 0)
    say("interrupted with timeout", got, time.monotonic() - start < 1.6)


def unix() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    listening = fresh(socket.AF_UNIX)
    listening.bind("./a-rather-long-name.sock")
    listening.listen(5)
    Path("below").mkdir()
    os.chdir("below")
    relative = outcome(fresh(socket.AF_UNIX).connect, "../a-rather-long-name.sock")
    say("unix relative", relative)
    say(
        "unix absolute", outcome(fresh(socket.AF_UNIX).connect, f"{folder}/a-rather-long-name.sock")
    )
    say("unix missing", outcome(fresh(socket.AF_UNIX).connect, "not-there-not-there-not-there"))
    peer, _ = listening.accept()
    _, user, group = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    say("unix peer", user == os.getuid(), group == os.getgid())
    abstract = fresh(socket.AF_UNIX)
    abstract.bind("\0abstract-and-long-enough")
    abstract.listen(5)
    say("unix abstract", outcome(fresh(socket.AF_UNIX).connect, "\0abstract-and-long-enough"))
    datagrams = fresh(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(f"{folder}/datagrams.sock")
    one = fresh(socket.AF_UNIX, socket.SOCK_DGRAM)
    say("unix datagram", outcome(one.connect, f"{folder}/datagrams.sock"), outcome(one.send, b"x"))
    left, right = socket.socketpair()
    left.send(b"pair")
    say("socketpair", right.recv(4))


def servers() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listening:
        port = listening.getsockname()[1]
        caller = fresh()
        say("own server", outcome(caller.connect, ("127.0.0.1", port)))
        accepted, _ = listening.accept()
        caller.send(b"hello")
        say("own server hears", accepted.recv(5))
        caller.close()
        say("own server sees the end", accepted.recv(5))
        accepted.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        say("bound again at once", outcome(again.bind, ("0.0.0.0", port)))
    say("netlink", len(socket.if_nameindex()) > 0)


def beside_stuck_ones() -> None:
    def stuck() -> None:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, SO_SNDTIMEO, struct.pack("qq", 2, 0))
            outcome(one.connect, NOWHERE)

    threads = [threading.Thread(target=stuck) for _ in range(40)]
    for each in threads:
        each.start()
    time.sleep(0.2)
    start = time.monotonic()
    for _ in range(20):
        with socket.socket() as one:
            one.connect(OPEN)
    say("20 connects beside 40 stuck ones", time.monotonic() - start < 1.5)
    for each in threads:
        each.join()


for part in (blocking, non_blocking, limits, bad_arguments, unix, servers, beside_stuck_ones):
    part()
if "no-signals" not in sys.argv:
    interrupted()
