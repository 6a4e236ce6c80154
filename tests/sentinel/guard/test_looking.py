"""Nobody under the guard looks into it, also where nothing can be enforced."""

from __future__ import annotations

import pytest

from sentinel.guard.ladder import FACTS
from tests.sentinel.guard.conftest import NOBODY, Runner
from tests.sentinel.guard.netns import BARE_ROOT, CONTAINER_ROOT, Wire

LOOK = """
import ctypes, os
parent, libc = os.getppid(), ctypes.CDLL(None)
for name, mode in (("environ", "rb"), ("mem", "rb"), ("mem", "r+b")):
    try:
        open(f"/proc/{parent}/{name}", mode, buffering=0).close()
    except OSError:
        continue
    print(name, mode)
if libc.syscall(438, libc.syscall(434, parent, 0), 0, 0) >= 0:
    print("descriptor")
if libc.ptrace(0x4206, parent, 0, 0) == 0:
    print("trace")
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
NOTHING = tuple(word for fact in FACTS for word in ("--without", fact))
USERS = pytest.mark.parametrize(
    "user",
    [0, CONTAINER_ROOT, BARE_ROOT, NOBODY],
    ids=["root", "root of a container", "root without rights", "nobody"],
)


@USERS
def test_a_process_can_look_into_its_parent(user: int, clean: Wire, python: str) -> None:
    done = clean.run([python, "-c", PARENT, LOOK], user=user)
    assert {"environ rb", "mem rb", "mem r+b"} <= {*done.stdout.splitlines()}


@USERS
@pytest.mark.parametrize("options", [(), NOTHING], ids=["as strong as it gets", "no rung"])
def test_nothing_looks_into_the_guard(
    options: tuple[str, ...], user: int, clean: Wire, guarded: Runner
) -> None:
    command = [guarded.python, "-c", LOOK]
    policy = {"requireEnforced": False}
    done = guarded(*command, policy=policy, options=options, on=clean, user=user)
    assert done.start["level"] == ("DeclaredOnly" if options else "Enforced")
    assert (done.code, done.output) == (0, "")
