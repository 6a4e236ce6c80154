"""A connection that nobody holds when the policy denies it: ``parking.py RUNG LOST,LOST HOST``.

The workload sends its socket over a Unix socket, closes it, and takes it out again later. Prints what
happened as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sentinel.guard.guard import Guard, Options
from sentinel.guard.launch import ChildSpec
from sentinel.guard.policy import Policy, parse_policy

RUNG, LOST, HOST = sys.argv[1:4]
SECONDS = 30.0
CLIENT = """
import os, socket, sys
ours, theirs = socket.socketpair()
one = socket.create_connection((sys.argv[1], 80))
inode = os.fstat(one.fileno()).st_ino
socket.send_fds(ours, [b"x"], [one.fileno()])
one.close()
print(inode, flush=True)
sys.stdin.readline()
one = socket.socket(fileno=socket.recv_fds(theirs, 1, 1)[1][0])
print("taken", flush=True)
sys.stdin.readline()
one.settimeout(5)
try:
    one.sendall(b"HOLD")
    print(one.recv(5).decode().strip() or "end", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
one.close()
sys.stdin.readline()
"""


def allowing(*hosts: str) -> Policy:
    """Return a policy that takes every rung."""
    rules = [{"cidr": f"{host}/32", "ports": [80]} for host in hosts]
    return parse_policy({"allow": rules, "requireEnforced": False})


def held(condition: Callable[[], bool]) -> bool:
    """Wait until it holds; returns whether it did in time."""
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def own_sockets() -> set[str]:
    """Return the inodes of the sockets in this process, the guard's copies among them."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is closed meanwhile
            kind, _, inode = str(each.readlink()).partition(":")
            if kind == "socket":
                found.add(inode.strip("[]"))
    return found


class Client:
    """The workload, which does one thing at each word."""

    def __init__(self, guard: Guard) -> None:
        (out_read, out_write), (in_read, in_write) = os.pipe(), os.pipe()
        argv = [sys.executable, "-c", CLIENT, HOST]
        guard.spawn(ChildSpec(argv=argv, env=os.environ, stdin=in_read, stdout=out_write))
        os.close(out_write)
        os.close(in_read)
        self._output, self._input = os.fdopen(out_read), os.fdopen(in_write, "w")

    def says(self) -> str:
        return self._output.readline().strip()

    def goes_on(self) -> None:
        self._input.write("\n")
        self._input.flush()


def main() -> None:
    records: list[dict[str, Any]] = []
    options = Options(rung=RUNG, without=frozenset(filter(None, LOST.split(","))))
    guard = Guard(allowing(HOST), records.append, options)
    start = guard.start()
    client = Client(guard)
    inode = client.says()
    assert held(lambda: inode not in own_sockets()), "the guard keeps what nobody has"
    replaced = guard.replace(allowing())
    parked = list(guard.remaining())
    client.goes_on()
    assert client.says() == "taken"
    copies = RUNG.startswith(("strict", "emulated"))
    found = copies and held(lambda: not guard.remaining())
    client.goes_on()
    answer = client.says()
    gone = held(lambda: not guard.remaining())
    told = {
        "rung": start["rung"],
        "closed": replaced.closed,
        "remaining": list(replaced.remaining),
        "parked": parked,
        "found": found,
        "answer": answer,
        "gone": gone,
        "ended": [each for each in records if each["event"] == "ended"],
        "faults": [each for each in records if each["event"] == "fault"],
    }
    guard.close()
    sys.stdout.write(json.dumps(told))


main()
