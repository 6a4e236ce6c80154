"""A helper in a user and network namespace of its own, where only loopback is.

The kernel then confines every socket that is made there. Two uses: UDP sockets for a workload
outside (rung strict), and the workload itself with relayed addresses (rung relay). Needs
unprivileged user namespaces; no capability.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sentinel.guard import kernel
from sentinel.guard.launch import ChildSpec, launch, load
from sentinel.guard.links import add_address, bring_up

_TIMEOUT_SECONDS = 10.0
_MAX_REQUEST = 1 << 20
_MAX_DESCRIPTORS = 64
_ENTER = b"enter"

Request = dict[str, Any]


class Annex:
    """The guard's side: asks, and gets answers and descriptors."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self._control = control
        self.pid = pid

    def enter(self, program: bytes = b"") -> None:
        """Let it make its namespace, with a seccomp program for it and what it starts.

        Call it once, before anything else, and while this process is dumpable: the user map is
        written from here. Raises OSError, and ends the helper then.
        """
        try:
            self._control.send(_ENTER + program)
            _expect(self._control)  # it has left for its namespace
            _write_maps(self.pid)
            self._control.send(b"{}")
            _expect(self._control)
        except BaseException:
            self.close()
            raise

    def make(self, family: int, kind: int) -> int:
        """Return a descriptor of a new socket in the namespace; raises OSError."""
        return self._ask(do="socket", family=family, kind=kind)[1][0]

    def bound(self, address: str, port: int, kind: int) -> socket.socket:
        """Return a bound socket in the namespace, listening if it is a stream; raises OSError."""
        return socket.socket(
            fileno=self._ask(do="bind", address=address, port=port, kind=kind)[1][0]
        )

    def add_address(self, address: str, prefix: int) -> None:
        """Let the namespace's loopback answer for an address or network; raises OSError."""
        self._ask(do="address", address=address, prefix=prefix)

    def spawn(self, spec: ChildSpec) -> int:
        """Start a process in the namespace; it becomes the guard's child. Raises OSError."""
        return int(self._ask(do="spawn", spec=spec.as_json(), _send=spec.streams())[0]["pid"])

    def close(self) -> None:
        """End the helper."""
        self._control.close()

    def _ask(self, _send: Sequence[int] = (), **request: Any) -> tuple[Request, list[int]]:
        socket.send_fds(self._control, [json.dumps(request).encode()], list(_send))
        message, descriptors, _, _ = socket.recv_fds(self._control, 4096, _MAX_DESCRIPTORS)
        if not message:
            raise OSError(32, "the helper in the namespace has ended")
        answer = json.loads(message)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["error"])
        return answer, descriptors


def fork_annex() -> Annex:
    """Fork the helper, which waits for ``enter``; raises OSError.

    Call it before any thread exists. The helper keeps a copy of this process's memory: the earlier
    it is forked, the smaller.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _serve(theirs, parent)
        finally:
            os._exit(0)
    theirs.close()
    ours.settimeout(_TIMEOUT_SECONDS)
    return Annex(ours, pid)


def _expect(control: socket.socket) -> None:
    message = control.recv(4096)
    answer = json.loads(message) if message else {"errno": 1, "error": "the helper ended"}
    if "errno" in answer:
        raise OSError(answer["errno"], f"user namespace: {answer['error']}")


def _write_maps(pid: int) -> None:
    """Map every id to itself where this process may, else its own only, else none.

    Root without CAP_SETFCAP may not even map itself; what runs inside then sees itself as nobody.
    """
    everything = [_identity(f"/proc/self/{kind}_map") for kind in ("uid", "gid")]
    try:
        for kind, text in zip(("uid", "gid"), everything):
            _write(f"/proc/{pid}/{kind}_map", text)
    except OSError:
        if os.path.exists(f"/proc/{pid}/setgroups"):
            _write(f"/proc/{pid}/setgroups", "deny")
        for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
            with suppress(OSError):
                _write_unless_mapped(f"/proc/{pid}/{kind}_map", f"{own} {own} 1\n")


def _identity(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        ranges = [line.split() for line in file]
    return "".join(f"{inside} {inside} {length}\n" for inside, _, length in ranges)


def _write_unless_mapped(path: str, text: str) -> None:
    with open(path, encoding="utf-8") as file:
        mapped = file.read().strip()
    if not mapped:
        _write(path, text)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


# -- the helper's side


def _serve(control: socket.socket, parent: int) -> None:
    try:
        kernel.die_with_parent(signal.SIGKILL)
        first = control.recv(_MAX_REQUEST)
        if os.getppid() != parent or not first:
            return
        program = first[len(_ENTER) :]
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
        control.send(b"{}")
        control.recv(16)
        bring_up("lo")
        kernel.set_dumpable(0)  # its memory is a copy of its parent's, keys and all
        if program:
            kernel.no_new_privileges()
            kernel.install_filter(program, 0)
        _ignore_signals()
    except OSError as error:
        control.send(_failed(error))
        return
    control.send(b"{}")
    if program:  # only then is something started in here
        load()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _MAX_REQUEST, _MAX_DESCRIPTORS)
        if not message:
            return
        _reply(control, json.loads(message), descriptors)


def _ignore_signals() -> None:
    """The workload may signal the helper: what can be ignored is."""
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_IGN)


def _failed(error: OSError) -> bytes:
    return json.dumps({"errno": error.errno or 1, "error": str(error)}).encode()


def _reply(control: socket.socket, request: Request, descriptors: list[int]) -> None:
    made: list[int] = []
    try:
        answer = _DOES[request.pop("do")](request, descriptors, made)
        socket.send_fds(control, [json.dumps(answer).encode()], made)
    except OSError as error:
        control.send(_failed(error))
    finally:
        for descriptor in (*made, *descriptors):
            os.close(descriptor)


def _make_socket(request: Request, _descriptors: list[int], made: list[int]) -> Request:
    made.append(socket.socket(request["family"], request["kind"]).detach())
    return {}


def _bind(request: Request, _descriptors: list[int], made: list[int]) -> Request:
    family = socket.AF_INET6 if ":" in request["address"] else socket.AF_INET
    with socket.socket(family, request["kind"]) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((request["address"], request["port"]))
        if request["kind"] == socket.SOCK_STREAM:
            one.listen(256)
        made.append(one.detach())
    return {}


def _address(request: Request, _descriptors: list[int], _made: list[int]) -> Request:
    add_address("lo", request["address"], request["prefix"])
    return {}


def _spawn(request: Request, descriptors: list[int], _made: list[int]) -> Request:
    """Fork twice, so that the guard, not this helper, is the process's parent."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        try:
            os.write(write, _launched(request, descriptors))
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(middle, 0)
    with os.fdopen(read, "rb") as pipe:
        answer: Request = json.loads(pipe.read() or b'{"errno": 1, "error": "not started"}')
    if "errno" in answer:
        raise OSError(answer["errno"], answer["error"])
    return answer


def _launched(request: Request, descriptors: list[int]) -> bytes:
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    try:
        return json.dumps(
            {"pid": launch(ChildSpec.from_json(request["spec"], descriptors)).pid}
        ).encode()
    except OSError as error:
        return _failed(error)


_DOES: dict[str, Callable[[Request, list[int], list[int]], Request]] = {
    "socket": _make_socket,
    "bind": _bind,
    "address": _address,
    "spawn": _spawn,
}
