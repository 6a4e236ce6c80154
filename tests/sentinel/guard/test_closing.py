"""The guard's copies of connections keep nothing from the far end: it is told when one is closed."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.sentinel.guard.conftest import NOBODY, PROGRAMS, Runner
from tests.sentinel.guard.netns import ALLOWED, CONTAINER_ROOT, Wire, within
from tests.sentinel.guard.rungs import options

PORT = 8080
POLICY = {"allow": [{"cidr": f"{ALLOWED}/32", "ports": [PORT]}], "requireEnforced": False}
OPEN_SECONDS, ENDED_SECONDS = 0.5, 20.0
TOLD = [
    "close: ended",
    "non-blocking: ended",
    "linger: ended",
    "duplicate: open ended",
    "thread: open ended",
    "fork: open ended",
    "exec: open ended",
    "exec-cloexec: ended",
    "crowd: ended",
    "burst: ended",
]
LIMITED = ("sh", "-c", 'ulimit -n 128 && exec "$@"', "sh")
DROPPED = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


class FarEnd:
    """Serves connections that have names, and says which of them ended."""

    def __init__(self) -> None:
        self._ended: dict[str, threading.Event] = defaultdict(threading.Event)

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                one, _ = listening.accept()
            except OSError:  # the test is over
                return
            threading.Thread(target=self._speak, args=(one,), daemon=True).start()

    def _speak(self, one: socket.socket) -> None:
        names = set()
        with one, one.makefile() as lines:
            for line in lines:
                word, name = line.split()
                if word == "name":
                    names.add(name)
                one.sendall(self._answer(word, name).encode() + b"\n")
        for name in names:
            self._ended[name].set()

    def _answer(self, word: str, name: str) -> str:
        if word == "name":
            return "hello"
        seconds = OPEN_SECONDS if word == "open" else ENDED_SECONDS
        return "ended" if self._ended[name].wait(seconds) else "open"


@pytest.fixture
def far_end(clean: Wire) -> Iterator[Wire]:
    with within(clean.far, lambda: socket.create_server((ALLOWED, PORT), backlog=256)) as listening:
        serving = threading.Thread(target=FarEnd().serve, args=(listening,), daemon=True)
        serving.start()
        yield clean
        listening.shutdown(socket.SHUT_RDWR)
        serving.join()


def script(python: str) -> list[str]:
    program = (PROGRAMS / "closing.py").read_text()
    return [python, "-I", "-S", "-c", program, ALLOWED, str(PORT)]


def test_the_far_end_is_told(far_end: Wire, guarded: Runner) -> None:
    done = guarded(*script(guarded.python), policy=POLICY, options=options("addfd-tcp"), on=far_end)
    assert done.output.splitlines() == TOLD, done.errors


def test_few_descriptors_are_enough(far_end: Wire, guarded: Runner) -> None:
    argv, _ = guarded.argv(POLICY, *options("addfd-tcp"))
    done = far_end.run([*LIMITED, *argv, *script(guarded.python)])
    assert done.stdout.splitlines() == TOLD, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("user", [0, NOBODY, CONTAINER_ROOT], ids=["root", "nobody", "dropped"])
@pytest.mark.parametrize("name", ["strict", "addfd", "addfd-tcp", "addfd-dns"])
def test_the_far_end_is_told_on_every_rung(
    name: str, user: int, far_end: Wire, guarded: Runner
) -> None:
    command = [*(DROPPED if user == CONTAINER_ROOT else ()), *script(guarded.python)]
    done = guarded(*command, policy=POLICY, options=options(name), on=far_end, user=user)
    assert done.start["rung"] == name
    assert done.output.splitlines() == TOLD, done.errors
