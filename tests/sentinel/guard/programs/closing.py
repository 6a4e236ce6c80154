"""Gives connections up in every way, and asks the far end whether it was told.

Run as ``closing.py HOST PORT``; prints one line for each way: its name, and what the far end said.
The server is that of ``test_closing``.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable

THERE = sys.argv[1], int(sys.argv[2])
CROWD, BURST = 40, 200
SLEEPER = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
control = socket.create_connection(THERE)


def ask(question: str, name: str) -> str:
    control.sendall(f"{question} {name}\n".encode())
    return control.recv(64).decode().strip()


def say(way: str, *answers: str) -> None:
    sys.stdout.write(f"{way}: {' '.join(answers)}\n")
    sys.stdout.flush()


def greet(one: socket.socket, name: str) -> socket.socket:
    one.sendall(f"name {name}\n".encode())
    assert one.recv(64) == b"hello\n"
    return one


def opened(name: str) -> socket.socket:
    return greet(socket.create_connection(THERE), name)


def close() -> None:
    opened("close").close()
    say("close", ask("ended", "close"))


def non_blocking() -> None:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(THERE)
    select.select([], [one], [])
    one.setblocking(True)
    greet(one, "non-blocking").close()
    say("non-blocking", ask("ended", "non-blocking"))


def linger() -> None:
    one = opened("linger")
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 600))
    one.close()
    say("linger", ask("ended", "linger"))


def duplicate() -> None:
    one = opened("duplicate")
    other = one.dup()
    one.close()
    alive = ask("open", "duplicate")
    greet(other, "duplicate")
    os.dup2(0, other.fileno())
    say("duplicate", alive, ask("ended", "duplicate"))
    other.close()


def threads() -> None:
    made: list[socket.socket] = []
    thread = threading.Thread(target=lambda: made.append(opened("thread")))
    thread.start()
    thread.join()
    alive = ask("open", "thread")
    made[0].close()
    say("thread", alive, ask("ended", "thread"))


def child(start: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        start()
        os._exit(1)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def fork() -> None:
    one = opened("fork")
    pid = child(signal.pause)
    one.close()
    alive = ask("open", "fork")
    end(pid)
    say("fork", alive, ask("ended", "fork"))


def execute() -> None:
    for name, inherited in (("exec", True), ("exec-cloexec", False)):
        one = opened(name)
        one.set_inheritable(inherited)
        pid = child(lambda: os.execv(SLEEPER[0], SLEEPER))
        one.close()
        answers = [ask("open", name)] if inherited else []
        if inherited:
            end(pid)
        say(name, *answers, ask("ended", name))
        if not inherited:
            end(pid)


def crowd() -> None:
    several = [opened(f"crowd-{number}") for number in range(CROWD)]
    for number, one in enumerate(several):
        greet(one, f"crowd-{number}")
        one.close()
    say("crowd", *{ask("ended", f"crowd-{number}") for number in range(CROWD)})


def burst() -> None:
    for number in range(BURST):
        opened(f"burst-{number}").close()
    say("burst", *{ask("ended", f"burst-{number}") for number in range(BURST)})


for part in (close, non_blocking, linger, duplicate, threads, fork, execute, crowd, burst):
    part()
