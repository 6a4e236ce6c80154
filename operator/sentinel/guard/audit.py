"""What was denied: one record per destination and reason, then counts; bounded."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from sentinel.guard.mining import mining_sign

FLUSH_SECONDS = 10.0
_MAX_DESTINATIONS = 1000
_MAX_POOLS = 100
"""Mining pools that are counted beside those: a flood of other names must not hide one."""
_MAX_COMMANDS = 8
_COMMAND_BYTES = 300

Record = dict[str, Any]


class Destination:
    """How often one destination was denied for one reason."""

    def __init__(self, proto: str, destination: str, port: int, reason: str) -> None:
        self.proto, self.destination, self.port, self.reason = proto, destination, port, reason
        self.count = self.counted = 0
        self.last_seen = 0.0
        self.mining = ""
        self.looked_at: set[int] = set()

    def copied(self) -> Destination:
        """Return a copy, which the guard's thread does not change."""
        copy = Destination(self.proto, self.destination, self.port, self.reason)
        vars(copy).update(vars(self))
        return copy


class Audit:
    """Counts denials and hands records to ``write``; call it from one thread."""

    def __init__(
        self, write: Callable[[Record], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._clock = clock
        self._known: dict[tuple[str, str, int, str], Destination] = {}
        self.totals = {"allowed": 0, "denied": 0, "namesDenied": 0, "mining": 0}
        self.enforces = True
        self.muted = False
        """Set while the guard tests itself."""
        self._names: dict[str, str] = {}

    def record(self, event: str, **fields: Any) -> None:
        """Write one record."""
        self._write({"time": round(self._clock(), 3), "event": event, **fields})

    def fault(self, error: BaseException) -> None:
        """Write an error that should not have come."""
        self.record("fault", error=repr(error)[:300])

    def allowed(self) -> None:
        """Count one connection that was let through."""
        if self.muted:
            return
        self.totals["allowed"] += 1

    def deny(
        self, proto: str, destination: str, port: int, reason: str, *, name: str = "", pid: int = 0
    ) -> None:
        """Count one denial; the first of its kind is written with the process that tried."""
        if self.muted:
            return
        name = name or self._names.get(destination, "")
        about = name or (destination if proto == "dns" else "")
        entry = self._entry((proto, destination, port, reason), about)
        entry.count += 1
        entry.last_seen = self._clock()
        self.totals["namesDenied" if proto == "dns" else "denied"] += 1
        if entry.count == 1:
            executable, command = process_of(pid)
            entry.mining = mining_sign(about, port, command)
            entry.counted = 1
            self._first(entry, name, pid, executable, command)
        elif not entry.mining and pid not in entry.looked_at:
            self._look_again(entry, pid)
        if entry.mining:
            self.totals["mining"] += 1

    def _look_again(self, entry: Destination, pid: int) -> None:
        """Another process wants there: it may be a miner, though the first one was none."""
        if len(entry.looked_at) < _MAX_COMMANDS:
            entry.looked_at.add(pid)
            entry.mining = mining_sign("", 0, process_of(pid)[1])

    def note_name(self, destination: str, name: str) -> None:
        """Remember which name led to an address that no rule allows: Audit suggests names."""
        if len(self._names) >= _MAX_DESTINATIONS:
            self._names.clear()
        self._names[destination] = name

    def _entry(self, key: tuple[str, str, int, str], about: str) -> Destination:
        known = self._known.get(key)
        if known is not None:
            return known
        proto, _, port, reason = key
        room = _MAX_DESTINATIONS
        if len(self._known) >= room and mining_sign(about, port, ""):
            room += _MAX_POOLS
        if len(self._known) >= room:
            key = (proto, "others", 0, reason)
        return self._known.setdefault(key, Destination(*key))

    def _first(
        self, entry: Destination, name: str, pid: int, executable: str, command: str
    ) -> None:
        said = {"name": name, "pid": pid, "exe": executable, "command": command}
        if entry.mining:
            said["mining"] = entry.mining
        self.record(
            "denied" if self.enforces else "would-deny",
            proto=entry.proto,
            destination=entry.destination,
            port=entry.port,
            reason=entry.reason,
            **{key: value for key, value in said.items() if value},
        )

    def flush(self) -> None:
        """Write the counts that have changed."""
        for entry in self._known.values():
            if entry.count != entry.counted:
                entry.counted = entry.count
                self.record(
                    "count",
                    proto=entry.proto,
                    destination=entry.destination,
                    port=entry.port,
                    reason=entry.reason,
                    count=entry.count,
                )

    def destinations(self) -> list[Destination]:
        """Return copies of the counters: mining pools first, then the most denied."""
        copies = [entry.copied() for entry in list(self._known.values())]
        return sorted(copies, key=lambda entry: (not entry.mining, -entry.count))


def process_of(pid: int) -> tuple[str, str]:
    """Return a process's executable and command line, empty when it may not be seen."""
    if not pid:
        return "", ""
    try:
        executable = os.readlink(f"/proc/{pid}/exe")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(_COMMAND_BYTES).replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return "", ""
    return executable, command.strip()


class ReportFile:
    """JSON lines appended to a file, or to standard error."""

    def __init__(self, path: str = "") -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600) if path else os.dup(2)

    def write(self, record: Record) -> None:
        """Append one record; a full disk loses records, never connections."""
        line = json.dumps(record, separators=(",", ":")) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            return
