"""Processes under measurement: their CPU time and memory with their children's, and their ports."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from devenv.arguments import no_arguments

_CPUCLOCK_SCHED = 2
_OPEN_SECONDS = 60
_OWN = ("Pss_Anon:", "Pss_Shmem:")
_MAPPED = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ (?P<place>[0-9a-f]+ (?P<device>\S+) [1-9]\d*) ")
_SHARED_MEMORY = "00:01"


def begin(module: str, text: str | None) -> None:
    """Read a benchmark's command line, and let SIGTERM be Ctrl-C, which stops what was started."""
    no_arguments(module, text)
    interruptible()


def interruptible() -> None:
    """Let SIGTERM be Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def free_port() -> int:
    """Return a port of the loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the port is open; raises SystemExit when the process ends before."""
    deadline = time.monotonic() + _OPEN_SECONDS
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r}: port {port} does not open")
        time.sleep(0.002)


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children so far, ended threads included.

    Other processes' clocks have numbers: clock_getcpuclockid(3).
    """
    return sum(time.clock_gettime(~each << 3 | _CPUCLOCK_SCHED) for each in _tree(pid))


def kibibytes(pid: int) -> int:
    """Return the memory of a process and its children as if nothing else ran here.

    A file's pages count once, whoever else maps the same library: a process beside them that does
    would make them look smaller in the kernel's proportional figures. Source: proc_pid_smaps(5).
    """
    tree = _tree(pid)
    pages: Counter[str] = Counter()
    for each in tree:
        pages |= _file_pages(Path(f"/proc/{each}/smaps").read_text())
    return pages.total() + sum(_own(each) for each in tree)


def _own(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN))


def _file_pages(smaps: str) -> Counter[str]:
    """Return the KiB that are there of each part of a file that is mapped, without changed pages."""
    found: Counter[str] = Counter()
    place = ""
    for line in smaps.splitlines():
        if mapped := _MAPPED.match(line):
            place = "" if mapped["device"] == _SHARED_MEMORY else mapped["place"]
        elif place and line.startswith("Rss:"):
            found[place] += int(line.split()[1])
        elif place and line.startswith("Anonymous:"):
            found[place] -= int(line.split()[1])
    return found
