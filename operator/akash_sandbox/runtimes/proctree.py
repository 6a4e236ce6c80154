"""Processes of this machine as proc(5) shows them."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process that is not taken for a later one with the same number."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Return whether it still runs."""
        return _started(self.pid) == self.started


def identify(pid: int) -> Identity | None:
    """Return the process with this number, None when there is none."""
    started = _started(pid)
    return None if started is None else Identity(pid=pid, started=started)


def tree(pid: int) -> list[int]:
    """Return a process and its descendants, parents first."""
    children = _children()
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found


def network(pid: int) -> int | None:
    """Return the inode of a process's network namespace, None when it cannot be seen."""
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return None


def send(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (row := _stat(int(entry.name))):
            found.setdefault(int(row[1]), []).append(int(entry.name))
    return found


def _started(pid: int) -> str | None:
    row = _stat(pid)
    return None if row is None or row[0] in "ZX" else f"{_boot()}.{row[19]}"


def _stat(pid: int) -> list[str] | None:
    """Return the fields from the third, the state, on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
