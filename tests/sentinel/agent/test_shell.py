"""A shell inside the container: its frames, its terminal, its end; under the guard as well."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.sentinel.agent.agent_process import AgentProcess, Refused, until

STDIN, STDOUT, STDERR, RESIZE, EXIT, END = range(6)


class Session:
    """The client's side of one shell."""

    def __init__(self, agent: AgentProcess, query: str) -> None:
        connection = agent.connection()
        connection.connect()
        self.sock = connection.sock
        head = f"GET /v1/shell?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: garrison-shell/1\r\n"
        self.sock.sendall((head + "Connection: Upgrade\r\n\r\n").encode())
        self._held = b""
        while b"\r\n\r\n" not in self._held:
            self._held += self.sock.recv(4096)
        answer, _, self._held = self._held.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.sock.sendall(struct.pack(">BI", kind, len(payload)) + payload)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        while True:
            while len(self._held) < 5 or len(self._held) < 5 + self._size():
                part = self.sock.recv(65536)
                if not part:
                    return
                self._held += part
            size = self._size()
            yield self._held[0], self._held[5 : 5 + size]
            self._held = self._held[5 + size :]

    def _size(self) -> int:
        return int(struct.unpack(">I", self._held[1:5])[0])

    def rest(self) -> tuple[bytes, bytes, int]:
        """Return everything on both outputs, and the exit code."""
        out = {STDOUT: b"", STDERR: b""}
        for kind, payload in self.frames():
            if kind == EXIT:
                return out[STDOUT], out[STDERR], payload[0]
            out[kind] += payload
        raise AssertionError("the connection ended without an exit code")

    def until(self, text: bytes) -> bytes:
        seen = b""
        for _, payload in self.frames():
            seen += payload
            if text in seen:
                return seen
        raise AssertionError(seen)


@contextmanager
def session(agent: AgentProcess, command: str = "", more: str = "") -> Iterator[Session]:
    opened = Session(agent, f"cmd={quote(command)}{more}")
    try:
        yield opened
    finally:
        opened.sock.close()


def test_a_command_and_its_exit_code(running: AgentProcess) -> None:
    with session(running, "echo out; echo err >&2; exit 7") as shell:
        assert shell.rest() == (b"out\n", b"err\n", 7)


def test_input_and_its_end(running: AgentProcess) -> None:
    body = bytes(range(256)) * 4000
    with session(running, "cat") as shell:
        for at in range(0, len(body), 60_000):
            shell.send(STDIN, body[at : at + 60_000])
        shell.send(END)
        assert shell.rest() == (body, b"", 0)


def test_a_terminal(running: AgentProcess) -> None:
    with session(running, more="&tty=1&rows=30&cols=100") as shell:
        shell.send(STDIN, b"stty size; tty\n")
        seen = shell.until(b"/dev/pts/")
        assert b"30 100" in seen
        shell.send(RESIZE, struct.pack(">HH", 50, 132))
        shell.send(STDIN, b"stty size\n")
        shell.until(b"50 132")
        shell.send(STDIN, b"sleep 600\n")
        time.sleep(0.3)
        shell.send(STDIN, b"\x03")  # job control works: the shell has its terminal
        shell.send(STDIN, b"echo still-$((40+2))\n")
        shell.until(b"still-42")
        shell.send(STDIN, b"exit 3\n")
        assert shell.rest()[2] == 3


def test_it_ends_with_its_connection(running: AgentProcess) -> None:
    with session(running, "echo $$; exec sleep 600") as shell:
        shell.until(b"\n")
        assert _processes(running) == 2
    until(lambda: _processes(running) == 1)


def test_it_ends_with_the_workload(running: AgentProcess) -> None:
    with session(running, "sleep 600") as shell:
        running.call("POST", "/v1/stop", {})
        assert shell.rest()[2] == 137


def _processes(agent: AgentProcess) -> int:
    text = agent.raw("GET", "/v1/metrics")[1].decode()
    line = next(
        line for line in text.splitlines() if "workload_processes " in line and line[0] != "#"
    )
    return int(line.split()[1])


def test_it_is_under_the_guard(running: AgentProcess) -> None:
    dial = "import socket; print(socket.socket().connect_ex(('203.0.113.9', 80)))"
    with session(running, f'python3 -c "{dial}"') as shell:
        assert shell.rest() == (b"13\n", b"", 0)


@pytest.mark.parametrize("junk", [b"\x00\xff\xff\xff\xff", b"\x09\0\0\0\0", b"\x03\0\0\0\x01x"])
def test_junk_hurts_this_session_only(running: AgentProcess, junk: bytes) -> None:
    with session(running, "cat") as shell:
        shell.sock.sendall(junk)
    assert running.status()["state"] == "Running"


def test_it_must_be_asked_for(running: AgentProcess) -> None:
    with pytest.raises(Refused) as refused:
        running.call("GET", "/v1/shell?cmd=true")
    assert refused.value.status == 426
