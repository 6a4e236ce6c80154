"""Drives the guard's Python interface: ``live.py RUNG LOST,LOST ALLOWED NEIGHBOUR SILENT``.

A workload holds one connection to each of two hosts, and waits for a third, which never answers;
then the policy loses all but the first. In the end the guard stops before its last workload does.
Prints what happened as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from sentinel.guard.fastpath import FastPath
from sentinel.guard.guard import Guard, Options
from sentinel.guard.launch import ChildSpec
from sentinel.guard.policy import Policy, parse_policy

RUNG, LOST, FIRST, SECOND, SILENT = sys.argv[1:6]
CLIENT = """
import socket, sys, time
held = [socket.create_connection((host, 80)) for host in sys.argv[1:3]]
for each in held:
    each.sendall(b"HOLD")
    assert each.recv(5) == b"held\\n"
held = [one.dup() for one in held]
del each  # now the numbers that the guard knew are closed
time.sleep(0.3)
waiting = socket.socket()
waiting.setblocking(False)
waiting.connect_ex((sys.argv[3], 80))
print("holding", flush=True)
sys.stdin.readline()
answers = []
for each in held:
    each.settimeout(2)
    try:
        each.sendall(b"HOLD")
        answers.append(each.recv(5).decode().strip() or "end")
    except OSError as error:
        answers.append(type(error).__name__)
answers.append(socket.socket().connect_ex((sys.argv[2], 80)))
answers.append(socket.socket().connect_ex((sys.argv[1], 80)))
answers.append(waiting.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0])
print(" ".join(map(str, answers)), flush=True)
"""
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 8000)) as listening:
    print("listening", flush=True)
    connection, _ = listening.accept()
    connection.sendall(connection.recv(10).upper())
"""
SHELL = """
import socket, sys
print(socket.socket().connect_ex((sys.argv[1], 80)), flush=True)
"""
EXEC = """
import os, socket, sys
answers = [socket.socket().connect_ex((sys.argv[1], 80)) for _ in range(2)]
if len(sys.argv) > 2:
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], sys.argv[1]])
print(*answers, flush=True)
"""
LATER = """
import socket, sys
sys.stdin.readline()
try:
    print(socket.socket().connect_ex((sys.argv[1], 80)), flush=True)
except OSError as error:
    print(error.errno, flush=True)
"""


def allowing(*hosts: str) -> Policy:
    """Return a policy that takes every rung, also one that leaks."""
    rules = [{"cidr": f"{host}/32", "ports": [80]} for host in hosts]
    return parse_policy({"allow": rules, "requireEnforced": False})


def noted(answers: list[bool]) -> None:
    """Note what the short way did with each question."""
    answered = FastPath.answered

    def noting(self: FastPath, request: bytearray) -> bool:
        answers.append(answered(self, request))
        return answers[-1]

    FastPath.answered = noting  # type: ignore[method-assign]


def piped(guard: Guard, script: str, *arguments: str) -> tuple[Any, Any, int]:
    """Start a script under the guard; returns its standard output and input, and its id."""
    (out_read, out_write), (in_read, in_write) = os.pipe(), os.pipe()
    spec = ChildSpec(
        argv=[sys.executable, "-c", script, *arguments],
        env=os.environ,
        stdin=in_read,
        stdout=out_write,
    )
    pid = guard.spawn(spec)
    os.close(out_write)
    os.close(in_read)
    return os.fdopen(out_read), os.fdopen(in_write, "w"), pid


def main() -> None:
    records: list[dict[str, Any]] = []
    short: list[bool] = []
    noted(short)
    lost = frozenset(filter(None, LOST.split(",")))
    options = Options(rung=RUNG, without=lost)
    guard = Guard(allowing(FIRST, SECOND, SILENT), records.append, options)
    start = guard.start()
    output, given, _ = piped(guard, CLIENT, FIRST, SECOND, SILENT)
    assert output.readline() == "holding\n"
    replaced = guard.replace(allowing(FIRST))
    given.write("\n")
    given.flush()
    answers = output.readline().split()
    shell, _, _ = piped(guard, SHELL, SECOND)
    server, _, _ = piped(guard, SERVER)
    assert server.readline() == "listening\n"
    with guard.workload_socket() as inward:
        inward.connect(("127.0.0.1", 8000))
        inward.sendall(b"in")
        inward_answer = inward.recv(10).decode()
    before = short.count(True)
    executed = piped(guard, EXEC, FIRST, EXEC)[0].readline().split()
    late, go, _ = piped(guard, LATER, FIRST)
    told = {
        "executed": [*executed, short.count(True) - before],
        "rung": start["rung"],
        "closed": replaced.closed,
        "remaining": list(replaced.remaining),
        "answers": answers,
        "shell": shell.readline().strip(),
        "inward": inward_answer,
        "replacedRecord": any(each["event"] == "replaced" for each in records),
        "faults": [each for each in records if each["event"] == "fault"],
        "short": short.count(True),
    }
    guard.close()
    go.write("\n")
    go.flush()
    told["late"] = late.readline().strip()
    told["threads"] = [each.name for each in threading.enumerate()]
    sys.stdout.write(json.dumps(told))


main()
