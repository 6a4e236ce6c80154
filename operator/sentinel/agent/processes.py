"""What runs in the container, from /proc."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Dict, Iterable, NamedTuple, Set  # noqa: UP035 -- run time, Python 3.9

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STEP_SECONDS = 0.02


class Process(NamedTuple):
    """One process: CPU in seconds, memory (resident) in bytes."""

    pid: int
    parent: int
    state: str
    cpu: float
    memory: int
    started: int


def snapshot() -> Dict[int, Process]:  # noqa: UP006
    """Return all processes, by id."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                process = _read(int(entry))
                found[process.pid] = process
    return found


def _read(pid: int) -> Process:
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    memory = int(fields[21]) * _PAGE
    return Process(pid, int(fields[1]), fields[0].decode(), cpu, memory, int(fields[19]))


def below(roots: Iterable[int], known: Dict[int, Process]) -> Set[int]:  # noqa: UP006
    """Return all that descend from ``roots``, without them."""
    children: dict[int, list[int]] = {}
    for process in known.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def entered(known: Dict[int, Process]) -> Set[int]:  # noqa: UP006
    """Return what came into this container from outside: it has no parent that is seen in here."""
    if os.getpid() != 1:
        return set()
    return {pid for pid, process in known.items() if process.parent == 0 and pid != 1}


def others(keep: Set[int]) -> list[Process]:  # noqa: UP006
    """Return what runs in the container, but for this process, ``keep`` and all below those.

    Outside a container that is what runs below this process.
    """
    known = snapshot()
    outsiders = entered(known)
    mine = below([os.getpid(), *outsiders], known) | outsiders
    mine -= keep | below(keep, known)
    return [known[pid] for pid in mine if known[pid].state != "Z"]


def end_others(keep: Set[int], seconds: float = 5.0) -> None:  # noqa: UP006
    """Kill all of ``others``, also what starts meanwhile."""
    deadline = time.monotonic() + seconds
    while (rest := others(keep)) and time.monotonic() < deadline:
        for process in rest:
            with suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(_STEP_SECONDS)
