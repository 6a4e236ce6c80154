"""Two network namespaces joined by a wire, with a witness at the far end of it."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

from akash_sandbox.netns import _setns  # the one call that Python 3.11 lacks

NEAR = "11.0.0.1"
ALLOWED, ALLOWED6 = "11.0.0.2", "2001:db8:a::2"
NEIGHBOUR = "11.0.0.3"
"""On the same link, and on no list."""
SILENT = "11.0.0.4"
"""On the link, answered by nobody, reached by a route to nowhere."""
FORBIDDEN, FORBIDDEN6 = "203.0.113.5", "2001:db8:f::5"
RESOLVER = "11.0.0.53"
NAMES = {"allowed.example": ALLOWED, "evil.example": FORBIDDEN, "pool.rplant.xyz": FORBIDDEN}
_QUIET_SECONDS = 0.5
_MARKS = range(65000, 65500)
"""Ports of the allowed host to which the witness's marks go, over UDP."""
_MARK_SECONDS, _PATIENCE = 0.005, 50
_TCP, _UDP = 6, 17
BARE_ROOT = -1
"""Root without any capability."""
CONTAINER_ROOT = -2
"""Root that may change users and not look at them, as in a container."""
_CLONE_NEWNET = 0x40000000
_IPV4, _IPV6, _ALL = 0x0800, 0x86DD, 0x0003
_T = TypeVar("_T")


def unavailable() -> str:
    """Return why namespaces cannot be made here, empty when they can."""
    if os.geteuid() != 0:
        return "network namespaces with a wire between them need root"
    if shutil.which("ip") is None:
        return "the program ip is missing: install iproute2"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What left: destination, protocol number, destination port (0 where there is none)."""

    destination: str
    protocol: int
    port: int


def _is_fine(each: Packet, ports: Container[int]) -> bool:
    if each.destination == RESOLVER:
        return each.protocol in (_TCP, _UDP) and each.port == 53
    allowed = each.destination in (ALLOWED, ALLOWED6)
    return allowed and each.protocol == _TCP and each.port in ports


def _mark(port: int) -> None:
    """Send a packet by hand: gVisor takes the addresses of the namespace away."""
    to = socket.inet_aton(ALLOWED)
    packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 9, _UDP, 0, to, to)
    packet += struct.pack(">HHHH", port, port, 8, 0)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as one:
        one.sendto(packet, ("wire", _IPV4, 0, 0, b"\xff" * 6))


@dataclass(slots=True, kw_only=True)
class Wire:
    """``near`` is where workloads run; ``seen`` is everything that came out of it."""

    near: str
    far: str
    folder: Path
    seen: list[Packet] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    """Names that reached the resolver."""
    marked: set[int] = field(default_factory=set)
    _marks: Iterator[int] = field(default_factory=lambda: cycle(_MARKS))

    def forbidden(self, ports: Container[int] = (80,)) -> list[Packet]:
        """Return every packet but TCP to allowed ports of the allowed host, and names asked.

        What names were asked stands in ``questions``.
        """
        self.catch_up()
        return [each for each in self.seen if not _is_fine(each, ports)]

    def catch_up(self) -> None:
        """Wait until the witness has seen all that has left so far: a last packet says so."""
        port = next(self._marks)
        for _ in range(_PATIENCE):
            within(self.near, partial(_mark, port))
            for _ in range(_PATIENCE):
                if port in self.marked:
                    self.marked.discard(port)
                    return
                time.sleep(_MARK_SECONDS)
        raise AssertionError("the witness does not see what leaves")

    def settle(self) -> None:
        """Wait until no packet of an earlier test is on its way to the witness."""
        before = -1
        while self.forbidden() and before != len(self.seen):
            before = len(self.seen)
            time.sleep(_QUIET_SECONDS)

    def inside(self, argv: Sequence[str], *, user: int = 0) -> list[str]:
        """Return a command line that runs ``argv`` in the near namespace."""
        own = f'mount --bind "{self.folder}/resolv.conf" /etc/resolv.conf && exec "$@"'
        number = max(user, 0)
        as_user = ["setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups"]
        lost = "-sys_ptrace" if user == CONTAINER_ROOT else "-all"
        drop = [f"--inh-caps={lost}", f"--bounding-set={lost}"] if user else []
        return ["ip", "netns", "exec", self.near, "sh", "-c", own, "sh", *as_user, *drop, *argv]

    def run(
        self, argv: Sequence[str], *, user: int = 0, seconds: float = 60, **settings: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the near namespace to its end."""
        return subprocess.run(
            self.inside(argv, user=user),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            **settings,
        )


def within(namespace: str, action: Callable[[], _T]) -> _T:
    """Run ``action`` in a named network namespace, in a thread of its own."""
    result: list[_T] = []

    def run() -> None:
        descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            _setns(descriptor, _CLONE_NEWNET)
            result.append(action())
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def wire(folder: Path, tag: str = "g") -> Iterator[Wire]:
    """Make the namespaces, the servers and the witness; takes them down at the end."""
    tag = f"{tag}{os.getpid()}"
    made = Wire(near=f"{tag}near", far=f"{tag}far", folder=folder)
    (folder / "resolv.conf").write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:2\n")
    with ExitStack() as stack:
        for name in (made.near, made.far):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
        _join(made)
        _serve(made, stack)
        yield made


def _join(made: Wire) -> None:
    _ip(
        "-n",
        made.near,
        "link",
        "add",
        "wire",
        "type",
        "veth",
        "peer",
        "name",
        "wire",
        "netns",
        made.far,
    )
    for name, addresses in (
        (made.near, (f"{NEAR}/24", "2001:db8:a::1/64")),
        (
            made.far,
            (
                *(f"{each}/24" for each in (ALLOWED, NEIGHBOUR, RESOLVER)),
                f"{FORBIDDEN}/32",
                f"{ALLOWED6}/64",
                f"{FORBIDDEN6}/128",
            ),
        ),
    ):
        for each in addresses:
            _ip("-n", name, "addr", "add", each, "dev", "wire", *(["nodad"] if ":" in each else []))
        _ip("-n", name, "link", "set", "wire", "up")
        _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", made.near, "route", "add", "default", "via", ALLOWED)
    _ip("-n", made.near, "-6", "route", "add", "default", "via", ALLOWED6)
    # a packet to the silent host leaves and is never answered
    _ip("-n", made.near, "neigh", "add", SILENT, "lladdr", "02:00:00:00:00:01", "dev", "wire")
    within(made.near, lambda: Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 65535"))


def _serve(made: Wire, stack: ExitStack) -> None:
    def witness() -> socket.socket:
        one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        one.bind(("wire", _ALL))
        return one

    def web(address: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, 80), family=family, backlog=1024)

    def names() -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((RESOLVER, 53))
        return one

    jobs: list[tuple[socket.socket, Callable[[socket.socket], None]]] = [
        (within(made.far, witness), lambda one: _watch(one, made)),
        (within(made.far, names), lambda one: _answer_datagrams(one, made)),
        (
            within(made.far, lambda: socket.create_server((RESOLVER, 53))),
            lambda one: _answer_streams(one, made),
        ),
        *(
            (within(made.far, partial(web, each)), _web)
            for each in (ALLOWED, ALLOWED6, FORBIDDEN, NEIGHBOUR)
        ),
    ]
    for one, job in jobs:
        thread = threading.Thread(target=_until_closed, args=(one, job), daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(one.close)
        stack.callback(_shut, one)


def _shut(one: socket.socket) -> None:
    one.settimeout(0.01)


def _until_closed(one: socket.socket, job: Callable[[socket.socket], None]) -> None:
    one.settimeout(0.2)
    while one.fileno() >= 0:
        try:
            job(one)
        except TimeoutError:
            continue
        except OSError:
            if one.fileno() < 0:
                return


def _watch(one: socket.socket, made: Wire) -> None:
    content, (_, kind, direction, *_) = one.recvfrom(2048)
    if direction == socket.PACKET_OUTGOING or kind not in (_IPV4, _IPV6):
        return
    if kind == _IPV4:
        protocol, place = content[9], (content[0] & 15) * 4
        destination = socket.inet_ntop(socket.AF_INET, content[16:20])
    else:
        protocol, place = content[6], 40
        destination = socket.inet_ntop(socket.AF_INET6, content[24:40])
        if protocol in (0, 58):  # neighbour discovery, multicast listeners
            return
    has_port = protocol in (6, 17, 132, 136)
    port = struct.unpack_from(">H", content, place + 2)[0] if has_port else 0
    if (destination, protocol) == (ALLOWED, _UDP) and port in _MARKS:
        made.marked.add(port)
        return
    made.seen.append(Packet(destination=destination, protocol=protocol, port=port))


def _web(one: socket.socket) -> None:
    connection, _ = one.accept()

    def speak() -> None:
        with connection:
            connection.settimeout(30)
            try:
                while request := connection.recv(65536):
                    if request.startswith(b"HOLD"):
                        connection.sendall(b"held\n")
                    else:
                        body = (
                            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                        )
                        connection.sendall(body)
                        return
            except OSError:
                return

    threading.Thread(target=speak, daemon=True).start()


def _reply(message: bytes, made: Wire) -> bytes:
    labels, place = [], 12
    while length := message[place]:
        labels.append(message[place + 1 : place + 1 + length].decode())
        place += length + 1
    name = ".".join(labels).lower()
    made.questions.append(name)
    kind = struct.unpack_from(">H", message, place + 1)[0]
    question = message[12 : place + 5]
    address = NAMES.get(name)
    answers = b""
    if address and kind == 1:
        answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
    code = 0 if address else 3
    return (
        message[:2]
        + struct.pack(">HHHHH", 0x8180 | code, 1, bool(answers), 0, 0)
        + question
        + answers
    )


def _answer_datagrams(one: socket.socket, made: Wire) -> None:
    message, asker = one.recvfrom(4096)
    one.sendto(_reply(message, made), asker)


def _answer_streams(one: socket.socket, made: Wire) -> None:
    connection, _ = one.accept()
    with connection:
        connection.settimeout(2)
        with connection.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                reply = _reply(stream.read(int.from_bytes(size, "big")), made)
                connection.sendall(len(reply).to_bytes(2, "big") + reply)
